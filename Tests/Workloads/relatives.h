// Relations in a tree of processes: each member writes down its pid, parent, group and session, and compares at the end.
#pragma once
#include "workload.h"

struct member {
    pid_t pid, parent, group, session;
    _Atomic uint64_t count;
    _Atomic int ready;
};

struct family {
    _Atomic int finish;
    struct member members[16];
};

extern struct family *family;

/// Writes down pid, parent, group and session of the calling process, as member `number`.
void join_family(int number);

/// Compares with what was written down; the parent only if asked for.
void expect_same_relatives(const char *label, int number, bool parent_too);

/// Counts until the end, then compares and exits.
void live(const char *label, int number) __attribute__((noreturn));

/// The state letter of /proc/PID/stat, or 0.
char state_of(pid_t pid);
