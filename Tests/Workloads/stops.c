// Property: children that are stopped or were continued stay so. Their parent gets the report of it by wait(2) exactly if it
// had not got it before.
#include "relatives.h"

enum { STOP_TOLD, STOP_UNTOLD, TERMINAL_STOP_UNTOLD, CONTINUED_UNTOLD, THREADS_TOLD, CONTINUED_TOLD, CHILDREN };

static const struct {
    const char *name;
    int signal;     // that stops it
    bool goes_on;   // by SIGCONT
    bool is_told;   // the parent has waited
} cases[CHILDREN] = {
    [STOP_TOLD] = {"stopped, told", SIGSTOP, false, true},
    [STOP_UNTOLD] = {"stopped, not told", SIGSTOP, false, false},
    [TERMINAL_STOP_UNTOLD] = {"stopped by SIGTSTP, not told", SIGTSTP, false, false},
    [CONTINUED_UNTOLD] = {"continued, not told", SIGSTOP, true, false},
    [THREADS_TOLD] = {"stopped threads, told", SIGSTOP, false, true},
    [CONTINUED_TOLD] = {"continued, told", SIGSTOP, true, true},
};

static struct family *children;
static pid_t pids[CHILDREN];
static uint64_t counts[CHILDREN];

static void *count_on(void *number) {
    while (true) {
        children->members[CHILDREN + (intptr_t)number].count++;
        nap_ms(2);
    }
}

static void child(int number) {
    setpgid(0, 0);
    if (number == THREADS_TOLD) start_thread(count_on, NULL);
    children->members[number].ready = 1;
    while (!children->finish) {
        children->members[number].count++;
        nap_ms(2);
    }
    _exit(0);
}

/// Looks at the report for the parent without taking it: 0 if there is none, else its code (CLD_...).
static int report(int number, int *status) {
    siginfo_t info = {0};
    if (waitid(P_PID, pids[number], &info, WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT) < 0) return -1;
    *status = info.si_status;
    return info.si_pid == 0 ? 0 : info.si_code;
}

static void take(int number, int options) {
    int status = 0;
    if (waitpid(pids[number], &status, options) != pids[number]) cannot_prepare("report");
}

static void check(int number) {
    int status = 0, code = report(number, &status);
    int wanted = cases[number].is_told ? 0 : cases[number].goes_on ? CLD_CONTINUED : CLD_STOPPED;
    expect(code == wanted, "%s: the report is %d, not %d", cases[number].name, code, wanted);
    if (wanted == CLD_STOPPED)
        expect(status == cases[number].signal, "%s: by signal %d", cases[number].name, status);
    if (!cases[number].goes_on)
        expect(children->members[number].count == counts[number], "%s: it runs", cases[number].name);
}

static bool child_signal_is_pending(void) {
    sigset_t set;
    sigpending(&set);
    return sigismember(&set, SIGCHLD);
}

int run_stops(int count, char **arguments) {
    (void)count, (void)arguments;
    children = shared_memory(sizeof *children);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < CHILDREN; i++) {
        pids[i] = fork();
        if (pids[i] < 0) cannot_prepare("child");
        if (pids[i] == 0) child(i);
        while (!children->members[i].ready) nap_ms(1);
        kill(pids[i], cases[i].signal);
        siginfo_t info;
        if (waitid(P_PID, pids[i], &info, WSTOPPED | WNOWAIT)) cannot_prepare("stop");
        if (cases[i].is_told || cases[i].goes_on) take(i, WUNTRACED);
        if (cases[i].goes_on) {
            kill(pids[i], SIGCONT);
            if (waitid(P_PID, pids[i], &info, WCONTINUED | WNOWAIT)) cannot_prepare("continue");
            if (cases[i].is_told) take(i, WCONTINUED);
        }
        counts[i] = children->members[i].count;
    }
    uint64_t thread = children->members[CHILDREN].count;
    // The signal of a continuation comes when the child has its turn, later than the report.
    nap_ms(100);
    struct timespec none = {0, 0};
    while (sigtimedwait(&set, NULL, &none) > 0) {}
    say_ready();

    while (!finish_wanted()) {
        for (int i = 0; i < CHILDREN; i++) check(i);
        expect(!child_signal_is_pending(), "a SIGCHLD is pending that no child caused");
        nap_ms(5);
    }

    for (int i = 0; i < CHILDREN; i++) {
        check(i);
        if (cases[i].goes_on) {
            expect_progress(cases[i].name, &children->members[i].count, 2);
        } else {
            expect(state_of(pids[i]) == 'T', "%s: its state is %c", cases[i].name, state_of(pids[i]));
        }
    }
    expect(children->members[CHILDREN].count == thread, "the thread of a stopped process runs");
    children->finish = 1;
    for (int i = 0; i < CHILDREN; i++) {
        kill(pids[i], SIGCONT);
        int status = -1;
        expect(waitpid(pids[i], &status, 0) == pids[i] && status == 0, "%s: ended with %x", cases[i].name, status);
    }
    return verdict("stops");
}
