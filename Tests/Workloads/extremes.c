// Property: what the kernel takes, a restart gives back: times that mean "for ever", addresses that are none, signals that
// no signal has the number of.
#include "workload.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/timerfd.h>

static const struct timespec ever = {INT64_MAX, 999999999};
static const unsigned long nowhere = 0xffff800000000000;

/// No wait for ever ends.
static void *sleep_for_ever(void *unused) { return (void)unused, fail("nanosleep: %ld", syscall(SYS_nanosleep, &ever, NULL)), NULL; }
static void *sleep_to_nowhere(void *unused) {
    return (void)unused, fail("clock_nanosleep: %ld", syscall(SYS_clock_nanosleep, CLOCK_BOOTTIME, 0, &ever, NULL)), NULL;
}
static void *sleep_on_processor_time(void *unused) {
    return (void)unused, fail("sleep on processor time: %ld", syscall(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0, &ever, NULL)), NULL;
}
static void *wait_on_word(void *unused) {
    static int word;
    return (void)unused, fail("futex: %ld", syscall(SYS_futex, &word, 0, 0, &ever, NULL, 0)), NULL;
}
static void *wait_for_bits(void *unused) {
    static int word;
    return (void)unused, fail("futex, bits: %ld", syscall(SYS_futex, &word, 9, 0, &ever, NULL, 1)), NULL;
}
static void *poll_nothing(void *unused) { return (void)unused, fail("poll: %d", poll(NULL, 0, INT32_MAX)), NULL; }
static void *ppoll_nothing(void *unused) { return (void)unused, fail("ppoll: %d", ppoll(NULL, 0, &ever, NULL)), NULL; }
static void *wait_for_events(void *unused) {
    struct epoll_event event;
    return (void)unused, fail("epoll_pwait2: %ld", syscall(441, epoll_create1(EPOLL_CLOEXEC), &event, 1, &ever, NULL, 0)), NULL;
}
static void *wait_for_signal(void *unused) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMAX);
    return (void)unused, fail("sigtimedwait: %d", sigtimedwait(&set, NULL, &ever)), NULL;
}

/// As the kernel has it, not as the C library lets it be set.
struct kernel_action {
    unsigned long handler, flags, restorer, mask;
};

static void set_odd(void) {
    syscall(SYS_set_tid_address, nowhere + 8);
    stack_t stack = {.ss_sp = (void *)nowhere, .ss_size = 0x7000000000000000};
    if (syscall(SYS_sigaltstack, &stack, NULL)) cannot_prepare("alternate stack");
    syscall(SYS_set_robust_list, nowhere + 16, 24L);
    struct kernel_action action = {nowhere + 24, 0x04000000, nowhere + 32, 0};
    if (syscall(SYS_rt_sigaction, SIGUSR2, &action, NULL, 8)) cannot_prepare("handler");
}

static void expect_odd(void) {
    unsigned long address = 0;
    prctl(PR_GET_TID_ADDRESS, &address);
    expect(address == nowhere + 8, "clear_child_tid is %lx", address);
    stack_t stack;
    syscall(SYS_sigaltstack, NULL, &stack);
    expect((unsigned long)stack.ss_sp == nowhere && stack.ss_size == 0x7000000000000000, "the alternate stack is %p", stack.ss_sp);
    unsigned long list = 0, size = 0;
    syscall(SYS_get_robust_list, 0, &list, &size);
    expect(list == nowhere + 16, "the robust list is at %lx", list);
    struct kernel_action action;
    syscall(SYS_rt_sigaction, SIGUSR2, NULL, &action, 8);
    expect(action.handler == nowhere + 24 && action.restorer == nowhere + 32, "the handler is %lx", action.handler);
}

/// By clone(2): the lowest byte of its flags is the signal.
static pid_t child_with_end_signal(long signal) { return (pid_t)syscall(SYS_clone, signal, 0, 0, 0, 0); }

static int64_t left(int timer) {
    struct itimerspec value;
    timerfd_gettime(timer, &value);
    return value.it_value.tv_sec;
}

int run_extremes(int count, char **arguments) {
    (void)count, (void)arguments;
    static void *(*const waits[])(void *) = {sleep_for_ever, sleep_to_nowhere, sleep_on_processor_time, wait_on_word, wait_for_bits, poll_nothing,
                                             ppoll_nothing, wait_for_events, wait_for_signal};
    sigset_t blocked;
    sigfillset(&blocked);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    static const int clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};
    struct itimerspec forever = {{INT64_MAX, 5}, {INT64_MAX, 5}};
    int relative[3], absolute[3];
    timer_t timers[4];
    for (int i = 0; i < 3; i++) {
        relative[i] = timerfd_create(clocks[i], TFD_CLOEXEC);
        absolute[i] = timerfd_create(clocks[i], TFD_CLOEXEC);
        struct sigevent none = {.sigev_notify = SIGEV_NONE, .sigev_signo = -77};
        if (timerfd_settime(relative[i], 0, &forever, NULL) || timerfd_settime(absolute[i], TFD_TIMER_ABSTIME, &forever, NULL) ||
            timer_create(clocks[i], i == 0 ? &none : NULL, &timers[i]) || timer_settime(timers[i], 0, &forever, NULL))
            cannot_prepare("timers");
    }
    // The kernel itself shows times of processor timers above 292 years as negative ones.
    struct itimerval longest = {{INT64_MAX, 0}, {INT64_MAX, 0}}, centuries = {{200LL * 365 * 86400, 0}, {200LL * 365 * 86400, 0}};
    for (int which = 0; which < 3; which++)
        if (setitimer(which, which == ITIMER_REAL ? &longest : &centuries, NULL)) cannot_prepare("interval timer");
    int spent = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    struct itimerspec past = {{0, 0}, {1, 0}};
    if (timerfd_settime(spent, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &past, NULL)) cannot_prepare("timer of the past");
    _Atomic int *odd = shared_memory(4096);
    pid_t child = fork();
    if (child == 0) {
        set_odd();
        *odd = 1;
        wait_for_finish();
        expect_odd();
        _exit(0);
    }
    pid_t living = child_with_end_signal(100);
    if (living == 0) {
        wait_for_finish();
        _exit(3);
    }
    pid_t zombie = child_with_end_signal(255);
    if (zombie == 0) _exit(4);
    while (!*odd) nap_ms(5);
    siginfo_t ended;
    waitid(P_PID, (id_t)zombie, &ended, WEXITED | WNOWAIT | __WALL);
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) start_thread(waits[i], NULL);
    nap_ms(100);
    say_ready();
    wait_for_finish();
    // A hundred years of 292 are left, whatever the clocks show.
    const int64_t century = 100LL * 365 * 86400;
    for (int i = 0; i < 3; i++) {
        struct itimerspec value;
        expect(left(relative[i]) > century && left(absolute[i]) > century, "timerfd %d has %lld s left", i, (long long)left(relative[i]));
        timer_gettime(timers[i], &value);
        expect(value.it_value.tv_sec > century && value.it_interval.tv_sec > century, "timer %d has %lld s left", i, (long long)value.it_value.tv_sec);
        struct itimerval interval;
        getitimer(i, &interval);
        expect(interval.it_value.tv_sec > century, "interval timer %d has %lld s left", i, (long long)interval.it_value.tv_sec);
    }
    uint64_t expirations = 0;
    expect(read(spent, &expirations, sizeof expirations) == sizeof expirations && expirations == 1, "the timer of the past: %llu", (unsigned long long)expirations);
    int status = 0;
    expect(waitpid(child, &status, 0) == child && status == 0, "the odd child: %x", status);
    expect(waitpid(living, &status, __WALL) == living && status == 3 << 8, "the living child: %x", status);
    expect(waitpid(zombie, &status, __WALL) == zombie && status == 4 << 8, "the zombie: %x", status);
    return verdict("extremes");
}
