#define _GNU_SOURCE
#include "CKernel.h"
#include <fcntl.h>
#include <unistd.h>

static uint32_t closed_at_start;

/// Runs before main and before any Swift code, so no file that a command opens can get the numbers 0 to 2, and no message
/// can land in such a file.
__attribute__((constructor(101))) static void open_standard_descriptors(void) {
    for (int number = 0; number <= 2; number++) {
        if (fcntl(number, F_GETFD) >= 0) continue;
        // Lower numbers are in use, so the kernel gives out this one.
        int got = open("/dev/null", O_RDWR);
        // Without /dev the number is taken all the same: reads and writes fail, as on a closed one.
        if (got < 0) got = open("/", O_PATH);
        if (got != number) _exit(1);
        closed_at_start |= 1u << number;
    }
}

uint32_t ckernel_closed_at_start(void) { return closed_at_start; }
