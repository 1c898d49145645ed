// Property: POSIX timers keep ids, times, values, overruns and the signals that wait.
#include "workload.h"
#include <sys/prctl.h>

static _Atomic uint64_t ticks, thread_ticks, wrong;
static int ids[16];
static int count_of_ids;
static _Atomic long worker_tid;

static void on_tick(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    if (info->si_code != SI_TIMER || info->si_value.sival_int != 1234) wrong++;
    ticks++;
}

static void on_thread_tick(int number, siginfo_t *info, void *context) {
    (void)number, (void)info, (void)context;
    if (syscall(SYS_gettid) != worker_tid) wrong++;
    thread_ticks++;
}

/// timer_create without glibc, which hides the kernel's ids.
static int create(int clock, int notify, int number, uint64_t value, int tid) {
#if defined(__i386__)
    int event[16] = {(int)value, number, notify, tid};
#else
    int event[16] = {(int)value, (int)(value >> 32), number, notify, tid};
#endif
    int id = -1;
    if (syscall(SYS_timer_create, clock, event, &id)) cannot_prepare("timer");
    return ids[count_of_ids++] = id;
}

static void set(int id, int flags, int64_t first, int64_t interval) {
    struct itimerspec value = {{interval / 1000000000, interval % 1000000000}, {first / 1000000000, first % 1000000000}};
    if (syscall(SYS_timer_settime, id, flags, &value, NULL)) cannot_prepare("time of a timer");
}

static int64_t left(int id) {
    struct itimerspec value = {{0, 0}, {0, 0}};
    expect(syscall(SYS_timer_gettime, id, &value) == 0, "there is no timer %d", id);
    return value.it_value.tv_sec * 1000000000LL + value.it_value.tv_nsec;
}

static int64_t interval(int id) {
    struct itimerspec value = {{0, 0}, {0, 0}};
    syscall(SYS_timer_gettime, id, &value);
    return value.it_interval.tv_sec * 1000000000LL + value.it_interval.tv_nsec;
}

static void *worker(void *argument) {
    sigset_t *mine = argument;
    worker_tid = syscall(SYS_gettid);
    pthread_sigmask(SIG_UNBLOCK, mine, NULL);
    while (!finish_wanted()) nap_ms(3);
    // A tick after this instant could not be compared any more.
    pthread_sigmask(SIG_BLOCK, mine, NULL);
    worker_tid = 0;
    return NULL;
}

static void *end_at_once(void *tid) {
    *(_Atomic long *)tid = syscall(SYS_gettid);
    while (*(_Atomic long *)tid > 0) nap_ms(1);
    return NULL;
}

/// A timer for a thread that has ended: nobody gets its signal.
static int create_for_ended_thread(void) {
    static _Atomic long tid;
    start_thread(end_at_once, (void *)&tid);
    while (!tid) nap_ms(1);
    long ended = tid;
    int id = create(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGRTMIN + 5, 55, (int)ended);
    tid = -1;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%ld", ended);
    while (access(path, F_OK) == 0) nap_ms(1);
    return id;
}

int run_posixtimers(int count, char **arguments) {
    (void)count, (void)arguments;
    struct sigaction action = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGRTMIN + 4, &action, NULL);
    action.sa_sigaction = on_thread_tick;
    sigaction(SIGRTMIN + 5, &action, NULL);
    sigset_t held, mine;
    sigemptyset(&held);
    for (int i = 5; i < 10; i++) sigaddset(&held, SIGRTMIN + i);
    pthread_sigmask(SIG_BLOCK, &held, NULL);
    sigemptyset(&mine);
    sigaddset(&mine, SIGRTMIN + 5);
    start_thread(worker, &mine);
    while (!worker_tid) nap_ms(1);
    long tid = worker_tid;

    const int64_t ms = 1000000, minutes = 600000 * ms;
    int gone = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGALRM, 0, 0);
    int tick = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 4, 1234, 0);
    int to_thread = create(CLOCK_BOOTTIME, SIGEV_THREAD_ID, SIGRTMIN + 5, 5, (int)tid);
    int silent = create(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0);
    int far = create(CLOCK_REALTIME, SIGEV_SIGNAL, SIGALRM, 0x123456789abcULL, 0);
    int absolute = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGALRM, 0, 0);
    int idle = create(CLOCK_TAI, SIGEV_SIGNAL, SIGALRM, 0, 0);
    int once = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 6, 66, 0);
    int late = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 7, 77, 0);
    int overrun = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 8, 88, 0);
    int thread_once = create(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGRTMIN + 9, 99, getpid());
    int worked = create(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGALRM, 0, 0);
    int own_clock = create((clockid_t)((unsigned)~getpid() << 3 | 2), SIGEV_SIGNAL, SIGALRM, 0, 0);
    int orphan = create_for_ended_thread();
    syscall(SYS_timer_delete, gone);
    set(orphan, 0, minutes, 30 * ms);
    set(tick, 0, 5 * ms, 10 * ms);
    set(to_thread, 0, 5 * ms, 15 * ms);
    set(silent, 0, minutes, 20 * ms);
    set(far, 0, minutes, 0);
    set(absolute, TIMER_ABSTIME, now_ns() + minutes, 0);
    set(once, 0, 1 * ms, 0);
    set(late, 0, 1 * ms, 100 * ms);
    set(worked, 0, minutes, 3 * ms);
    set(own_clock, 0, minutes, 0);
    set(thread_once, 0, 1 * ms, 0);
    // Seven periods are over when the signal is taken: an overrun of six.
    int64_t begin = now_ns();
    set(overrun, TIMER_ABSTIME, begin - 6 * minutes - minutes / 2, minutes);
    sigset_t eighth;
    sigemptyset(&eighth);
    sigaddset(&eighth, SIGRTMIN + 8);
    struct timespec second = {1, 0};
    if (begin > 7 * minutes) {
        if (sigtimedwait(&eighth, NULL, &second) != SIGRTMIN + 8) cannot_prepare("overrun");
        if (syscall(SYS_timer_getoverrun, overrun) != 6) cannot_prepare("overrun of six");
    }
    int64_t rest_of_overrun = left(overrun);
    nap_ms(20);

    expect_progress("the timer", &ticks, 3);
    expect_progress("the thread's timer", &thread_ticks, 3);
    say_ready();
    wait_for_finish();

    int64_t passed = now_ns() - begin;
    expect(wrong == 0, "%llu signals came with a wrong value or to a wrong thread", (unsigned long long)wrong);
    uint64_t ticks_now = ticks, most = (uint64_t)passed / (10 * ms) + 50;
    expect(ticks_now <= most, "%llu ticks in %lld ns", (unsigned long long)ticks_now, (long long)passed);
    expect_progress("the timer", &ticks, 5);
    if (worker_tid) expect_progress("the thread's timer", &thread_ticks, 1);
    struct itimerspec value;
    expect(syscall(SYS_timer_gettime, gone, &value) < 0 && errno == EINVAL, "a deleted timer is back");
    const int long_ones[] = {silent, far, absolute, own_clock, orphan};
    for (int i = 0; i < 5; i++) {
        int64_t rest = left(long_ones[i]);
        expect(rest <= minutes && rest > minutes - passed - 1000 * ms, "timer %d has %lld ns left after %lld", long_ones[i],
               (long long)rest, (long long)passed);
    }
    expect(interval(silent) == 20 * ms && interval(far) == 0, "an interval changed");
    expect(left(worked) > 0 && left(worked) <= minutes, "the timer on CPU time is not armed");
    expect(left(idle) == 0, "the idle timer is armed");
    expect(left(once) == 0, "the one that expired is armed");
    if (begin > 7 * minutes) {
        expect(syscall(SYS_timer_getoverrun, overrun) == 6, "the overrun is %ld, not 6",
               syscall(SYS_timer_getoverrun, overrun));
        int64_t rest = left(overrun);
        expect(rest < rest_of_overrun && rest > rest_of_overrun - passed - 1000 * ms, "the timer has another phase");
    }

    siginfo_t info;
    struct timespec none = {0, 0};
    sigdelset(&held, SIGRTMIN + 5);
    // A thread's own signals come before those of the process.
    expect(sigtimedwait(&held, &info, &none) == SIGRTMIN + 9 && info.si_value.sival_int == 99,
           "the signal to the thread is wrong");
    expect(sigtimedwait(&held, &info, &none) == SIGRTMIN + 6 && info.si_code == SI_TIMER && info.si_value.sival_int == 66 &&
               info.si_timerid == once && info.si_overrun == 0,
           "the signal of the one that expired once is wrong: code %d, value %d", info.si_code, info.si_value.sival_int);
    expect(sigtimedwait(&held, &info, &none) == SIGRTMIN + 7 && info.si_code == SI_TIMER && info.si_value.sival_int == 77 &&
               info.si_timerid == late && info.si_overrun >= 0 && info.si_overrun <= passed / (100 * ms) + 1,
           "the signal of the periodic one is wrong: code %d, value %d, overrun %d", info.si_code,
           info.si_value.sival_int, info.si_overrun);
    expect(info.si_overrun == syscall(SYS_timer_getoverrun, late), "timer_getoverrun says something else");
    expect(left(late) > 0 && left(late) <= 100 * ms, "the periodic timer does not go on");
    if (begin <= 7 * minutes) sigtimedwait(&eighth, &info, &none);
    expect(sigtimedwait(&held, &info, &none) < 0, "signal %d came twice", info.si_signo);
    for (int i = 1; i < count_of_ids; i++)
        expect(syscall(SYS_timer_delete, ids[i]) == 0, "timer %d cannot be deleted", ids[i]);
    return verdict("posixtimers");
}
