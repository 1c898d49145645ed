// What every workload shares. A workload is a program that prepares something, says that it is
// ready, goes on working while it watches itself, and ends with exit status 0 only if everything
// was right all the time.
//
//     Workloads NAME DIRECTORY [ARGUMENT...]
//
// The directory belongs to one run:
//
//     ready       made when everything is prepared
//     finish      made by the test: verify everything once more and end
//     failures    one line for each deviation, by any process of the workload
//     result      the last line: "OK NAME" or "FAILED NAME"
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef int workload_function(int count, char **arguments);

struct workload {
    const char *name;
    workload_function *run;
    const char *summary;
};

/// The end of a sleep may seem this much too early after a restart: the time that was left and the
/// clock itself are taken at two instants.
#define TOLERANCE_NS 1000000LL

/// The absolute path of FILE in the directory of this run (static storage, one per thread).
const char *run_path(const char *file);

/// Everything is prepared: from now on the tree may be checkpointed.
void say_ready(void);

/// Whether the test has asked to verify and end.
bool finish_wanted(void);

/// Sleeps in short naps until `finish_wanted`.
void wait_for_finish(void);

/// Records a deviation: one line in `failures`, whichever process or thread it happens in.
void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// Records a deviation unless the condition holds.
#define expect(condition, ...) \
    do { \
        if (!(condition)) fail(__VA_ARGS__); \
    } while (0)

/// Ends the program at once: preparation failed, nothing was tested.
void cannot_prepare(const char *what) __attribute__((noreturn));

/// Waits until the counter has grown by `steps`; a counter that stands still for 20 s is a failure.
void expect_progress(const char *name, _Atomic uint64_t *counter, uint64_t steps);

/// Writes `result`, prints it, and gives the exit status: 0 if no process recorded a failure.
int verdict(const char *name);

int64_t clock_ns(clockid_t clock);
static inline int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

/// Sleeps for the whole time, also after interruptions by signals or a freeze.
void nap_ms(long milliseconds);

void start_thread(void *(*body)(void *), void *argument);

/// Shared anonymous memory, zeroed.
void *shared_memory(size_t bytes);

/// A repeatable sequence of numbers (splitmix64).
static inline uint64_t next_number(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

void fill_pattern(void *memory, size_t bytes, uint64_t seed);

/// The offset of the first wrong byte, or -1.
long wrong_byte(const void *memory, size_t bytes, uint64_t seed);

workload_function run_registers, run_locks, run_fifos, run_vectors, run_sleepers, run_waits, run_memory, run_files, run_pipes, run_signals,
    run_credentials, run_ahead, run_processes, run_threads, run_anon, run_tree, run_orphans, run_clocks, run_moments, run_breakpoints,
    run_rseq, run_calls, run_narrow, run_borrowed, run_mixed, run_yardstick;

workload_function run_events, run_timerfiles, run_epolls, run_posixtimers, run_semaphores, run_unsaved;

workload_function run_cgroups, run_individuals, run_terminal, run_vforker, run_idlers, run_bomb, run_forest, run_sharing, run_wanderers, run_tables,
    run_stops, run_headless;

workload_function run_levels, run_crowd, run_bare;

workload_function run_family, run_prefork, run_generations, run_advice, run_memfds, run_pool, run_temporary, run_handlers, run_mutexes, run_kernelmemory;
workload_function run_procfiles, run_owners, run_kernelmessages, run_census;

workload_function run_renumbered, run_confined, run_sandboxes;

workload_function run_attributes, run_extremes, run_messages;
workload_function run_socketpairs, run_sockets, run_connections;
workload_function run_portgroups, run_unaccepted, run_udp, run_multicast, run_rawsockets, run_packetsockets, run_netlink;
workload_function run_handover, run_obstinate;
workload_function run_watchers, run_unreadevents, run_pidfiles, run_unixqueue, run_senders, run_undone, run_queuenotices, run_rings, run_segments, run_queuefiles;
workload_function run_nameless, run_removed, run_links, run_program;
workload_function run_ptys, run_ptyfloods;
workload_function run_served, run_late;
