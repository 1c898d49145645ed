// Property: a sleep lasts as long as was asked, in one piece: never EINTR, never too short.
#include "workload.h"

struct sleeper {
    const char *name;
    clockid_t clock;
    int flags;
    int64_t asked_ns;
    _Atomic uint64_t count;
};

#define PLAIN_NANOSLEEP ((clockid_t)-1000)

static struct sleeper sleepers[] = {
    {"nanosleep 30 ms", PLAIN_NANOSLEEP, 0, 30000000, 0},
    {"nanosleep 700 ms", PLAIN_NANOSLEEP, 0, 700000000, 0},
    {"nanosleep 2.5 s", PLAIN_NANOSLEEP, 0, 2500000000, 0},
    {"clock_nanosleep monotonic 40 ms", CLOCK_MONOTONIC, 0, 40000000, 0},
    {"clock_nanosleep monotonic 900 ms", CLOCK_MONOTONIC, 0, 900000000, 0},
    {"clock_nanosleep real-time 300 ms", CLOCK_REALTIME, 0, 300000000, 0},
    {"clock_nanosleep boot-time 300 ms", CLOCK_BOOTTIME, 0, 300000000, 0},
    {"clock_nanosleep monotonic until", CLOCK_MONOTONIC, TIMER_ABSTIME, 250000000, 0},
};

static struct timespec time_of(int64_t ns) {
    return (struct timespec){ns / 1000000000, ns % 1000000000};
}

static void *sleep_for_ever(void *argument) {
    struct sleeper *s = argument;
    clockid_t clock = s->clock == PLAIN_NANOSLEEP ? CLOCK_MONOTONIC : s->clock;
    int64_t first = clock_ns(clock), total = 0;
    for (;; s->count++) {
        // The kernel writes the remaining time at every interruption, also at one after which the sleep goes on.
        struct timespec left;
        int64_t begin = clock_ns(clock);
        int error;
        if (s->clock == PLAIN_NANOSLEEP) {
            struct timespec t = time_of(s->asked_ns);
            error = nanosleep(&t, &left) ? errno : 0;
        } else {
            struct timespec t = time_of(s->asked_ns + (s->flags & TIMER_ABSTIME ? begin : 0));
            error = clock_nanosleep(s->clock, s->flags, &t, &left);
        }
        int64_t end = clock_ns(clock);
        total += s->asked_ns;
        if (error) fail("%s: %s after %lld us", s->name, strerror(error), (long long)(end - begin) / 1000);
        if (end - begin < s->asked_ns - TOLERANCE_NS)
            fail("%s: woke up after %lld us", s->name, (long long)(end - begin) / 1000);
        if (end - first < total - TOLERANCE_NS * (int64_t)(s->count + 1)) fail("%s: time went backwards", s->name);
    }
    return NULL;
}

int run_sleepers(int count, char **arguments) {
    (void)count, (void)arguments;
    const size_t known = sizeof sleepers / sizeof sleepers[0];
    for (size_t i = 0; i < known; i++) start_thread(sleep_for_ever, &sleepers[i]);
    nap_ms(100);
    say_ready();
    wait_for_finish();
    for (size_t i = 0; i < known; i++) expect_progress(sleepers[i].name, &sleepers[i].count, 1);
    return verdict("sleepers");
}
