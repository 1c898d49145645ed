// Property: state that the kernel keeps by task number works with new numbers: the process that a wait is for, the sender
// of a signal, the thread of a timer, the process whose processor time a sleep counts. No check here compares with an old
// number, because numbers can be others after a restart.
#include "workload.h"

enum { waiters = 4 };

struct notes {
    _Atomic pid_t child[waiters];   // the pid of each child at its end
    _Atomic int waiting[waiters];
    _Atomic pid_t sender;
    _Atomic int sent;
    _Atomic int asked;
    _Atomic uint64_t expirations;
    _Atomic int sleeping;
};

static struct notes *notes;

static void wait_for_child(int number) {
    pid_t child = fork();
    if (child == 0) {
        if (number == 1 || number == 3) setpgid(0, 0);
        wait_for_finish();
        notes->child[number] = getpid();
        _exit(40 + number);
    }
    if (number == 1 || number == 3)
        while (getpgid(child) != child) nap_ms(1);
    notes->waiting[number] = 1;
    int status = -1;
    pid_t ended = -1;
    siginfo_t info = {0};
    switch (number) {
    case 0: ended = waitpid(child, &status, 0); break;
    case 1: ended = waitpid(-child, &status, 0); break;
    default:
        if (waitid(number == 2 ? P_PID : P_PGID, child, &info, WEXITED) == 0) ended = info.si_pid;
        status = info.si_status << 8;
    }
    expect(ended == notes->child[number], "waiter %d: %d ended, not %d: %s", number, ended, notes->child[number], strerror(errno));
    expect(status == (40 + number) << 8, "waiter %d: status 0x%x", number, status);
    _exit(0);
}

static void send_and_stay(pid_t parent) {
    kill(parent, SIGUSR1);
    sigqueue(parent, SIGRTMIN + 1, (union sigval){.sival_int = 5});
    syscall(SYS_tgkill, parent, parent, SIGUSR2);
    notes->sent = 1;
    while (!notes->asked) nap_ms(2);
    notes->sender = getpid();
    while (notes->asked != 2) nap_ms(2);
    _exit(0);
}

static void *take_expirations(void *unused) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 2);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 2};
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    struct itimerspec every = {{0, 10000000}, {0, 10000000}};
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &every, NULL) != 0)
        cannot_prepare("timer");
    for (;;)
        if (sigwaitinfo(&set, NULL) == SIGRTMIN + 2) notes->expirations++;
    return unused;
}

/// Sleeps until another process has used some processor time.
static void sleep_on_work_of(pid_t worker) {
    clockid_t clock;
    if (clock_getcpuclockid(worker, &clock) != 0) cannot_prepare("clock of another process");
    notes->sleeping = 1;
    int result = clock_nanosleep(clock, 0, &(struct timespec){1, 500000000}, NULL);
    expect(result == 0, "sleep on another's processor time: %s", strerror(result));
    notes->sleeping = 2;
    _exit(0);
}

static void expect_sender(int number, const char *what) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    siginfo_t info = {0};
    int found = sigtimedwait(&set, &info, &(struct timespec){0, 0});
    expect(found == number, "%s is not pending", what);
    expect(info.si_pid == notes->sender, "%s comes from %d, not %d", what, info.si_pid, notes->sender);
}

int run_renumbered(int count, char **arguments) {
    (void)count, (void)arguments;
    notes = shared_memory(sizeof *notes);
    sigset_t blocked;
    sigfillset(&blocked);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    pid_t waiter[waiters];
    for (int number = 0; number < waiters; number++) {
        waiter[number] = fork();
        if (waiter[number] == 0) wait_for_child(number);
    }
    pid_t parent = getpid();
    if (fork() == 0) send_and_stay(parent);
    pid_t worker = fork();
    if (worker == 0)
        for (volatile uint64_t work = 0;; work++) {}
    if (fork() == 0) sleep_on_work_of(worker);
    start_thread(take_expirations, NULL);
    for (int number = 0; number < waiters; number++)
        while (!notes->waiting[number]) nap_ms(1);
    while (!notes->sent || !notes->sleeping) nap_ms(1);
    // Takes the signals of the children so far: the next one is about a zombie.
    if (fork() == 0) _exit(9);
    siginfo_t zombie = {0};
    while (waitid(P_ALL, 0, &zombie, WEXITED | WNOHANG | WNOWAIT) != 0 || zombie.si_pid == 0) nap_ms(1);
    nap_ms(20);
    say_ready();
    wait_for_finish();

    notes->asked = 1;
    while (!notes->sender) nap_ms(1);
    expect_sender(SIGUSR1, "a signal by kill");
    expect_sender(SIGRTMIN + 1, "a signal by sigqueue");
    expect_sender(SIGUSR2, "a signal by tgkill");
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    siginfo_t info = {0};
    sigtimedwait(&child, &info, &(struct timespec){0, 0});
    // The waiters end by themselves; the worker never does.
    int left = waiters, status;
    for (int tries = 0; left > 0 && tries < 3000; tries++) {
        pid_t ended = waitpid(-1, &status, WNOHANG);
        if (ended == 0) nap_ms(10);
        if (ended > 0 && status == 0) left--;
        if (ended > 0 && status == 9 << 8) expect(info.si_pid == ended, "SIGCHLD is about %d, not %d", info.si_pid, ended);
    }
    expect(left == 0, "%d waiters do not end", left);
    notes->asked = 2;
    expect_progress("timer of a thread", &notes->expirations, 5);
    for (int i = 0; notes->sleeping != 2 && i < 2000; i++) nap_ms(10);
    expect(notes->sleeping == 2, "the sleep on another's processor time does not end");
    // Signals them by the numbers that they have now.
    char path[64], line[512] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(line, sizeof line, file) == NULL) fail("no list of children");
    if (file) fclose(file);
    for (char *number = strtok(line, " \n"); number; number = strtok(NULL, " \n")) kill(atoi(number), SIGKILL);
    while (waitpid(-1, NULL, 0) > 0) {}
    return verdict("renumbered");
}
