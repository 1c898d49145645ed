// Property: what confines the system calls of threads goes on doing so, and only that.
//
//     sandboxes filters     threads with different stacks of filters; some calls are denied with an errno
//     sandboxes narrow      a process that may read, write and end only, with handlers and a timer
//     sandboxes strict      a process in the strict mode of seccomp(2)
//     sandboxes sleeping    a process that sleeps and may not call restart_syscall
//     sandboxes dispatched  a thread whose calls from outside of the C library become signals
#include "workload.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/time.h>

#define COUNT(array) (sizeof array / sizeof array[0])
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)

static void install(struct sock_filter *filter, size_t count, unsigned flags) {
    struct sock_fprog program = {(unsigned short)count, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program)) cannot_prepare("filter");
}

static void deny(int call, int error, unsigned flags) {
    struct sock_filter filter[] = {
        LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1), RETURN(SECCOMP_RET_ERRNO | (unsigned)error), RETURN(SECCOMP_RET_ALLOW),
    };
    install(filter, COUNT(filter), flags);
}

/// Allows these calls; denies getppid with 77; ends the process for anything else.
static void allow_only(const int *calls, int count) {
    struct sock_filter filter[64] = {
        LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0), RETURN(SECCOMP_RET_KILL_PROCESS), LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1), RETURN(SECCOMP_RET_ERRNO | 77),
    };
    int used = 6;
    for (int i = 0; i < count; i++) {
        filter[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, 1);
        filter[used++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    }
    filter[used++] = (struct sock_filter)RETURN(SECCOMP_RET_KILL_PROCESS);
    install(filter, (size_t)used, 0);
}

/// A line of a status file, as a number; -1 where there is none.
static long status_line(const char *path, const char *key) {
    char line[256];
    long value = -1;
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':') value = atol(line + strlen(key) + 1);
    if (file) fclose(file);
    return value;
}

static void expect_confinement(const char *path, int mode, int filters, int no_new_privileges) {
    long found[] = {status_line(path, "Seccomp"), status_line(path, "Seccomp_filters"), status_line(path, "NoNewPrivs")};
    expect(found[0] == mode && found[1] == filters && found[2] == no_new_privileges, "Seccomp %ld of %d, filters %ld of %d, NoNewPrivs %ld of %d",
           found[0], mode, found[1], filters, found[2], no_new_privileges);
}

static void expect_denied(int call, int error) {
    errno = 0;
    long result = syscall(call, 0);
    expect(error ? result == -1 && errno == error : result >= 0, "call %d: %ld, errno %d, not %d", call, result, errno, error);
}

// Filters of several threads.

static _Atomic uint64_t rounds[3];
static _Atomic int prepared, ending;

/// What thread N finds denied: getppid, getpgrp, getsid.
static const int denied[3][3] = {{77, 78, 0}, {77, 0, 79}, {77, 78, 79}};
static const int filters[3] = {2, 2, 3};

static void look(int number) {
    expect_denied(SYS_getppid, denied[number][0]);
    expect_denied(SYS_getpgrp, denied[number][1]);
    expect_denied(SYS_getsid, denied[number][2]);
    expect_confinement("/proc/thread-self/status", 2, filters[number], 1);
    rounds[number]++;
}

static void *filtered_thread(void *argument) {
    int number = (int)(intptr_t)argument;
    deny(SYS_getsid, 79, number == 1 ? SECCOMP_FILTER_FLAG_LOG : SECCOMP_FILTER_FLAG_SPEC_ALLOW);
    prepared++;
    while (!ending) {
        look(number);
        nap_ms(2);
    }
    return NULL;
}

static void run_filters(void) {
    deny(SYS_getppid, 77, 0);
    start_thread(filtered_thread, (void *)1);
    while (prepared < 1) nap_ms(1);
    deny(SYS_getpgrp, 78, SECCOMP_FILTER_FLAG_LOG);
    start_thread(filtered_thread, (void *)2);
    while (prepared < 2) nap_ms(1);
    say_ready();
    while (!finish_wanted()) {
        look(0);
        nap_ms(2);
    }
    expect_progress("thread 1", &rounds[1], 3);
    expect_progress("thread 2", &rounds[2], 3);
    ending = 1;
}

// Processes that may do next to nothing: what they can do is told by what they answer.

static volatile sig_atomic_t signals, alarms;

static void on_signal(int number) {
    if (number == SIGALRM) alarms++; else signals++;
}

struct question { char what; };
struct answer { int signals, alarms, pattern, denied; };

static int question_pipe[2], answer_pipe[2];
static unsigned char pattern[20000];
static const int narrow_calls[] = {SYS_read, SYS_write, SYS_exit, SYS_exit_group, SYS_rt_sigreturn};

/// Answers until it is told to end. Makes no calls but read, write and exit.
static void answer_questions(bool strict) {
    struct question question;
    while (syscall(SYS_read, question_pipe[0], &question, sizeof question) == (long)sizeof question) {
        struct answer answer = {signals, alarms, (int)wrong_byte(pattern, sizeof pattern, 9), 0};
        if (question.what == 'x') break;
        if (question.what == 'k') syscall(SYS_getpid);
        if (question.what == 'd' && !strict) {
            syscall(SYS_getppid);
            answer.denied = errno;
        }
        if (syscall(SYS_write, answer_pipe[1], &answer, sizeof answer) != (long)sizeof answer) break;
    }
    syscall(SYS_exit, 7);
}

static struct answer ask(char what) {
    struct answer answer = {-1, -1, -1, -1};
    struct question question = {what};
    if (write(question_pipe[1], &question, sizeof question) != sizeof question || read(answer_pipe[0], &answer, sizeof answer) != sizeof answer)
        fail("the confined process does not answer");
    return answer;
}

static void run_confined_process(bool strict) {
    if (pipe(question_pipe) || pipe(answer_pipe)) cannot_prepare("pipes");
    fill_pattern(pattern, sizeof pattern, 9);
    pid_t child = fork();
    if (child == 0) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
        sigaction(SIGUSR1, &action, NULL);
        sigaction(SIGALRM, &action, NULL);
        signal(SIGUSR2, SIG_IGN);
        close(question_pipe[1]);
        close(answer_pipe[0]);
        struct itimerval timer = {{0, 50000}, {0, 50000}};
        setitimer(ITIMER_REAL, &timer, NULL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_TIMERSLACK, 71000);
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        if (strict) {
            if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0)) _exit(3);
        } else {
            allow_only(narrow_calls, COUNT(narrow_calls));
        }
        answer_questions(strict);
    }
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", child);
    close(question_pipe[0]);
    close(answer_pipe[1]);
    ask('a');
    say_ready();
    int sent = 0, last = 0;
    while (!finish_wanted()) {
        kill(child, SIGUSR2);
        // One at a time: a second one that waits is the same as the first.
        kill(child, SIGUSR1);
        sent++;
        int64_t begin = now_ns();
        struct answer answer = ask(strict ? 'a' : 'd');
        while (answer.signals < sent && now_ns() - begin < 20000000000LL) answer = ask('a');
        expect(answer.signals == sent, "%d signals of %d", answer.signals, sent);
        expect(answer.pattern == -1, "byte %d is wrong", answer.pattern);
        expect_confinement(path, strict ? 1 : 2, strict ? 0 : 1, strict ? 0 : 1);
        nap_ms(5);
    }
    last = ask('a').alarms;
    int64_t begin = now_ns();
    while (ask('a').alarms < last + 2 && now_ns() - begin < 20000000000LL) nap_ms(5);
    expect(ask('a').alarms >= last + 2, "its timer has stopped at %d", last);
    if (!strict) expect(ask('d').denied == 77, "getppid is not denied");
    // What it may not call ends it still.
    struct question question = {'k'};
    int status = 0;
    expect(write(question_pipe[1], &question, sizeof question) == sizeof question && waitpid(child, &status, 0) == child, "no end");
    expect(WIFSIGNALED(status) && WTERMSIG(status) == (strict ? SIGKILL : SIGSYS), "it ended with %x", (unsigned)status);
}

static const int sleeping_calls[] = {
    SYS_nanosleep, SYS_clock_nanosleep, SYS_poll, SYS_futex, SYS_clock_gettime, SYS_exit_group, SYS_write, SYS_rt_sigprocmask,
};

static void run_sleeping(void) {
    _Atomic uint64_t *count = shared_memory(4096);
    pid_t child = fork();
    if (child == 0) {
        allow_only(sleeping_calls, COUNT(sleeping_calls));
        for (int kind = 0;; kind = (kind + 1) % 4) {
            struct timespec time = {0, 60000000};
            int word = 1;
            int64_t begin = now_ns();
            switch (kind) {
            case 0: syscall(SYS_nanosleep, &time, &time); break;
            case 1: syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &time, NULL); break;
            case 2: syscall(SYS_poll, NULL, 0, 60); break;
            case 3: syscall(SYS_futex, &word, 128 /* FUTEX_WAIT | FUTEX_PRIVATE_FLAG */, 1, &time, NULL, 0); break;
            }
            if (now_ns() - begin < 60000000 - TOLERANCE_NS) count[1] = (uint64_t)kind + 1;
            count[0]++;
        }
    }
    say_ready();
    wait_for_finish();
    expect_progress("the sleeper", count, 4);
    expect(count[1] == 0, "sleep %d was too short", (int)count[1] - 1);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", child);
    expect_confinement(path, 2, 1, 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

// Calls that come back as signals.

static volatile char selector;
static volatile sig_atomic_t dispatched;

static void on_dispatch(int number) {
    (void)number;
    selector = SYSCALL_DISPATCH_FILTER_ALLOW;
    dispatched++;
}

static void call_from_outside(void) {
    long result;
#ifdef __x86_64__
    __asm__ volatile("syscall" : "=a"(result) : "0"((long)SYS_getppid) : "rcx", "r11", "memory");
#else
    __asm__ volatile("int $0x80" : "=a"(result) : "0"((long)SYS_getppid) : "memory");
#endif
}

static void *dispatched_thread(void *argument) {
    unsigned long start = 0, end = 0;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps))
        if (strstr(line, "libc.so") && strstr(line, "r-xp") && sscanf(line, "%lx-%lx", &start, &end) == 2) break;
    if (maps) fclose(maps);
    if (!start || prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, start, end - start, &selector)) cannot_prepare("dispatch");
    prepared = 1;
    while (!ending) {
        // For most of the time its own calls would come back.
        selector = SYSCALL_DISPATCH_FILTER_BLOCK;
        nap_ms(10);
        int before = dispatched;
        call_from_outside();
        expect(dispatched == before + 1, "%d calls came as signals", (int)dispatched - before);
        before = dispatched;
        call_from_outside();
        expect(dispatched == before, "a call came as a signal that was let through");
        rounds[0]++;
    }
    return argument;
}

static void run_dispatched(void) {
    signal(SIGSYS, on_dispatch);
    start_thread(dispatched_thread, NULL);
    while (!prepared) nap_ms(1);
    say_ready();
    wait_for_finish();
    expect_progress("the thread", &rounds[0], 3);
    ending = 1;
}

int run_sandboxes(int count, char **arguments) {
    const char *what = count == 1 ? arguments[0] : "";
    if (strcmp(what, "filters") == 0) run_filters();
    else if (strcmp(what, "narrow") == 0) run_confined_process(false);
    else if (strcmp(what, "strict") == 0) run_confined_process(true);
    else if (strcmp(what, "sleeping") == 0) run_sleeping();
    else if (strcmp(what, "dispatched") == 0) run_dispatched();
    else cannot_prepare("unknown argument");
    return verdict("sandboxes");
}
