// The census: state of threads and processes.
#include "census.h"
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>

void tell(struct lines *lines, const char *format, ...) {
    if (lines->count == 600) cannot_prepare("too many lines");
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(lines->text[lines->count++], sizeof lines->text[0], format, arguments);
    va_end(arguments);
}

void compare_lines(const char *whose, const struct lines *before, const struct lines *after) {
    expect(before->count == after->count, "%s: %d lines, then %d", whose, before->count, after->count);
    for (int i = 0; i < before->count && i < after->count; i++)
        expect(strcmp(before->text[i], after->text[i]) == 0, "%s: \"%s\" became \"%s\"", whose, before->text[i], after->text[i]);
}

void write_text(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return;
    if (write(file, text, strlen(text)) < 0) errno = 0;
    close(file);
}

static void tell_file(struct lines *lines, const char *path) {
    char text[160] = "?";
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = file < 0 ? -1 : read(file, text, sizeof text - 60);
    if (file >= 0) close(file);
    if (got >= 0) text[got] = 0;
    text[strcspn(text, "\n")] = 0;
    tell(lines, "%s: %s", path, text);
}

/// Fields of a status file that are state; the others count what happens, or are told elsewhere.
static void tell_status(struct lines *lines, const char *path) {
    static const char *const wanted[] = {
        "Umask", "Tgid", "Pid", "PPid", "TracerPid", "Uid", "Gid", "Groups", "Threads", "SigPnd", "ShdPnd", "SigBlk", "SigIgn",
        "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters",
        "Speculation_Store_Bypass", "SpeculationIndirectBranch", "Cpus_allowed", "Mems_allowed", "THP_enabled", "untag_mask", "NSpid",
        "NSpgid", "NSsid", "VmLck", "VmPin",
    };
    FILE *status = fopen(path, "re");
    char line[512];
    while (status && fgets(line, sizeof line, status)) {
        line[strcspn(line, "\n")] = 0;
        for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
            size_t length = strlen(wanted[i]);
            if (strncmp(line, wanted[i], length) || line[length] != ':') continue;
            // The parent of the root and, outside of a pid namespace, its outer numbers are those of the restarter.
            bool isOutside = !strcmp(wanted[i], "PPid") || !strncmp(wanted[i], "NS", 2);
            if (!isOutside) tell(lines, "%.150s", line);
        }
    }
    if (status) fclose(status);
}

void tell_thread(struct lines *lines) {
    static const struct {
        const char *name;
        int option;
        unsigned long argument;
    } results[] = {
        {"PR_GET_KEEPCAPS", PR_GET_KEEPCAPS, 0}, {"PR_GET_SECUREBITS", PR_GET_SECUREBITS, 0},
        {"PR_GET_TIMERSLACK", PR_GET_TIMERSLACK, 0}, {"PR_GET_NO_NEW_PRIVS", PR_GET_NO_NEW_PRIVS, 0},
        {"PR_MCE_KILL_GET", PR_MCE_KILL_GET, 0}, {"PR_GET_SECCOMP", PR_GET_SECCOMP, 0},
        {"PR_GET_IO_FLUSHER", PR_GET_IO_FLUSHER, 0},
        {"PR_GET_SPECULATION_CTRL store bypass", PR_GET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS},
        {"PR_GET_SPECULATION_CTRL indirect branch", PR_GET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH},
        {"PR_GET_SPECULATION_CTRL cache", PR_GET_SPECULATION_CTRL, 2},
    };
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
        tell(lines, "%s: %d", results[i].name, prctl(results[i].option, results[i].argument, 0, 0, 0));
    int value = 0;
    prctl(PR_GET_PDEATHSIG, &value);
    tell(lines, "PR_GET_PDEATHSIG: %d", value);
    value = 0;
    prctl(PR_GET_TSC, &value);
    tell(lines, "PR_GET_TSC: %d", value);
    void *address = NULL;
    prctl(PR_GET_TID_ADDRESS, &address);
    tell(lines, "PR_GET_TID_ADDRESS: %p", address);
    char name[17] = "";
    prctl(PR_GET_NAME, name);
    tell(lines, "PR_GET_NAME: %s", name);
    struct census_attributes now = {0};
    syscall(SYS_sched_getattr, 0, &now, sizeof now, 0);
    tell(lines, "sched_getattr: %u %lx %d %u %lu %lu %lu %u %u", now.sched_policy, now.sched_flags, now.sched_nice, now.sched_priority,
         now.sched_runtime, now.sched_deadline, now.sched_period, now.sched_util_min, now.sched_util_max);
    tell(lines, "getpriority: %ld", (long)syscall(SYS_getpriority, PRIO_PROCESS, 0));
    tell(lines, "ioprio_get: %ld", (long)syscall(SYS_ioprio_get, 1, 0));
    stack_t stack;
    sigaltstack(NULL, &stack);
    tell(lines, "sigaltstack: %p %zu %d", stack.ss_sp, stack.ss_size, stack.ss_flags);
    void *head = NULL;
    size_t size = 0;
    syscall(SYS_get_robust_list, 0, &head, &size);
    tell(lines, "get_robust_list: %p %zu", head, size);
    tell_status(lines, "/proc/thread-self/status");
    tell_file(lines, "/proc/thread-self/attr/current");
}

void lower_limits(void) {
    for (int which = 0; which < 16; which++) {
        struct rlimit limit;
        if (getrlimit(which, &limit)) continue;
        // Far above what is in use, but not the default; hard limits too, where that does not matter afterwards.
        rlim_t lower = limit.rlim_cur == RLIM_INFINITY ? (rlim_t)1 << 41 : limit.rlim_cur - limit.rlim_cur / 8;
        limit.rlim_cur = lower;
        if (which == RLIMIT_CORE || which == RLIMIT_MSGQUEUE) limit.rlim_max = limit.rlim_cur;
        setrlimit(which, &limit);
    }
}

void tell_process(struct lines *lines) {
    for (int which = 0; which < 16; which++) {
        struct rlimit limit = {0, 0};
        getrlimit(which, &limit);
        tell(lines, "limit %d: %lu %lu", which, (unsigned long)limit.rlim_cur, (unsigned long)limit.rlim_max);
    }
    int value = 0;
    prctl(PR_GET_CHILD_SUBREAPER, &value);
    tell(lines, "PR_GET_CHILD_SUBREAPER: %d", value);
    tell(lines, "PR_GET_DUMPABLE: %d", prctl(PR_GET_DUMPABLE));
    tell(lines, "PR_GET_THP_DISABLE: %d", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
    tell(lines, "PR_GET_MDWE: %d", prctl(66, 0, 0, 0, 0));
    tell(lines, "PR_GET_MEMORY_MERGE: %d", prctl(68, 0, 0, 0, 0));
    tell(lines, "personality: %lx", (long)syscall(SYS_personality, 0xffffffff));
    tell(lines, "MEMBARRIER_CMD_GET_REGISTRATIONS: %ld", (long)syscall(SYS_membarrier, 1 << 9, 0, 0));
    tell(lines, "getpgrp, getsid: %s", getpgrp() == getpid() ? "own" : "another");
    for (int number = 1; number <= 64; number++) {
        struct sigaction action;
        if (number == 32 || number == 33 || sigaction(number, NULL, &action)) continue;
        if (action.sa_handler == SIG_DFL) continue;
        uint64_t mask = 0;
        memcpy(&mask, &action.sa_mask, 8);
        tell(lines, "action of %d: %p %x %lx", number, (void *)action.sa_handler, (unsigned)action.sa_flags, (unsigned long)mask);
    }
    struct itimerval timer;
    getitimer(ITIMER_PROF, &timer);
    tell(lines, "ITIMER_PROF: every %ld, %s", (long)timer.it_interval.tv_sec, timer.it_value.tv_sec > 4000 ? "armed" : "not armed");
    static const char *const files[] = {
        "/proc/self/coredump_filter", "/proc/self/oom_score_adj", "/proc/self/personality", "/proc/self/comm", "/proc/self/timerslack_ns",
        "/proc/self/cgroup", "/proc/self/cpuset", "/proc/self/uid_map", "/proc/self/gid_map", "/proc/self/setgroups", "/proc/self/loginuid",
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) tell_file(lines, files[i]);
    static const char *const links[] = {"cwd", "root", "exe"};
    for (size_t i = 0; i < 3; i++) {
        char path[32], target[120] = "";
        snprintf(path, sizeof path, "/proc/self/%s", links[i]);
        if (readlink(path, target, sizeof target - 1) < 0) target[0] = '?';
        tell(lines, "%s: %s", path, target);
    }
    char arguments[100] = "";
    int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t got = read(file, arguments, sizeof arguments);
    close(file);
    for (ssize_t i = 0; i + 1 < got; i++)
        if (!arguments[i]) arguments[i] = ' ';
    arguments[sizeof arguments - 1] = 0;
    tell(lines, "cmdline: %s", arguments);
}

void membarrier_register(int command) {
    // The commands that register have the odd places from MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED (1 << 2) on.
    if (command % 2 == 0) syscall(SYS_membarrier, 1 << command, 0, 0);
    if (command == 7) syscall(SYS_membarrier, 1 << 8, 0, 0);
}

long locked_kilobytes(void) {
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    long found = -1;
    while (status && fgets(line, sizeof line, status)) sscanf(line, "VmLck: %ld", &found);
    if (status) fclose(status);
    return found;
}
