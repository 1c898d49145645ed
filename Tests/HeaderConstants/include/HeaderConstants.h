#pragma once
#include <stddef.h>

/// One number of the kernel's interface: its name, and its value in the C headers of this machine.
struct header_constant {
    const char *name;
    long long value;
};

/// All of them, `header_constant_count`.
const struct header_constant *header_constants_table(void);
extern const size_t header_constant_count;
/// The value of a name that these headers do not define.
extern const long long header_constant_unknown;

/// Opens a descriptor whose fdinfo has lines of its own: 0 eventfd, 1 timerfd, 2 signalfd, 3 an epoll that watches, 4 a file
/// with a lock.
int header_descriptor(int kind);
void header_descriptor_close(int descriptor);
