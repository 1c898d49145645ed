// Property: every function of the vdso gives sensible answers all the time. Its threads do nothing else, so that
// they are hardly ever found outside of it, and the handler of a frequent signal returns into it.
#include <sched.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include "workload.h"

enum { ASKERS = 3 };
static _Atomic uint64_t rounds[ASKERS], alarms;

static void *ask(void *number) {
    int64_t before = now_ns();
    int processors = get_nprocs_conf();
    for (;; rounds[(uintptr_t)number]++) {
        for (int i = 0; i < 100; i++) {
            int64_t now = now_ns();
            if (now < before) fail("CLOCK_MONOTONIC ran backwards by %lld ns", (long long)(before - now));
            before = now;
        }
        int64_t coarse = clock_ns(CLOCK_MONOTONIC_COARSE), fine = now_ns();
        expect(coarse > 0 && coarse <= fine, "CLOCK_MONOTONIC_COARSE is %lld, before %lld", (long long)coarse, (long long)fine);
        // The coarse clock can be one second behind, and a restart can come between the two calls.
        time_t second = time(NULL);
        struct timeval moment;
        gettimeofday(&moment, NULL);
        expect(moment.tv_sec - second >= 0 && moment.tv_sec - second < 60, "time() is %lld at %lld", (long long)second, (long long)moment.tv_sec);
        struct timespec step;
        clock_getres(CLOCK_REALTIME, &step);
        expect(step.tv_sec == 0 && step.tv_nsec > 0, "clock_getres gives %lld.%09ld", (long long)step.tv_sec, step.tv_nsec);
        int processor = sched_getcpu();
        expect(processor >= 0 && processor < processors, "runs on processor %d of %d", processor, processors);
    }
    return NULL;
}

static void count_alarm(int signal) {
    (void)signal;
    alarms++;
}

int run_moments(int count, char **arguments) {
    (void)count, (void)arguments;
    for (uintptr_t i = 0; i < ASKERS; i++) start_thread(ask, (void *)i);
    for (int i = 0; i < ASKERS; i++) expect_progress("rounds", &rounds[i], 10);
    struct itimerval every = {{0, 20000}, {0, 20000}};
    signal(SIGALRM, count_alarm);
    setitimer(ITIMER_REAL, &every, NULL);
    say_ready();
    wait_for_finish();
    for (int i = 0; i < ASKERS; i++) expect_progress("rounds", &rounds[i], 10);
    expect_progress("alarms", &alarms, 10);
    return verdict("moments");
}
