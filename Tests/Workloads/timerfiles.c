// Property: timerfds expire when they would have, and none of their expirations is lost or made up.
#include "workload.h"
#include <poll.h>
#include <sys/timerfd.h>

enum { LONG_MS = 600000, TICK_MS = 20 };

static uint64_t expirations(int fd) {
    uint64_t count = 0;
    return read(fd, &count, sizeof count) == sizeof count ? count : 0;
}

static int start(int clock, int flags, int64_t first, int64_t interval) {
    int fd = timerfd_create(clock, TFD_NONBLOCK | TFD_CLOEXEC);
    if (flags & TFD_TIMER_ABSTIME) first += clock_ns(clock);
    struct itimerspec value = {{interval / 1000000000, interval % 1000000000}, {first / 1000000000, first % 1000000000}};
    if (fd < 0 || timerfd_settime(fd, flags, &value, NULL)) cannot_prepare("timerfd");
    return fd;
}

static int64_t left(int fd) {
    struct itimerspec value;
    timerfd_gettime(fd, &value);
    return value.it_value.tv_sec * 1000000000LL + value.it_value.tv_nsec;
}

static int64_t interval(int fd) {
    struct itimerspec value;
    timerfd_gettime(fd, &value);
    return value.it_interval.tv_sec * 1000000000LL + value.it_interval.tv_nsec;
}

static _Atomic uint64_t ticks;

/// Reads a periodic timer that a child reads as well: together they see every tick.
static void *count_ticks(void *argument) {
    int fd = *(int *)argument;
    while (!finish_wanted()) {
        struct pollfd one = {fd, POLLIN, 0};
        if (poll(&one, 1, 100) == 1) ticks += expirations(fd);
    }
    return NULL;
}

int run_timerfiles(int count, char **arguments) {
    (void)count, (void)arguments;
    int shared = start(CLOCK_MONOTONIC, 0, TICK_MS * 1000000LL, TICK_MS * 1000000LL);
    pid_t child = fork();
    if (child == 0) {
        while (!finish_wanted()) {
            struct pollfd one = {shared, POLLIN, 0};
            if (poll(&one, 1, 50) == 1) expirations(shared);
            nap_ms(7);
        }
        _exit(0);
    }
    static const int clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
    int relative[3], absolute[3];
    for (int i = 0; i < 3; i++) {
        relative[i] = start(clocks[i], 0, LONG_MS * 1000000LL, 0);
        absolute[i] = start(clocks[i], TFD_TIMER_ABSTIME, LONG_MS * 1000000LL, 1000000000LL);
    }
    int cancelled = start(CLOCK_REALTIME, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, LONG_MS * 1000000LL, 0);
    int expired = start(CLOCK_MONOTONIC, 0, 1000000, 0);
    int unread = start(CLOCK_MONOTONIC, 0, 1000000, LONG_MS * 1000000LL);
    int many = start(CLOCK_MONOTONIC, 0, 1000000, 1000000);
    int fresh = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    int disarmed = start(CLOCK_BOOTTIME, 0, LONG_MS * 1000000LL, 0);
    struct itimerspec none = {{0, 0}, {0, 0}};
    timerfd_settime(disarmed, 0, &none, NULL);
    int alarm = timerfd_create(CLOCK_BOOTTIME_ALARM, TFD_NONBLOCK);  // -1 without the right to wake the system
    struct itimerspec hour = {{0, 0}, {3600, 0}};
    if (alarm >= 0) timerfd_settime(alarm, 0, &hour, NULL);
    int64_t begin = now_ns();
    nap_ms(50);

    start_thread(count_ticks, &shared);
    expect_progress("the shared timer", &ticks, 3);
    say_ready();
    wait_for_finish();

    // The remaining time has become less, by no more than the time that has passed.
    int64_t passed = now_ns() - begin;
    for (int i = 0; i < 3; i++) {
        int64_t rest = left(relative[i]), deadline = left(absolute[i]);
        expect(rest < LONG_MS * 1000000LL && rest > LONG_MS * 1000000LL - passed - 1000000000LL,
               "the relative timer %d has %lld ns left after %lld", i, (long long)rest, (long long)passed);
        expect(deadline < LONG_MS * 1000000LL && deadline > LONG_MS * 1000000LL - passed - 1000000000LL,
               "the absolute timer %d has %lld ns left after %lld", i, (long long)deadline, (long long)passed);
        expect(interval(relative[i]) == 0 && interval(absolute[i]) == 1000000000LL, "an interval changed");
        expect(expirations(relative[i]) == 0 && expirations(absolute[i]) == 0, "a timer has expired too early");
    }
    expect(left(cancelled) > 0 && expirations(cancelled) == 0, "the timer that clock changes cancel is not armed");
    expect(left(expired) == 0 && expirations(expired) == 1 && expirations(expired) == 0, "the expiration is not there");
    expect(left(unread) > 0 && expirations(unread) == 1 && expirations(unread) == 0, "the first of many is not there");
    uint64_t counted = expirations(many);
    expect(counted >= 40 && counted <= (uint64_t)passed / 1000000 + 100, "%llu expirations in %lld ns",
           (unsigned long long)counted, (long long)passed);
    // A virtual processor that its host does not run for a while is late with its timers.
    counted = 0;
    for (int naps = 0; counted < 5 && naps < 500; naps++) {
        nap_ms(10);
        counted += expirations(many);
    }
    expect(counted >= 5, "the fast timer has expired %llu times in 5 s", (unsigned long long)counted);
    expect(left(fresh) == 0 && expirations(fresh) == 0, "the timer that was never set is armed");
    expect(left(disarmed) == 0 && expirations(disarmed) == 0, "the disarmed timer is armed");
    if (alarm >= 0) expect(left(alarm) > 3000LL * 1000000000, "the timer that wakes the system is not armed");
    int status = -1;
    expect(waitpid(child, &status, 0) == child && status == 0, "the child ended with %x", (unsigned)status);
    expect(ticks > 3, "the shared timer stands still");
    return verdict("timerfiles");
}
