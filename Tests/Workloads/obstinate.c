// Property: a tree that a checkpoint could wait for, or be hit by, is refused or saved in time, and goes on unchanged.
//
//     obstinate traced       two children that are traced, by the root
//     obstinate endsignal N  a child of two threads that tells of its end by signal N
//     obstinate queued N     N signals in the queue
//     obstinate watched N    an epoll with N registrations under numbers that are closed
//     obstinate landlocked   a program under Landlock
//     obstinate landlock-thread  a second thread under Landlock
//     obstinate limited as|data  no address space left to map anything, by limit
//     obstinate forever      a sleep on the processor's clock for the longest time there is
#include "workload.h"
#include <linux/sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>

static void *idle(void *argument) {
    (void)argument;
    while (!finish_wanted()) nap_ms(5);
    return NULL;
}

static void *confine(void *argument) {
    uint64_t handled = 1;  // LANDLOCK_ACCESS_FS_EXECUTE
    int rules = (int)syscall(444 /* landlock_create_ruleset */, &handled, sizeof handled, 0);
    if (rules < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(446 /* landlock_restrict_self */, rules, 0)) cannot_prepare("landlock");
    close(rules);
    *(volatile int *)argument = 1;
    idle(NULL);
    expect(access("/proc/self/exe", F_OK) == 0, "the program is gone");
    char *arguments[] = {"true", NULL};
    execv("/bin/true", arguments);
    expect(errno == EACCES, "the rules are gone: %s", strerror(errno));
    return NULL;
}

static void *sleep_for_ever(void *argument) {
    (void)argument;
    struct timespec time = {INT64_MAX / 1000000000 - 1, 0};
    clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &time, NULL);
    struct timespec longest = {INT64_MAX, 999999999};
    clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &longest, NULL);
    fail("the sleep has ended");
    return NULL;
}

static void *sleep_longest(void *argument) {
    (void)argument;
    struct timespec longest = {INT64_MAX, 999999999};
    clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &longest, NULL);
    fail("the longest sleep has ended");
    return NULL;
}

/// SIGKILL and SIGSTOP would hit its parent: such a child ends when it has none any more.
static bool is_harmful(int signal) { return signal == SIGKILL || signal == SIGSTOP; }

static pid_t clone_with(int signal) {
    pid_t parent = getpid();
    struct clone_args arguments = {.exit_signal = (uint64_t)signal};
    pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    if (child < 0) cannot_prepare("clone3");
    if (child == 0) {
        start_thread(idle, NULL);
        idle(NULL);
        while (is_harmful(signal) && getppid() == parent) nap_ms(5);
        _exit(0);
    }
    return child;
}

/// Lets the address space grow no more.
static void limit(const char *what) {
    unsigned long all = 0, data = 0;
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    while (file && fgets(line, sizeof line, file)) {
        sscanf(line, "VmSize: %lu", &all);
        sscanf(line, "VmData: %lu", &data);
    }
    if (!file || !all || !data) cannot_prepare("status");
    fclose(file);
    bool is_data = strcmp(what, "data") == 0;
    struct rlimit none = {(is_data ? data : all) << 10, RLIM_INFINITY};
    if (setrlimit(is_data ? RLIMIT_DATA : RLIMIT_AS, &none)) cannot_prepare("limit");
}

int run_obstinate(int count, char **arguments) {
    const char *what = count > 0 ? arguments[0] : "";
    const char *second = count > 1 ? arguments[1] : "";
    pid_t children[2] = {0, 0};
    int epoll = -1;
    volatile int confined = 0;
    if (strcmp(what, "traced") == 0) {
        for (int i = 0; i < 2; i++) {
            children[i] = fork();
            if (children[i] == 0) {
                idle(NULL);
                _exit(0);
            }
            if (ptrace(PTRACE_SEIZE, children[i], 0, 0)) cannot_prepare("seize");
        }
    } else if (strcmp(what, "endsignal") == 0) {
        signal(atoi(second), SIG_IGN);
        pid_t child = clone_with(atoi(second));
        if (!is_harmful(atoi(second))) children[0] = child;
    } else if (strcmp(what, "queued") == 0) {
        struct rlimit many = {1 << 20, 1 << 20};
        setrlimit(RLIMIT_SIGPENDING, &many);
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN + 3);
        sigprocmask(SIG_BLOCK, &set, NULL);
        for (int i = 0; i < atoi(second); i++)
            if (sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = i})) cannot_prepare("sigqueue");
    } else if (strcmp(what, "watched") == 0) {
        int number = atoi(second);
        struct rlimit many = {(rlim_t)number + 64, (rlim_t)number + 64};
        if (setrlimit(RLIMIT_NOFILE, &many)) cannot_prepare("limit of descriptors");
        epoll = epoll_create1(0);
        for (int i = 0; i < number; i++) {
            int fd = eventfd(0, 0);
            struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)i};
            if (fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) cannot_prepare("registration");
        }
        // A child that leaves the tree keeps the files open.
        pid_t child = fork();
        if (child == 0) {
            if (fork() == 0) {
                setsid();
                while (access(run_path("result"), F_OK) != 0) nap_ms(5);
            }
            _exit(0);
        }
        waitpid(child, NULL, 0);
        for (int fd = epoll + 1; fd <= epoll + number; fd++) close(fd);
        // The tree has open files of the same kind: only the kernel tells them apart.
        if (eventfd(0, 0) < 0 || eventfd(0, 0) < 0) cannot_prepare("eventfd");
    } else if (strcmp(what, "landlocked") == 0) {
        pid_t child = fork();
        if (child == 0) {
            confine((void *)&confined);
            _exit(0);
        }
        children[0] = child;
        nap_ms(50);
    } else if (strcmp(what, "landlock-thread") == 0) {
        start_thread(confine, (void *)&confined);
        while (!confined) nap_ms(1);
    } else if (strcmp(what, "limited") == 0) {
        limit(second);
    } else if (strcmp(what, "forever") == 0) {
        start_thread(sleep_for_ever, NULL);
        start_thread(sleep_longest, NULL);
        nap_ms(50);
    } else {
        cannot_prepare("unknown argument");
    }
    say_ready();
    wait_for_finish();
    if (strcmp(what, "queued") == 0) {
        siginfo_t info;
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN + 3);
        struct timespec none = {0, 0};
        for (int i = 0; i < atoi(second); i++)
            if (sigtimedwait(&set, &info, &none) < 0 || info.si_int != i) {
                fail("signal %d is missing", i);
                break;
            }
    }
    for (int i = 0; i < 2; i++) {
        int status = -1;
        if (children[i]) expect(waitpid(children[i], &status, __WALL) == children[i] && status == 0, "a child ended with %x", status);
    }
    return verdict("obstinate");
}
