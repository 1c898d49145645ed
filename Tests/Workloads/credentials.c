// Property: identity, groups, capabilities and the attributes that go with them stay, per thread.
#include "workload.h"
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

#define KEPT (1u << CAP_NET_BIND_SERVICE)

struct sets {
    uint32_t effective, permitted, inheritable;
};

struct leaf {
    _Atomic uint64_t steps;
    _Atomic int ready, orphaned, ended;
};

static struct leaf *leaf;
static volatile sig_atomic_t death_signals;
static _Atomic uint64_t thread_steps, thread_ended;

static void set_capabilities(struct sets sets) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{sets.effective, sets.permitted, sets.inheritable}, {0, 0, 0}};
    if (syscall(SYS_capset, &header, data)) cannot_prepare("capabilities");
}

static void expect_capabilities(const char *label, struct sets wanted) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    syscall(SYS_capget, &header, data);
    expect(data[0].effective == wanted.effective && data[0].permitted == wanted.permitted &&
               data[0].inheritable == wanted.inheritable && data[1].permitted == 0,
           "%s: capabilities are e %x p %x i %x", label, data[0].effective, data[0].permitted, data[0].inheritable);
}

static void expect_identity(const char *label) {
    uid_t ruid, euid, suid;
    gid_t rgid, egid, sgid, groups[16];
    getresuid(&ruid, &euid, &suid);
    getresgid(&rgid, &egid, &sgid);
    expect(ruid == 65534 && euid == 65534 && suid == 1234, "%s: users are %d %d %d", label, ruid, euid, suid);
    expect(rgid == 65534 && egid == 2345 && sgid == 65534, "%s: groups are %d %d %d", label, rgid, egid, sgid);
    int count = getgroups(16, groups);
    expect(count == 3 && groups[0] == 1001 && groups[1] == 1002 && groups[2] == 70000, "%s: %d other groups", label, count);
    expect(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1, "%s: no_new_privs is lost", label);
    expect(prctl(PR_CAPBSET_READ, CAP_SYS_MODULE, 0, 0, 0) == 0, "%s: the bounding set grew", label);
    expect(prctl(PR_CAPBSET_READ, CAP_NET_BIND_SERVICE, 0, 0, 0) == 1, "%s: the bounding set shrank", label);
    expect(prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) == SECBIT_NO_SETUID_FIXUP, "%s: the secure bits changed", label);
    expect(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_BIND_SERVICE, 0, 0) == 1, "%s: not ambient", label);
}

static void on_death(int number) { (void)number, death_signals++; }

/// Waits for the death of its parent, which must reach it as the signal it asked for.
static void run_leaf(void) {
    struct sigaction action = {.sa_handler = on_death};
    sigaction(SIGUSR1, &action, NULL);
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
    prctl(PR_SET_DUMPABLE, 1);
    leaf->ready = 1;
    while (!leaf->orphaned && !death_signals) {
        leaf->steps++;
        nap_ms(5);
    }
    for (int i = 0; i < 4000 && !death_signals; i++) nap_ms(5);
    expect(death_signals == 1, "leaf: %d signals for the death of the parent", (int)death_signals);
    int wanted = 0;
    prctl(PR_GET_PDEATHSIG, &wanted);
    expect(wanted == SIGUSR1, "leaf: the parent-death signal is %d", wanted);
    expect(prctl(PR_GET_DUMPABLE) == 1, "leaf: not dumpable");
    expect_identity("leaf");
    leaf->ended = 1;
    _exit(0);
}

static pid_t start_middle(void) {
    pid_t middle = fork();
    if (middle != 0) return middle;
    pid_t child = fork();
    if (child == 0) run_leaf();
    while (!finish_wanted()) nap_ms(5);
    expect_progress("the leaf", &leaf->steps, 2);
    leaf->orphaned = 1;
    _exit(0);
}

/// Capabilities belong to threads: this thread has given up those that it does not use.
static void *weak_thread(void *unused) {
    (void)unused;
    struct sets sets = {0, KEPT, KEPT};
    set_capabilities(sets);
    thread_steps++;
    while (!finish_wanted()) {
        thread_steps++;
        nap_ms(5);
    }
    expect_capabilities("thread", sets);
    expect_identity("thread");
    thread_ended = 1;
    return NULL;
}

int run_credentials(int count, char **arguments) {
    (void)count, (void)arguments;
    leaf = shared_memory(sizeof *leaf);
    gid_t groups[] = {1001, 1002, 70000};
    struct sets sets = {KEPT, KEPT, KEPT};
    if (prctl(PR_CAPBSET_DROP, CAP_SYS_MODULE, 0, 0, 0) || prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) ||
        setgroups(3, groups) || setresgid(65534, 2345, 65534) || setresuid(65534, 65534, 1234))
        cannot_prepare("credentials");
    set_capabilities(sets);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        cannot_prepare("ambient capability");
    int dumpable = prctl(PR_GET_DUMPABLE);
    pid_t middle = start_middle();
    start_thread(weak_thread, NULL);
    while (!leaf->ready || !thread_steps) nap_ms(1);
    say_ready();
    wait_for_finish();

    expect_identity("root");
    expect_capabilities("root", sets);
    expect(prctl(PR_GET_DUMPABLE) == dumpable, "dumpable changed from %d to %d", dumpable, prctl(PR_GET_DUMPABLE));
    expect(setresuid(0, 0, 0) < 0, "uid 0 can be had again");
    int status = -1;
    expect(waitpid(middle, &status, 0) == middle && status == 0, "the middle process ended with %x", status);
    for (int i = 0; i < 6000 && !(leaf->ended && thread_ended); i++) nap_ms(5);
    expect(leaf->ended && thread_ended, "the leaf or the thread did not end");
    return verdict("credentials");
}
