// What the parts of the census share: state as lines of text.
#pragma once
#include "workload.h"

struct lines {
    int count;
    char text[600][160];
};

/// sched_setattr(2); the C library of Debian 12 has no declaration of it.
struct census_attributes {
    uint32_t size, sched_policy;
    uint64_t sched_flags;
    int32_t sched_nice;
    uint32_t sched_priority;
    uint64_t sched_runtime, sched_deadline, sched_period;
    uint32_t sched_util_min, sched_util_max;
};

void tell(struct lines *lines, const char *format, ...) __attribute__((format(printf, 2, 3)));
/// A failure for each line that one of the two does not have in its place.
void compare_lines(const char *whose, const struct lines *before, const struct lines *after);

void tell_thread(struct lines *lines);
void tell_process(struct lines *lines);

/// Fails silently: not every kernel and user has all.
void write_text(const char *path, const char *text);
void membarrier_register(int command);
void lower_limits(void);
long locked_kilobytes(void);

void make_mappings(void);
void tell_mappings(struct lines *lines);
void check_guards(void);
void make_files(void);
void tell_files(struct lines *lines);
