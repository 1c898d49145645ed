// Property: parents, groups and sessions stay; zombies keep their status; a stopped child stays stopped.
#include "relatives.h"

enum { ROOT, SESSION_LEADER, IN_SESSION, GROUP_LEADER, GROUP_MEMBER, STOPPED, GROUP_OF_OTHER };

static pid_t start(void (*body)(void)) {
    pid_t pid = fork();
    if (pid < 0) cannot_prepare("process");
    if (pid == 0) {
        body();
        _exit(9);
    }
    return pid;
}

static void in_session(void) {
    setpgid(0, 0);
    live("member of the other session", IN_SESSION);
}

static void session_leader(void) {
    setsid();
    pid_t child = start(in_session);
    join_family(SESSION_LEADER);
    while (!family->finish) {
        family->members[SESSION_LEADER].count++;
        nap_ms(5);
    }
    int status = -1;
    expect(waitpid(child, &status, 0) == child && status == 0, "a child of the session leader ended with %x", status);
    expect_same_relatives("session leader", SESSION_LEADER, true);
    _exit(0);
}

static void leader_of_group(void) {
    setpgid(0, 0);
    live("group leader", GROUP_LEADER);
}

static void member_of_group(void) {
    while (!family->members[GROUP_LEADER].ready) nap_ms(1);
    setpgid(0, family->members[GROUP_LEADER].pid);
    live("group member", GROUP_MEMBER);
}

static void stopped(void) { live("stopped child", STOPPED); }

static void exits_with_42(void) { _exit(42); }

static void dies_by_signal(void) {
    signal(SIGUSR2, SIG_DFL);
    raise(SIGUSR2);
}

static void expect_status(const char *label, pid_t pid, int wanted) {
    int status = -1;
    pid_t got = waitpid(pid, &status, 0);
    expect(got == pid && status == wanted, "%s: wait gave %d, status %x, not %x", label, got, status, wanted);
}

int run_tree(int count, char **arguments) {
    (void)count, (void)arguments;
    family = shared_memory(sizeof *family);
    join_family(ROOT);
    pid_t exited = start(exits_with_42), killed = start(dies_by_signal);
    pid_t leader = start(session_leader), group = start(leader_of_group), member = start(member_of_group);
    pid_t still = start(stopped);
    for (int i = ROOT; i <= STOPPED; i++)
        while (!family->members[i].ready) nap_ms(1);
    kill(still, SIGSTOP);
    // The report of this stop is taken here, so that none is due afterwards.
    int status = -1;
    if (waitpid(still, &status, WUNTRACED) != still || !WIFSTOPPED(status)) cannot_prepare("stopped child");
    while (state_of(exited) != 'Z' || state_of(killed) != 'Z') nap_ms(1);
    uint64_t stopped_at = family->members[STOPPED].count;
    say_ready();
    wait_for_finish();

    expect(state_of(still) == 'T', "the stopped child is in state %c", state_of(still));
    expect(family->members[STOPPED].count == stopped_at, "the stopped child went on");
    // A restart stops the child again and reports that at most once (docs/limits.md).
    waitpid(still, &status, WUNTRACED | WNOHANG);
    expect(waitpid(still, &status, WUNTRACED | WNOHANG) == 0, "the stop was reported again and again");
    expect(state_of(exited) == 'Z' && state_of(killed) == 'Z', "a zombie is gone");
    expect_status("zombie", exited, 42 << 8);
    expect_status("killed zombie", killed, SIGUSR2);
    kill(still, SIGCONT);
    static const int living[] = {SESSION_LEADER, IN_SESSION, GROUP_LEADER, GROUP_MEMBER, STOPPED};
    for (size_t i = 0; i < sizeof living / sizeof living[0]; i++)
        expect_progress("a member of the family", &family->members[living[i]].count, 2);
    family->finish = 1;
    expect_status("session leader", leader, 0);
    expect_status("group leader", group, 0);
    expect_status("group member", member, 0);
    expect_status("stopped child", still, 0);
    expect_same_relatives("root", ROOT, false);
    return verdict("tree");
}
