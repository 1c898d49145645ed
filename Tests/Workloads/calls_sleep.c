// Calls that wait for a time, a futex or a signal, and need no other object.
#include "calls.h"
#include <linux/futex.h>
#include <sys/select.h>
#include <sys/time.h>

// MARK: nanosleep and clock_nanosleep

static void sleep_on(struct trial *t, clockid_t clock) {
    struct timespec asked = time_of(ASKED_NS), left = time_of(0);
    TRY(t, SYS_clock_nanosleep, clock, 0, &asked, &left);
    if (t->error == EINTR) t->left_ns = ns_of(left);
}
static void sleep_until(struct trial *t, clockid_t clock) {
    struct timespec end = asked_end(clock);
    TRY(t, SYS_clock_nanosleep, clock, TIMER_ABSTIME, &end, NULL);
}
static void nanosleep_without(struct trial *t) {
    struct long_time asked = long_time_of(ASKED_NS);
    TRY(t, SYS_nanosleep, &asked, NULL);
}
static void nanosleep_with(struct trial *t) {
    struct long_time asked = long_time_of(ASKED_NS), left = {0, 0};
    TRY(t, SYS_nanosleep, &asked, &left);
    if (t->error == EINTR) t->left_ns = left.seconds * 1000000000LL + left.nanoseconds;
}
static void sleep_monotonic(struct trial *t) { sleep_on(t, CLOCK_MONOTONIC); }
static void sleep_realtime(struct trial *t) { sleep_on(t, CLOCK_REALTIME); }
static void sleep_boottime(struct trial *t) { sleep_on(t, CLOCK_BOOTTIME); }
static void sleep_tai(struct trial *t) { sleep_on(t, CLOCK_TAI); }
static void until_monotonic(struct trial *t) { sleep_until(t, CLOCK_MONOTONIC); }
static void until_realtime(struct trial *t) { sleep_until(t, CLOCK_REALTIME); }

// MARK: processor time, which a process uses at the rate of a sixth of a processor

static _Atomic pid_t spinner_tid;

static void spin_for_ever(void) {
    for (;;) {
        for (int64_t end = now_ns() + 5000000; now_ns() < end;) continue;
        nap_ms(25);
    }
}
static void *spin(void *unused) {
    spinner_tid = (pid_t)syscall(SYS_gettid);
    spin_for_ever();
    return unused;
}
static void use_processor(struct trial *t, clockid_t clock) {
    struct timespec asked = time_of(ASKED_NS / 5), left;
    TRY(t, SYS_clock_nanosleep, clock, 0, &asked, &left);
}
static void own_processor_time(struct trial *t) {
    start_thread(spin, NULL);
    use_processor(t, CLOCK_PROCESS_CPUTIME_ID);
}
static void thread_processor_time(struct trial *t) {
    start_thread(spin, NULL);
    while (!spinner_tid) nap_ms(1);
    use_processor(t, (clockid_t)(~spinner_tid * 8 | 6));
}
static void start_spinner(struct trial *t) {
    pid_t child = fork();
    if (child == 0) {
        while (!t->word) {
            for (int64_t end = now_ns() + 5000000; now_ns() < end;) continue;
            nap_ms(25);
        }
        _exit(0);
    }
    t->descriptors[0] = child;
}
static void other_processor_time(struct trial *t) {
    use_processor(t, (clockid_t)(~t->descriptors[0] * 8 | 2));
    t->word = 1;
}

// MARK: futex

static void futex_relative(struct trial *t) {
    struct timespec asked = time_of(ASKED_NS);
    TRY(t, SYS_futex, &t->word, FUTEX_WAIT, 0, &asked, NULL, 0);
}
static void futex_private(struct trial *t) {
    static uint32_t word;
    struct timespec asked = time_of(ASKED_NS);
    TRY(t, SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &asked, NULL, 0);
}
static void futex_endless(struct trial *t) { TRY(t, SYS_futex, &t->word, FUTEX_WAIT, 0, NULL, NULL, 0); }
// A waiter that a checkpoint has stopped at this instant is not in the futex's queue, and the word does not change: the wake
// would be lost. It is made again until there was a waiter.
static void futex_wake(struct trial *t) {
    for (int i = 0; i < 5000 && !t->ended && syscall(SYS_futex, &t->word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0; i++) usleep(1000);
}
static void futex_woken(struct trial *t) {
    struct timespec asked = time_of(ASKED_NS * 5);
    TRY(t, SYS_futex, &t->word, FUTEX_WAIT, 0, &asked, NULL, 0);
}
static void futex_bitset(struct trial *t) {
    struct timespec end = asked_end(CLOCK_MONOTONIC);
    TRY(t, SYS_futex, &t->word, FUTEX_WAIT_BITSET, 0, &end, NULL, 0x30);
}
static void futex_bitset_realtime(struct trial *t) {
    struct timespec end = asked_end(CLOCK_REALTIME);
    TRY(t, SYS_futex, &t->word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &end, NULL, FUTEX_BITSET_MATCH_ANY);
}
struct vector {
    uint64_t value, address;
    uint32_t flags, reserved;
};
static void futex_vector(struct trial *t) {
    static uint32_t words[2];
    struct vector vector[2] = {{0, (uintptr_t)&words[0], 2 | 128, 0}, {0, (uintptr_t)&words[1], 2 | 128, 0}};
    struct wide_time end = wide_time_of(clock_ns(CLOCK_MONOTONIC) + ASKED_NS);
    TRY(t, 449, vector, 2, 0, &end, CLOCK_MONOTONIC);
}
static void futex2(struct trial *t) {
    static uint32_t word;
    struct wide_time end = wide_time_of(clock_ns(CLOCK_MONOTONIC) + ASKED_NS);
    TRY(t, 455, &word, 0UL, ~0U & 0xffffffffUL, 2 | 128, &end, CLOCK_MONOTONIC);
}
static uint32_t priority_lock;
static _Atomic bool lock_held;
static void *hold_lock(void *argument) {
    struct trial *t = argument;
    syscall(SYS_futex, &priority_lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    lock_held = true;
    char byte;
    while (read(t->descriptors[0], &byte, 1) < 0) continue;
    syscall(SYS_futex, &priority_lock, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    for (;;) nap_ms(1000);
    return NULL;
}
static void futex_priority(struct trial *t) {
    start_thread(hold_lock, t);
    while (!lock_held) nap_ms(1);
    TRY(t, SYS_futex, &priority_lock, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    snprintf(t->wrote, sizeof t->wrote, "owner-is-me:%d", (priority_lock & 0x3fffffff) == (uint32_t)getpid());
}

// MARK: signals

static void make_pipe(struct trial *t) {
    if (pipe(t->descriptors)) cannot_prepare("pipe");
}
static void write_byte(struct trial *t) {
    if (write(t->descriptors[1], "x", 1) != 1) fail("write: %s", strerror(errno));
}
static void send_signal(struct trial *t) { kill(t->pid, SIGUSR1); }
static void send_awaited(struct trial *t) {
    union sigval value = {.sival_int = 4711};
    sigqueue(t->pid, SIGUSR2, value);
}
static uint64_t blocked_usr2(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return 1ULL << (SIGUSR2 - 1);
}
static void until_signal(struct trial *t) { TRY(t, SYS_pause); }
static void suspend(struct trial *t) {
    uint64_t mask = blocked_usr2();
    TRY(t, SYS_rt_sigsuspend, &mask, 8);
}
static void await_signal(struct trial *t) {
    uint64_t mask = blocked_usr2();
    struct timespec asked = time_of(ASKED_NS);
    TRY(t, SYS_rt_sigtimedwait, &mask, NULL, &asked, 8);
}
static void await_signal_endless(struct trial *t) {
    uint64_t mask = blocked_usr2();
    siginfo_t info = {0};
    TRY(t, SYS_rt_sigtimedwait, &mask, &info, NULL, 8);
    snprintf(t->wrote, sizeof t->wrote, "value:%d", info.si_value.sival_int);
}

// MARK: timers that signal

/// The time that counts begins when the timer is set, not when the wait begins: the thread can lose its processor in between.
static void await_alarm(struct trial *t, int64_t begin) {
    uint64_t mask = 1ULL << (SIGALRM - 1);
    TRY(t, SYS_rt_sigtimedwait, &mask, NULL, NULL, 8);
    t->begin = begin;
}
static void block_alarm(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, NULL);
}
static void wait_for_alarm(struct trial *t) {
    block_alarm();
    int64_t begin = now_ns();
    alarm(ASKED_NS / 1000000000);
    await_alarm(t, begin);
}
// The second expiration: the first comes after three quarters of the time.
static void wait_for_interval_timer(struct trial *t) {
    block_alarm();
    struct itimerval periodic = {{ASKED_NS / 4 / 1000000000, 0}, {ASKED_NS / 4 * 3 / 1000000000, 0}};
    int64_t begin = now_ns();
    setitimer(ITIMER_REAL, &periodic, NULL);
    await_alarm(t, begin);
    if (t->result == SIGALRM) await_alarm(t, begin);
}
static void wait_for_timer(struct trial *t) {
    block_alarm();
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct itimerspec once = {.it_value = time_of(ASKED_NS)};
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer)) cannot_prepare("timer");
    int64_t begin = now_ns();
    timer_settime(timer, 0, &once, NULL);
    await_alarm(t, begin);
}

// MARK: children

static void child_ends(struct trial *t, bool by_id) {
    pid_t child = fork();
    if (child == 0) {
        char byte;
        while (read(t->descriptors[0], &byte, 1) < 0) continue;
        _exit(7);
    }
    siginfo_t info = {0};
    int status = 0;
    if (by_id)
        TRY(t, SYS_waitid, P_PID, child, &info, WEXITED, NULL);
    else
        TRY(t, SYS_wait4, child, &status, 0, NULL);
    if (t->result == child) t->result = 1;
    snprintf(t->wrote, sizeof t->wrote, "status:%d", by_id ? info.si_status : status);
    if (t->error) kill(child, SIGKILL);
}
static void wait_child(struct trial *t) { child_ends(t, false); }
static void wait_child_by_id(struct trial *t) { child_ends(t, true); }

const struct call sleep_calls[] = {
    {"nanosleep", RESTARTABLE, NULL, nanosleep_without, NULL},
    {"nanosleep-rest", RESTARTABLE, NULL, nanosleep_with, NULL},
    {"clock-monotonic", RESTARTABLE, NULL, sleep_monotonic, NULL},
    {"clock-realtime", RESTARTABLE, NULL, sleep_realtime, NULL},
    {"clock-boottime", RESTARTABLE, NULL, sleep_boottime, NULL},
    {"clock-tai", RESTARTABLE, NULL, sleep_tai, NULL},
    {"until-monotonic", RESTARTABLE, NULL, until_monotonic, NULL},
    {"until-realtime", RESTARTABLE | WALL, NULL, until_realtime, NULL},
    {"processor-own", RESTARTABLE | PROCESSOR, NULL, own_processor_time, NULL},
    {"processor-thread", RESTARTABLE | PROCESSOR, NULL, thread_processor_time, NULL},
    {"processor-other", RESTARTABLE | PROCESSOR, start_spinner, other_processor_time, NULL},
    {"futex", RESTARTABLE, NULL, futex_relative, NULL},
    {"futex-private", RESTARTABLE, NULL, futex_private, NULL},
    {"futex-endless", RESTARTABLE, NULL, futex_endless, futex_wake},
    {"futex-woken", RESTARTABLE, NULL, futex_woken, futex_wake},
    {"futex-bitset", RESTARTABLE, NULL, futex_bitset, NULL},
    {"futex-realtime", RESTARTABLE, NULL, futex_bitset_realtime, NULL},
    {"futex-waitv", RESTARTABLE, NULL, futex_vector, NULL},
    {"futex-wait", RESTARTABLE, NULL, futex2, NULL},
    {"futex-lock-pi", RESTARTABLE, make_pipe, futex_priority, write_byte},
    {"pause", RESTARTABLE, NULL, until_signal, send_signal},
    {"sigsuspend", RESTARTABLE, NULL, suspend, send_signal},
    {"sigtimedwait", RESTARTABLE, NULL, await_signal, NULL},
    {"sigwaitinfo", RESTARTABLE, NULL, await_signal_endless, send_awaited},
    {"alarm", RESTARTABLE, NULL, wait_for_alarm, NULL},
    {"interval-timer", RESTARTABLE, NULL, wait_for_interval_timer, NULL},
    {"posix-timer", RESTARTABLE, NULL, wait_for_timer, NULL},
    {"wait4", RESTARTABLE, make_pipe, wait_child, write_byte},
    {"waitid", RESTARTABLE, make_pipe, wait_child_by_id, write_byte},
    {0},
};
