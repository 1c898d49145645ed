// Calls that wait, one child process each; see calls.c.
#pragma once
#include "workload.h"

/// How long every call waits, until its limit or its event.
#define ASKED_NS 4000000000LL

/// One call in one child, in memory that all of them share.
struct trial {
    _Atomic int64_t begin;
    pid_t pid;
    int descriptors[2];  // an object made before the fork: the waker has it, too
    _Atomic uint32_t word;
    _Atomic bool ended;
    // Results.
    long result;
    int error;
    int64_t left_ns;  // time that the call wrote back, -1: none
    char wrote[160];  // what else it wrote
};

/// Flags of a case.
enum {
    RESTARTABLE = 1,  // a tree with this call can be restarted
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

/// Times as one kind of call takes them, whatever this program's `struct timespec` is like.
struct wide_time {
    int64_t seconds, nanoseconds;
};
struct long_time {
    long seconds, nanoseconds;  // or microseconds
};

#if defined(__i386__)
#define SYS_SELECT SYS__newselect
#define SYS_FCNTL64 SYS_fcntl64
// A program built with 64-bit times makes the calls that take them, otherwise the older calls.
#if _TIME_BITS == 64
#undef SYS_clock_nanosleep
#undef SYS_futex
#undef SYS_rt_sigtimedwait
#undef SYS_ppoll
#undef SYS_pselect6
#undef SYS_io_pgetevents
#undef SYS_recvmmsg
#undef SYS_mq_timedreceive
#define SYS_clock_nanosleep SYS_clock_nanosleep_time64
#define SYS_futex SYS_futex_time64
#define SYS_rt_sigtimedwait SYS_rt_sigtimedwait_time64
#define SYS_ppoll SYS_ppoll_time64
#define SYS_pselect6 SYS_pselect6_time64
#define SYS_io_pgetevents SYS_io_pgetevents_time64
#define SYS_recvmmsg SYS_recvmmsg_time64
#define SYS_mq_timedreceive SYS_mq_timedreceive_time64
#define SEMTIMEDOP_CALL(set, operation, limit) SYS_semtimedop_time64, set, operation, 1, limit
#define SEMOP_CALL(set, operation) SYS_semtimedop_time64, set, operation, 1, NULL
#else
#define SEMTIMEDOP_CALL(set, operation, limit) SYS_ipc, 4, set, 1, 0, operation, limit
#define SEMOP_CALL(set, operation) SYS_ipc, 1, set, 1, 0, operation
#endif
#else
#define SYS_SELECT SYS_select
#define SYS_FCNTL64 SYS_fcntl
#define SEMTIMEDOP_CALL(set, operation, limit) SYS_semtimedop, set, operation, 1, limit
#define SEMOP_CALL(set, operation) SYS_semop, set, operation, 1
#endif

struct timespec time_of(int64_t ns);
struct wide_time wide_time_of(int64_t ns);
struct long_time long_time_of(int64_t ns);
/// ASKED_NS from now on a clock.
struct timespec asked_end(clockid_t clock);
int64_t ns_of(struct timespec time);
