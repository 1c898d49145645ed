// Property: clocks never run backwards, and the monotonic ones never jump by more than MILLISECONDS
// (relative), or jump at least that far once (absolute): "clocks relative 1500", "clocks absolute 1500".
// The vdso and the system call agree, and a real-time interval timer and an absolute sleep keep to them.
#include <sys/time.h>
#include "workload.h"

static const clockid_t watched[] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW};
static const char *names[] = {"CLOCK_MONOTONIC", "CLOCK_BOOTTIME", "CLOCK_MONOTONIC_RAW"};
static _Atomic int64_t longest[3];
static _Atomic uint64_t looks, alarms, naps;

static int64_t by_call(clockid_t clock) {
    struct timespec time;
    syscall(SYS_clock_gettime, clock, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void *watch(void *argument) {
    (void)argument;
    int64_t before[3];
    for (int i = 0; i < 3; i++) before[i] = clock_ns(watched[i]);
    for (;; looks++) {
        for (int i = 0; i < 3; i++) {
            int64_t now = looks & 1 ? by_call(watched[i]) : clock_ns(watched[i]);
            if (now < before[i]) fail("%s ran backwards by %lld ns", names[i], (long long)(before[i] - now));
            if (now - before[i] > longest[i]) longest[i] = now - before[i];
            before[i] = now;
        }
        int64_t first = clock_ns(CLOCK_MONOTONIC), between = by_call(CLOCK_MONOTONIC), last = clock_ns(CLOCK_MONOTONIC);
        if (first > between || between > last) fail("vdso and system call disagree: %lld %lld %lld", (long long)first, (long long)between, (long long)last);
    }
    return NULL;
}

// Absolute deadlines in this thread's own memory.
static void *sleep_until(void *argument) {
    (void)argument;
    for (;; naps++) {
        int64_t deadline = now_ns() + 400000000;
        struct timespec time = {deadline / 1000000000, deadline % 1000000000};
        int error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
        if (error) fail("clock_nanosleep: %s", strerror(error));
        if (now_ns() < deadline) fail("woke up %lld ns before the deadline", (long long)(deadline - now_ns()));
    }
    return NULL;
}

static void count_alarm(int signal) {
    (void)signal;
    alarms++;
}

int run_clocks(int count, char **arguments) {
    bool absolute = count > 0 && strcmp(arguments[0], "absolute") == 0;
    long bound = count > 1 ? atol(arguments[1]) : 1500;
    signal(SIGALRM, count_alarm);
    // The kernel can give a signal of the process to any thread, whose sleep would then end early: all other threads
    // block it.
    sigset_t alarm_only;
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm_only, NULL);
    start_thread(watch, NULL);
    start_thread(sleep_until, NULL);
    pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
    struct itimerval every = {{0, 250000}, {0, 250000}};
    setitimer(ITIMER_REAL, &every, NULL);
    nap_ms(300);
    for (int i = 0; i < 3; i++) longest[i] = 0;
    say_ready();
    wait_for_finish();
    expect_progress("looks at clocks", &looks, 1000);
    expect_progress("alarms", &alarms, 2);
    expect_progress("absolute sleeps", &naps, 1);
    for (int i = 0; i < 3; i++) {
        long found = (long)(longest[i] / 1000000);
        if (absolute)
            expect(found >= bound, "%s jumped by %ld ms only", names[i], found);
        else
            expect(found <= bound, "%s jumped by %ld ms", names[i], found);
    }
    return verdict("clocks");
}
