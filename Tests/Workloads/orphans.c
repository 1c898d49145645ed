// Property: a process keeps the session and the group of leaders that are dead, and the parent that
// adopted it.
#include "relatives.h"
#include <sys/prctl.h>

enum { ROOT, IN_DEAD_SESSION, IN_DEAD_GROUP, ADOPTED, DEEP };

static void join_and_live(const char *label, int number, pid_t old_parent) {
    // Adoption is over when the parent is another one.
    while (getppid() == old_parent) nap_ms(1);
    live(label, number);
}

/// Starts a process that starts another one and dies, so that the root adopts the other one.
static void start_orphan(const char *label, int number, int (*become)(void)) {
    pid_t between = fork();
    if (between == 0) {
        become();
        pid_t parent = getpid();
        if (fork() == 0) join_and_live(label, number, parent);
        _exit(0);
    }
    if (between < 0 || waitpid(between, NULL, 0) != between) cannot_prepare(label);
}

static int new_session(void) { return setsid() < 0; }
static int new_group(void) { return setpgid(0, 0); }
static int nothing(void) { return 0; }

/// An orphan with a child of its own in a session whose leader was the orphan's dead parent.
static int session_then_group(void) {
    setsid();
    pid_t parent = getpid();
    if (fork() == 0) {
        while (getppid() == parent) nap_ms(1);
        setpgid(0, 0);
        if (fork() == 0) live("child of an orphan", DEEP);
        while (!family->finish) nap_ms(5);
        wait(NULL);
        _exit(0);
    }
    _exit(0);
}

int run_orphans(int count, char **arguments) {
    (void)count, (void)arguments;
    family = shared_memory(sizeof *family);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1)) cannot_prepare("subreaper");
    join_family(ROOT);
    start_orphan("in a dead session", IN_DEAD_SESSION, new_session);
    start_orphan("in a dead group", IN_DEAD_GROUP, new_group);
    start_orphan("adopted", ADOPTED, nothing);
    pid_t between = fork();
    if (between == 0) session_then_group();
    waitpid(between, NULL, 0);
    for (int i = ROOT; i <= DEEP; i++)
        while (!family->members[i].ready) nap_ms(1);
    say_ready();
    wait_for_finish();

    for (int i = IN_DEAD_SESSION; i <= DEEP; i++)
        expect_progress("an orphan", &family->members[i].count, 2);
    int subreaper = 0;
    prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
    expect(subreaper == 1, "the root is no subreaper any more");
    family->finish = 1;
    for (int left = 4; left > 0; left--) {
        int status = -1;
        pid_t pid = wait(&status);
        expect(pid > 0 && status == 0, "wait gave %d, status %x", pid, status);
    }
    expect(wait(NULL) < 0 && errno == ECHILD, "there is a child too many");
    expect_same_relatives("root", ROOT, false);
    return verdict("orphans");
}
