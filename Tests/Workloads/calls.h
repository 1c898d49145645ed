// Calls that wait, one child process each; see calls.c.
#pragma once
#include "workload.h"

/// How long every call waits, until its limit or until what it waits for happens.
#define ASKED_NS 4000000000LL

/// One call in one child, in memory that all of them share.
struct trial {
    _Atomic int64_t begin;
    pid_t pid;
    int descriptors[2];  // an object made before the fork: the waker has it, too
    _Atomic uint32_t word;
    // What came out.
    long result;
    int error;
    int64_t left_ns;  // time that the call wrote back, -1: none
    char wrote[160];  // what else it wrote
};

/// How a case is tried.
enum {
    RESTARTABLE = 1,  // nothing in it stands in the way of a restart
    WALL = 2,         // ends at a point in time of the real-time clock
    PROCESSOR = 4,    // waits for processor time: no wall-clock time is promised
    WOKEN = 8,        // ends by an event (set where there is one)
};

struct call {
    const char *name;
    int flags;
    void (*prepare)(struct trial *);  // before the fork
    void (*run)(struct trial *);      // in the child
    void (*wake)(struct trial *);     // by the parent, when the time is over
};

extern const struct call sleep_calls[], descriptor_calls[], object_calls[], socket_calls[];

/// Makes the call between two stamps: result and errno go to the trial.
#define TRY(trial, number, ...) \
    do { \
        (trial)->begin = now_ns(); \
        (trial)->result = syscall(number, ##__VA_ARGS__); \
        (trial)->error = (trial)->result < 0 ? errno : 0; \
    } while (0)

struct timespec time_of(int64_t ns);
/// ASKED_NS from now on a clock.
struct timespec asked_end(clockid_t clock);
int64_t ns_of(struct timespec time);
