// Property: a tree that was made by a script of fork, setsid, setpgid, subreapers, exits and waits stays as it is.
//
//     Workloads forest DIRECTORY ROOT MEMBERS ZOMBIES
//
// `script` holds one step a line, `ACTOR OPERATION [NUMBER [NUMBER]]`; processes are numbered as they are born, 0
// is the first. ROOT is the number of the process whose tree is to be checkpointed, MEMBERS how many
// live in it at the end, ZOMBIES how many are dead there. The file `pids` tells all numbers.
#include "relatives.h"
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/prctl.h>

enum { MOST = 1000 };

struct step {
    int actor, first, second;
    char operation[16];
};

struct relative {
    pid_t pid, parent, group, session;
    _Atomic int lives;
    /// By number of another process: the objects that the two share.
    unsigned char likeness[MOST];
};

struct board {
    _Atomic uint32_t turn, born, living, checked, zombies, finish;
    _Atomic pid_t dying;
    struct relative all[MOST];
};

static struct board *board;
static struct step steps[MOST * 10];
static int step_count, me, root, members, zombies;
static bool is_awaited[MOST];

/// The objects that two processes share, by kcmp(2): FILES, FS, IO. Undo lists are left out: kcmp takes two missing lists
/// for the same.
static const int compared[] = {2, 3, 5};

static int likeness(uint32_t first, uint32_t second) {
    int result = 0;
    for (int i = 0; i < 3; i++)
        if (syscall(SYS_kcmp, board->all[first].pid, board->all[second].pid, compared[i], 0, 0) == 0) result |= 1 << i;
    return result;
}

static void read_script(void) {
    FILE *file = fopen(run_path("script"), "r");
    char line[100];
    if (!file) cannot_prepare("script");
    while (fgets(line, sizeof line, file)) {
        struct step *step = &steps[step_count];
        if (sscanf(line, "%d %15s %d %d", &step->actor, step->operation, &step->first, &step->second) < 2 || ++step_count == MOST * 10)
            cannot_prepare(line);
        if (strcmp(step->operation, "reap") == 0) is_awaited[step->first] = true;
    }
    fclose(file);
}

static void next_turn(void) {
    board->turn++;
    syscall(SYS_futex, &board->turn, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/// The status with which the process of this number ends.
static int status_of(int number) { return number % 4 == 3 ? SIGTERM : (number % 100 + 1) << 8; }

static void end_me(void) {
    int status = status_of(me);
    board->dying = getpid();
    board->all[me].lives = 0;
    next_turn();
    if (status & 0x7f) {
        signal(status & 0x7f, SIG_DFL);
        kill(getpid(), status & 0x7f);
    }
    _exit(status >> 8);
}

static void create(unsigned long flags) {
    int number = (int)board->born++;
    pid_t pid = (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
    if (pid == 0) {
        me = number;
        return;
    }
    if (pid < 0) cannot_prepare("process");
    board->all[number].pid = pid;
    board->all[number].lives = 1;
    next_turn();
}

/// Whether a call succeeded. The caller tries again for a while: what an orphan of the tree has left outside can be in its
/// way for a moment.
static bool done(long result) { return result >= 0; }

/// Waits until the dying process is dead and its children have their new parents, so that the next step finds them so.
static void await_death(void) {
    pid_t pid = board->dying;
    while (pid && state_of(pid) != 0 && state_of(pid) != 'Z') sched_yield();
}

static void perform(const struct step *step) {
    const char *what = step->operation;
    await_death();
    board->dying = 0;
    if (strcmp(what, "fork") == 0) return create((unsigned long)step->first);
    if (strcmp(what, "sibling") == 0) return create(CLONE_PARENT | SIGCHLD | (unsigned long)step->first);
    if (strcmp(what, "exit") == 0) return end_me();
    bool ok = false;
    for (int tries = 0; tries < 5000 && !ok; tries++) {
        if (tries > 0) nap_ms(1);
        if (strcmp(what, "setsid") == 0) ok = done(setsid());
        else if (strcmp(what, "setpgid") == 0) ok = done(setpgid(board->all[step->first].pid, board->all[step->second].pid));
        else if (strcmp(what, "unshare") == 0) ok = done(unshare(step->first));
        else if (strcmp(what, "subreaper") == 0) ok = done(prctl(PR_SET_CHILD_SUBREAPER, step->first));
        else if (strcmp(what, "reap") == 0) ok = done(waitpid(board->all[step->first].pid, NULL, __WALL));
    }
    if (!ok) cannot_prepare(what);
    next_turn();
}

static void record(void) {
    struct relative *own = &board->all[me];
    own->parent = getppid();
    own->group = getpgid(0);
    own->session = getsid(0);
    board->living++;
}

static void write_pids(void) {
    FILE *file = fopen(run_path("pids"), "w");
    if (!file) cannot_prepare("pids");
    for (uint32_t i = 0; i < board->born; i++) fprintf(file, "%u %d\n", i, board->all[i].pid);
    if (fclose(file)) cannot_prepare("pids");
}

/// Compares with what was written down. The root's parent is another process now, and a session or group that lies
/// outside of the tree can have another number: /proc tells it.
static void check(void) {
    struct relative *was = &board->all[me], *first = &board->all[root];
    expect(getpid() == was->pid, "process %d: the pid is %d", me, getpid());
    if (me != root) expect(getppid() == was->parent, "process %d: the parent was %d and is %d", me, was->parent, getppid());
    if (first->session == first->pid || was->session != first->session) {
        expect(getsid(0) == was->session, "process %d: the session was %d and is %d", me, was->session, getsid(0));
        expect(getpgid(0) == was->group, "process %d: the group was %d and is %d", me, was->group, getpgid(0));
    }
    for (uint32_t i = 1; i < board->born; i++) {
        int status = -1;
        if (board->all[i].lives || is_awaited[i] || waitpid(board->all[i].pid, &status, WNOHANG | __WALL) <= 0) continue;
        expect(status == status_of((int)i), "process %d: zombie %d ended with %x, not %x", me, i, status, status_of((int)i));
        board->zombies++;
    }
    board->checked++;
}

/// Whether the process descends from the root. To be called after all processes have written down what they are.
static bool is_member(int number) {
    for (uint32_t i = 0; number != root && i < board->born; i++)
        if (board->all[i].lives && board->all[i].pid == board->all[number].parent) number = (int)i, i = 0;
    return number == root;
}

static bool is_living_member(uint32_t number) { return board->all[number].lives && is_member((int)number); }

static void stay(void) {
    await_death();
    record();
    if (me == root) {
        uint32_t all = 0;
        for (uint32_t i = 0; i < board->born; i++) all += (uint32_t)board->all[i].lives;
        while (board->living < all) nap_ms(1);
        for (uint32_t i = 0; i < board->born; i++)
            for (uint32_t j = 0; j < i; j++)
                if (is_living_member(i) && is_living_member(j)) board->all[i].likeness[j] = (unsigned char)likeness(i, j);
        write_pids();
        say_ready();
        wait_for_finish();
        for (uint32_t i = 0; i < board->born; i++)
            for (uint32_t j = 0; j < i; j++)
                if (is_living_member(i) && is_living_member(j))
                    expect(
                        board->all[i].likeness[j] == likeness(i, j), "processes %u and %u shared %x and share %x", i, j,
                        board->all[i].likeness[j], likeness(i, j));
        board->finish = 1;
    }
    while (!board->finish) nap_ms(10);
    // The test ends the processes outside of the tree.
    while (!is_member(me)) pause();
    check();
    // No process ends before all have checked themselves.
    while (board->checked < (uint32_t)members) nap_ms(1);
    if (me != root) _exit(0);
    expect(board->zombies == (uint32_t)zombies, "there were %u zombies, not %d", board->zombies, zombies);
    _exit(verdict("forest"));
}

int run_forest(int count, char **arguments) {
    if (count < 3) return 64;
    root = atoi(arguments[0]);
    members = atoi(arguments[1]);
    zombies = atoi(arguments[2]);
    board = shared_memory(sizeof *board);
    read_script();
    // Children with another exit signal send this one: it would end their parents.
    signal(SIGUSR1, SIG_IGN);
    // Gives all processes an io context, which they inherit.
    syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 3);
    board->born = 1;
    board->all[0].pid = getpid();
    board->all[0].lives = 1;
    while (true) {
        uint32_t turn = board->turn;
        if (turn == (uint32_t)step_count) stay();
        if (steps[turn].actor == me && board->all[me].pid == getpid()) perform(&steps[turn]);
        else syscall(SYS_futex, &board->turn, FUTEX_WAIT, turn, NULL, NULL, 0);
    }
}
