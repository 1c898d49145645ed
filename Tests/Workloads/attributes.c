// Property: attributes that prctl(2) and its like set for one thread or process stay those of that thread or process.
//
// Each actor, a thread or a child, sets one attribute and tells what it sees of all. No actor reads a clock: for one of them
// that is a fault.
#include "workload.h"
#include <asm/prctl.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#ifndef PR_GET_SPECULATION_CTRL
#define PR_GET_SPECULATION_CTRL 52
#define PR_SET_SPECULATION_CTRL 53
#endif
#define GET_REGISTRATIONS 512

struct sight {
    char before[400], after[400];
    _Atomic int stage;
};

static void look(char text[400]) {
    int stamp = 0;
    char login[24] = "";
    int file = open("/proc/self/loginuid", O_RDONLY | O_CLOEXEC);
    if (file >= 0 && read(file, login, sizeof login - 1) < 0) login[0] = 0;
    close(file);
    struct sched_param parameters = {0};
    sched_getparam(0, &parameters);
    prctl(PR_GET_TSC, &stamp);
    errno = 0;
    snprintf(
        text, 400, "tsc %d cpuid %ld failure %d bypass %d branch %d barriers %ld policy %d priority %d nice %d disk %ld slack %d login %s", stamp,
        syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0), prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), prctl(PR_GET_SPECULATION_CTRL, 0, 0, 0, 0),
        prctl(PR_GET_SPECULATION_CTRL, 1, 0, 0, 0), syscall(SYS_membarrier, GET_REGISTRATIONS, 0, 0), sched_getscheduler(0),
        parameters.sched_priority, getpriority(PRIO_PROCESS, 0), syscall(SYS_ioprio_get, 1, 0), prctl(PR_GET_TIMERSLACK), login);
}

static void set_policy(int policy, int priority) {
    struct sched_param parameters = {priority};
    if (sched_setscheduler(0, policy, &parameters)) cannot_prepare("scheduling policy");
}

static void nothing(void) {}
static void faulting_stamp(void) { prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0); }
static void faulting_identity(void) { syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0); }
static void early_failure(void) { prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0); }
static void late_failure(void) { prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0); }
static void no_bypass(void) { prctl(PR_SET_SPECULATION_CTRL, 0, PR_SPEC_DISABLE, 0, 0); }
static void no_branches(void) { prctl(PR_SET_SPECULATION_CTRL, 1, PR_SPEC_FORCE_DISABLE, 0, 0); }
static void real_time(void) { setpriority(PRIO_PROCESS, 0, 7), set_policy(SCHED_RR, 3); }
static void idle(void) { setpriority(PRIO_PROCESS, 0, 5), set_policy(SCHED_IDLE, 0); }
static void nice_thread(void) { setpriority(PRIO_PROCESS, 0, 3); }
static void slow_timers(void) { prctl(PR_SET_TIMERSLACK, 777777, 0, 0, 0); }
static void private_barriers(void) {
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0);
}
static void global_barriers(void) { syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0); }
static void login(void) {
    int file = open("/proc/self/loginuid", O_WRONLY | O_CLOEXEC);
    if (file >= 0 && write(file, "4242", 4) < 0) errno = 0;
    close(file);
}

typedef void action(void);
static action *const actions[] = {nothing, faulting_stamp, faulting_identity, early_failure, late_failure, no_bypass, no_branches, real_time,
                                  idle, nice_thread, slow_timers, private_barriers, global_barriers, login};
enum { COUNT = sizeof actions / sizeof actions[0] };

/// Of the children, then of the threads.
static struct sight *sights;

static void act(struct sight *own, action *set) {
    set();
    look(own->before);
    own->stage = 1;
    while (!finish_wanted()) syscall(SYS_nanosleep, &(struct timespec){0, 5000000}, NULL);
    look(own->after);
    own->stage = 2;
}

static void *thread(void *number) {
    act(&sights[COUNT + (long)number], actions[(long)number]);
    return NULL;
}

static void await(int stage) {
    for (int i = 0; i < 2 * COUNT; i++)
        for (int tries = 0; sights[i].stage < stage; tries++) {
            if (tries == 4000) return fail("actor %d is not there", i);
            nap_ms(5);
        }
}

int run_attributes(int count, char **arguments) {
    (void)count, (void)arguments;
    sights = shared_memory(2 * COUNT * sizeof *sights);
    for (long i = 0; i < COUNT; i++)
        if (fork() == 0) {
            act(&sights[i], actions[i]);
            _exit(0);
        }
    for (long i = 0; i < COUNT; i++) start_thread(thread, (void *)i);
    await(1);
    // The barriers are those of the memory that threads share.
    for (int i = COUNT; i < 2 * COUNT; i++) sights[i].stage = 1;
    char barriers[400], again[400];
    look(barriers);
    say_ready();
    wait_for_finish();
    await(2);
    look(again);
    expect(strcmp(barriers, again) == 0, "the first thread: <%s> became <%s>", barriers, again);
    for (int i = 0; i < 2 * COUNT; i++) {
        char *before = sights[i].before, *after = sights[i].after;
        if (i >= COUNT) {
            // What another thread did to the memory meanwhile.
            char *one = strstr(before, "barriers"), *other = strstr(after, "barriers");
            expect(strncmp(before, after, (size_t)(one - before)) == 0 && strcmp(strchr(one + 9, ' '), strchr(other + 9, ' ')) == 0,
                "thread %d: <%s> became <%s>", i - COUNT, before, after);
        } else {
            expect(strcmp(before, after) == 0, "child %d: <%s> became <%s>", i, before, after);
        }
    }
    while (wait(NULL) > 0) continue;
    return verdict("attributes");
}
