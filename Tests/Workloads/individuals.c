// Property: attributes of single threads stay: credentials, scheduling, signal mask, alternate stack, robust lists,
// no_new_privs and secure bits.
//
// Arguments: N threads, "deadline" for one more with SCHED_DEADLINE. Each thread differs from its leader and from
// its neighbours, by raw system calls: the C library would change all threads at once.
#include "workload.h"
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/prctl.h>

/// sched_setattr(2); the C library of Debian 12 has no declaration of it.
struct attributes {
    uint32_t size, sched_policy;
    uint64_t sched_flags;
    int32_t sched_nice;
    uint32_t sched_priority;
    uint64_t sched_runtime, sched_deadline, sched_period;
};

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif

struct robust_head {
    void *next;
    long offset;
    void *pending;
};

/// What a thread can find out about itself.
struct self {
    long tid;
    char name[16], status[1400];
    uint64_t mask;
    stack_t stack;
    void *robust;
    size_t robust_size;
    struct attributes scheduling;
    unsigned char affinity[128];
    long disk, slack, secure, no_new_privileges, death, clear_tid;
};

static _Atomic int ready, finish, ended;
static _Atomic uint64_t rounds;

/// The lines of /proc/thread-self/status that differ from thread to thread.
static void read_status(char *into, size_t size) {
    static const char *keys[] = {"Name:", "Tgid:", "Pid:", "Uid:", "Gid:", "Groups:", "SigPnd:", "SigBlk:", "Cap", "NoNew", "Cpus_allowed:"};
    char text[8192], *line, *rest = text;
    int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = 0;
    into[0] = 0;
    while ((line = strsep(&rest, "\n")))
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
            if (strncmp(line, keys[i], strlen(keys[i])) == 0 && strlen(into) + strlen(line) + 2 < size)
                strcat(strcat(into, line), "\n");
}

static void look(struct self *self) {
    memset(self, 0, sizeof *self);
    self->tid = syscall(SYS_gettid);
    prctl(PR_GET_NAME, self->name);
    read_status(self->status, sizeof self->status);
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &self->mask, 8);
    sigaltstack(NULL, &self->stack);
    syscall(SYS_get_robust_list, 0, &self->robust, &self->robust_size);
    syscall(SYS_sched_getattr, 0, &self->scheduling, sizeof self->scheduling, 0);
    syscall(SYS_sched_getaffinity, 0, sizeof self->affinity, self->affinity);
    self->disk = syscall(SYS_ioprio_get, 1, 0);
    self->slack = prctl(PR_GET_TIMERSLACK);
    self->secure = prctl(PR_GET_SECUREBITS);
    self->no_new_privileges = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    int death = 0;
    prctl(PR_GET_PDEATHSIG, &death);
    self->death = death;
    prctl(PR_GET_TID_ADDRESS, &self->clear_tid);
}

static void schedule(int number) {
    struct attributes wanted = {.size = sizeof wanted};
    switch (number % 6) {
    case 0: wanted.sched_nice = number % 20 - 10; break;
    case 1: wanted.sched_policy = SCHED_BATCH, wanted.sched_nice = number % 10; break;
    case 2: wanted.sched_policy = SCHED_IDLE; break;
    case 3: wanted.sched_policy = SCHED_FIFO, wanted.sched_priority = 1 + (uint32_t)number % 30; break;
    case 4: wanted.sched_policy = SCHED_RR, wanted.sched_priority = 1 + (uint32_t)number % 40, wanted.sched_flags = 1; break;
    default:
        // A time slice of its own, where the kernel knows that (6.12).
        if (number % 4 == 1) wanted.sched_runtime = 5000000;
        break;
    }
    if (syscall(SYS_sched_setattr, 0, &wanted, 0)) cannot_prepare("scheduling");
}

static void become(int number) {
    uint32_t id = 2000 + (uint32_t)number % 500, groups[] = {id, 3000, 70000 + (uint32_t)number % 7};
    if (number % 3 == 1 && prctl(PR_CAPBSET_DROP, CAP_SYS_MODULE, 0, 0, 0)) cannot_prepare("bounding set");
    if (number % 4 == 2 && prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)) cannot_prepare("secure bits");
    if (number % 2) {
        if (syscall(SYS_setgroups, 1 + number % 3, groups) || syscall(SYS_setresgid, id, id + 1, id + 2))
            cannot_prepare("groups");
        // Some keep their saved user, some their capabilities.
        if (syscall(SYS_setresuid, id, id + 1, number % 3 ? id + 2 : 0)) cannot_prepare("users");
    } else if (number % 8 == 2) {
        syscall(SYS_setfsuid, id), syscall(SYS_setfsgid, id + 1);
    }
    if (number % 4 == 2) {
        struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
        struct __user_cap_data_struct data[2] = {{1u << (number % 8), 0xff, 1u << (number % 8)}, {0, 0, 0}};
        if (syscall(SYS_capset, &header, data)) cannot_prepare("capabilities");
        if (number % 8 == 6 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number % 8, 0, 0)) cannot_prepare("ambient");
    }
    if (number % 5 == 3 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) cannot_prepare("no new privileges");
    if (number % 7 == 4) prctl(PR_SET_PDEATHSIG, SIGUSR1);
}

static void differ(int number) {
    static struct robust_head heads[16384];
    char name[16];
    snprintf(name, sizeof name, "one-%d", number);
    prctl(PR_SET_NAME, name);
    uint64_t mask = ((uint64_t)number * 0x9e3779b97f4a7c15ULL) & ~0x100000000ULL;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, 8);
    stack_t stack = {.ss_sp = malloc(MINSIGSTKSZ * 2), .ss_size = MINSIGSTKSZ * 2 + (size_t)number % 64 * 16};
    if (number % 3 != 2 && sigaltstack(&stack, NULL)) cannot_prepare("alternate stack");
    struct robust_head *head = &heads[number % 16384];
    head->next = head;
    if (syscall(SYS_set_robust_list, head, sizeof *head)) cannot_prepare("robust list");
    unsigned char affinity[128] = {[0] = (unsigned char)(1 + number % 3)};
    if (number % 2 == 0) syscall(SYS_sched_setaffinity, 0, sizeof affinity, affinity);
    if (number % 4 == 1) syscall(SYS_ioprio_set, 1, 0, 2 << 13 | number % 8);
    if (number % 3 == 0) prctl(PR_SET_TIMERSLACK, 1000 + number);
    schedule(number);
    become(number);
}

static void *body(void *argument) {
    int number = (int)(uintptr_t)argument;
    differ(number);
    struct self before, after;
    look(&before);
    ready++;
    while (!finish) {
        nap_ms(200);
        rounds++;
    }
    look(&after);
    expect(strcmp(before.status, after.status) == 0, "thread %d was\n%s and is\n%s", number, before.status, after.status);
    expect(memcmp(&before.scheduling, &after.scheduling, sizeof before.scheduling) == 0,
           "thread %d: policy %u nice %d priority %u flags %lx runtime %lu is now %u %d %u %lx %lu", number,
           before.scheduling.sched_policy, before.scheduling.sched_nice, before.scheduling.sched_priority,
           before.scheduling.sched_flags, before.scheduling.sched_runtime, after.scheduling.sched_policy,
           after.scheduling.sched_nice, after.scheduling.sched_priority, after.scheduling.sched_flags,
           after.scheduling.sched_runtime);
    expect(memcmp(&before.stack, &after.stack, sizeof before.stack) == 0, "thread %d: another alternate stack", number);
    expect(before.mask == after.mask, "thread %d: mask %lx is now %lx", number, before.mask, after.mask);
    expect(before.robust == after.robust && before.robust_size == after.robust_size, "thread %d: another robust list", number);
    expect(memcmp(before.affinity, after.affinity, sizeof before.affinity) == 0, "thread %d: other processors", number);
    expect(before.disk == after.disk && before.slack == after.slack, "thread %d: disk priority %lx, slack %ld, now %lx, %ld",
           number, before.disk, before.slack, after.disk, after.slack);
    expect(before.secure == after.secure && before.no_new_privileges == after.no_new_privileges && before.death == after.death,
           "thread %d: secure bits %lx, no new privileges %ld, death signal %ld, now %lx %ld %ld", number, before.secure,
           before.no_new_privileges, before.death, after.secure, after.no_new_privileges, after.death);
    expect(before.clear_tid == after.clear_tid, "thread %d: clear_child_tid moved", number);
    ended++;
    // Its robust list is no list of the C library's.
    syscall(SYS_set_robust_list, NULL, sizeof(struct robust_head));
    syscall(SYS_exit, 0);
    return NULL;
}

static void *punctual(void *unused) {
    struct attributes wanted = {.size = sizeof wanted, .sched_policy = SCHED_DEADLINE, .sched_runtime = 2000000,
                                .sched_deadline = 20000000, .sched_period = 40000000}, seen;
    if (syscall(SYS_sched_setattr, 0, &wanted, 0)) cannot_prepare("SCHED_DEADLINE");
    ready++;
    while (!finish) nap_ms(200);
    memset(&seen, 0, sizeof seen);
    syscall(SYS_sched_getattr, 0, &seen, sizeof seen, 0);
    expect(seen.sched_policy == SCHED_DEADLINE && seen.sched_runtime == wanted.sched_runtime &&
               seen.sched_deadline == wanted.sched_deadline && seen.sched_period == wanted.sched_period,
           "the punctual thread has policy %u, %lu of %lu in %lu ns", seen.sched_policy, seen.sched_runtime,
           seen.sched_deadline, seen.sched_period);
    ended++;
    return unused;
}

int run_individuals(int count, char **arguments) {
    int wanted = count > 0 ? atoi(arguments[0]) : 48;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    struct self before, after;
    look(&before);
    for (int i = 0; i < wanted; i++) {
        pthread_t thread;
        errno = pthread_create(&thread, &attributes, body, (void *)(uintptr_t)i);
        if (errno) cannot_prepare("thread");
    }
    if (count > 1) start_thread(punctual, NULL), wanted++;
    while (ready < wanted) nap_ms(1);
    look(&before);
    say_ready();
    wait_for_finish();
    look(&after);
    expect(strcmp(before.status, after.status) == 0, "the leader was\n%s and is\n%s", before.status, after.status);
    finish = 1;
    for (int i = 0; i < 6000 && ended < wanted; i++) nap_ms(5);
    expect(ended == wanted, "%d of %d threads said how they are", ended, wanted);
    return verdict("individuals");
}
