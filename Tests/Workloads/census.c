// Property: every piece of state of docs/state.md that is saved has the value after a restart that it had before.
//
// Everything is set to something other than its default, as far as this kernel and user allow it, and told as lines of
// text, "name: value", by a first thread, a second thread with attributes of its own, and a child with those that would
// disturb others. After the restart the same lines are told again and compared.
#include "census.h"
#include <linux/futex.h>
#include <sys/prctl.h>
#include <sys/time.h>

static struct lines first_before, second_before, child_before;
static _Atomic int second_ready, *go;

/// What the kernel keeps for one thread.
static void set_thread(int number) {
    struct census_attributes wanted = {.size = sizeof wanted, .sched_policy = number % 2 ? 3 /* SCHED_BATCH */ : 0, .sched_nice = 3 + number};
    syscall(SYS_sched_setattr, 0, &wanted, 0);
    uint64_t processor = 1;
    syscall(SYS_sched_setaffinity, 0, sizeof processor, &processor);
    syscall(SYS_ioprio_set, 1, 0, 2 << 13 | (2 + number));
    char name[16];
    snprintf(name, sizeof name, "census %d", number);
    prctl(PR_SET_NAME, name);
    prctl(PR_SET_TIMERSLACK, 70000 + number);
    prctl(PR_SET_PDEATHSIG, SIGUSR1 + number);
    prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0);
    prctl(PR_CAPBSET_DROP, number == 0 ? 16 : 22, 0, 0, 0);
    prctl(PR_SET_SECUREBITS, 1 << 2 /* SECBIT_NO_SETUID_FIXUP */);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    sigaddset(&blocked, SIGRTMIN + number);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    static char stacks[3][1 << 16];
    stack_t stack = {.ss_sp = stacks[number], .ss_size = sizeof stacks[number]};
    sigaltstack(&stack, NULL);
}

static void *second_thread(void *argument) {
    (void)argument;
    set_thread(1);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    tell_thread(&second_before);
    second_ready = 1;
    while (!finish_wanted()) nap_ms(5);
    static struct lines after;
    tell_thread(&after);
    compare_lines("thread", &second_before, &after);
    second_ready = 2;
    while (!go[0]) nap_ms(5);
    return NULL;
}

static void ignore(int number) { (void)number; }

/// What the kernel keeps for a process.
static void set_process(void) {
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    umask(027);
    write_text("/proc/self/coredump_filter", "0x5b");
    write_text("/proc/self/oom_score_adj", "17");
    syscall(SYS_personality, 0x0040000 /* ADDR_NO_RANDOMIZE */ | 0x2000000 /* SHORT_INODE */);
    for (int command = 2; command <= 7; command++) membarrier_register(command);
    signal(SIGUSR1, SIG_IGN);
    struct sigaction handled = {.sa_handler = ignore, .sa_flags = SA_RESTART | SA_NODEFER};
    sigaddset(&handled.sa_mask, SIGHUP);
    sigaction(SIGHUP, &handled, NULL);
    struct itimerval timer = {.it_interval = {5000, 0}, .it_value = {5000, 0}};
    setitimer(ITIMER_PROF, &timer, NULL);
    lower_limits();
    if (chdir("/var")) cannot_prepare("chdir");
}

/// What would disturb others: no time without system calls, nothing that can be executed after having been written.
static void sharp_child(void) {
    set_thread(2);
    prctl(PR_SET_KEEPCAPS, 1);
    prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
    prctl(67 /* PR_SET_MEMORY_MERGE */, 1, 0, 0, 0);
    prctl(65 /* PR_SET_MDWE */, 1 /* PR_MDWE_REFUSE_EXEC_GAIN */, 0, 0, 0);
    mlockall(MCL_CURRENT | MCL_FUTURE);
    prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
    prctl(PR_SET_DUMPABLE, 0);
    tell_thread(&child_before);
    tell_process(&child_before);
    go[1] = 1;
    while (!go[0]) syscall(SYS_futex, go, FUTEX_WAIT, 0, NULL, NULL, 0);
    static struct lines after;
    tell_thread(&after);
    tell_process(&after);
    compare_lines("child", &child_before, &after);
    // What is mapped from now on is locked, and cannot become code.
    long locked = locked_kilobytes();
    char *memory = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(memory != MAP_FAILED && locked_kilobytes() == locked + 64, "new memory is not locked (MCL_FUTURE)");
    if (prctl(66 /* PR_GET_MDWE */, 0, 0, 0, 0) == 1)
        expect(mprotect(memory, 4096, PROT_READ | PROT_EXEC) != 0 && errno == EACCES, "memory became code (PR_SET_MDWE)");
    _exit(0);
}

int run_census(int count, char **arguments) {
    (void)count, (void)arguments;
    go = shared_memory(4096);
    make_mappings();
    make_files();
    pid_t child = fork();
    if (child == 0) sharp_child();
    set_process();
    set_thread(0);
    start_thread(second_thread, NULL);
    while (!second_ready || !go[1]) nap_ms(1);
    tell_thread(&first_before);
    tell_process(&first_before);
    tell_mappings(&first_before);
    tell_files(&first_before);
    expect(first_before.count > 120, "only %d lines", first_before.count);
    say_ready();
    wait_for_finish();
    static struct lines after;
    while (second_ready != 2) nap_ms(1);
    tell_thread(&after);
    tell_process(&after);
    tell_mappings(&after);
    tell_files(&after);
    compare_lines("process", &first_before, &after);
    check_guards();
    go[0] = 1;
    syscall(SYS_futex, go, FUTEX_WAKE, 1, NULL, NULL, 0);
    int end = 0;
    expect(waitpid(child, &end, 0) == child && end == 0, "the child ended with %x", end);
    return verdict("census");
}
