// Property: actions, masks, pending signals with their values, alternate stacks and timers stay.
#include "workload.h"
#include <sys/prctl.h>
#include <sys/time.h>

static _Atomic uint64_t real_ticks, profiling_ticks, virtual_ticks, worked;
static volatile sig_atomic_t values[16], codes[16];
static volatile int delivered;
static uint8_t *alternate;
static volatile bool on_alternate;

static void on_value(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    if (delivered < 16) {
        values[delivered] = info->si_value.sival_int;
        codes[delivered] = info->si_code;
    }
    delivered++;
}

static void on_real(int number) { (void)number, real_ticks++; }
static void on_profiling(int number) { (void)number, profiling_ticks++; }
static void on_virtual(int number) { (void)number, virtual_ticks++; }

static void on_alternate_stack(int number) {
    (void)number;
    uint8_t here;
    on_alternate = &here >= alternate && &here < alternate + 65536;
}

static void set_action(int number, void (*handler)(int), int flags, int also_blocked) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    if (also_blocked) sigaddset(&action.sa_mask, also_blocked);
    if (sigaction(number, &action, NULL)) cannot_prepare("action");
}

static void expect_action(int number, void (*handler)(int), int flags, int also_blocked) {
    struct sigaction action;
    sigaction(number, NULL, &action);
    expect(action.sa_handler == handler && (action.sa_flags & ~0x04000000) == flags, "the action of signal %d changed",
           number);
    expect(!also_blocked || sigismember(&action.sa_mask, also_blocked), "the mask of signal %d's action changed", number);
}

static void set_timer(int which, long microseconds) {
    struct itimerval value = {{0, microseconds}, {0, microseconds}};
    if (setitimer(which, &value, NULL)) cannot_prepare("interval timer");
}

static void expect_timer(int which, long microseconds) {
    struct itimerval value;
    getitimer(which, &value);
    expect(value.it_interval.tv_sec == 0 && value.it_interval.tv_usec >= microseconds &&
               value.it_interval.tv_usec < microseconds + 8000,
           "the interval of timer %d is %ld us", which, (long)value.it_interval.tv_usec);
}

static void *worker(void *argument) {
    sigset_t *all = argument;
    pthread_sigmask(SIG_SETMASK, all, NULL);
    pthread_kill(pthread_self(), SIGUSR2);  // stays pending for this thread alone
    worked = 1;
    while (!finish_wanted()) worked++;
    sigset_t pending;
    sigpending(&pending);
    if (!sigismember(&pending, SIGUSR2)) fail("the thread's pending signal is gone");
    worked = 0;
    return NULL;
}

static void spin_until(_Atomic uint64_t *ticks, uint64_t more, const char *name) {
    uint64_t begin = *ticks;
    for (int64_t end = now_ns() + 20000000000LL; *ticks < begin + more;)
        if (now_ns() > end) {
            fail("%s stands still", name);
            return;
        }
}

int run_signals(int count, char **arguments) {
    (void)count, (void)arguments;
    alternate = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack_t stack = {.ss_sp = alternate, .ss_size = 65536};
    if (sigaltstack(&stack, NULL)) cannot_prepare("alternate stack");

    struct sigaction value_action = {.sa_sigaction = on_value, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGRTMIN + 2, &value_action, NULL);
    sigaction(SIGUSR1, &value_action, NULL);
    set_action(SIGALRM, on_real, SA_RESTART, SIGTERM);
    set_action(SIGPROF, on_profiling, SA_RESTART, 0);
    set_action(SIGVTALRM, on_virtual, SA_RESTART, 0);
    set_action(SIGHUP, on_alternate_stack, SA_ONSTACK, 0);
    set_action(SIGTERM, SIG_IGN, 0, 0);
    set_action(SIGQUIT, SIG_DFL, 0, 0);
    set_action(SIGWINCH, on_alternate_stack, (int)(SA_RESETHAND | SA_NODEFER), 0);

    sigset_t blocked, all;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGRTMIN + 2);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGHUP);
    pthread_sigmask(SIG_SETMASK, &blocked, NULL);
    for (int i = 0; i < 3; i++) sigqueue(getpid(), SIGRTMIN + 2, (union sigval){.sival_int = 100 + i});
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 777});
    kill(getpid(), SIGHUP);

    sigfillset(&all);
    start_thread(worker, &all);
    while (!worked) nap_ms(1);
    set_timer(ITIMER_REAL, 20000);
    set_timer(ITIMER_PROF, 30000);
    set_timer(ITIMER_VIRTUAL, 30000);
    prctl(PR_SET_TIMERSLACK, 123456);
    say_ready();
    // Timers interrupt these sleeps in an undisturbed run, too.
    while (!finish_wanted()) pause();
    while (worked) nap_ms(5);

    expect(prctl(PR_GET_TIMERSLACK) == 123456, "the timer slack changed");
    expect_timer(ITIMER_REAL, 20000);
    expect_timer(ITIMER_PROF, 30000);
    expect_timer(ITIMER_VIRTUAL, 30000);
    spin_until(&real_ticks, 5, "the real timer");
    spin_until(&profiling_ticks, 5, "the profiling timer");
    spin_until(&virtual_ticks, 5, "the virtual timer");
    expect_action(SIGALRM, on_real, SA_RESTART, SIGTERM);
    expect_action(SIGPROF, on_profiling, SA_RESTART, 0);
    expect_action(SIGTERM, SIG_IGN, 0, 0);
    expect_action(SIGHUP, on_alternate_stack, SA_ONSTACK, 0);
    expect_action(SIGWINCH, on_alternate_stack, (int)(SA_RESETHAND | SA_NODEFER), 0);
    expect_action(SIGQUIT, SIG_DFL, 0, 0);
    kill(getpid(), SIGTERM);

    sigset_t seen;
    pthread_sigmask(SIG_SETMASK, NULL, &seen);
    for (int s = 1; s < 65; s++)
        if (sigismember(&seen, s) != sigismember(&blocked, s)) fail("signal %d in the mask changed", s);
    expect(delivered == 0, "a blocked signal was delivered");
    stack_t now;
    sigaltstack(NULL, &now);
    expect(now.ss_sp == alternate && now.ss_size == 65536, "the alternate stack changed");

    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    expect(delivered == 4, "%d signals were pending, not 4", delivered);
    expect(on_alternate, "the handler did not run on the alternate stack");
    int sum = 0;
    for (int i = 0; i < delivered && i < 16; i++) {
        expect(codes[i] == SI_QUEUE, "pending signal %d has code %d", i, codes[i]);
        sum += values[i];
    }
    expect(sum == 777 + 303, "the pending signals carried other values");
    return verdict("signals");
}
