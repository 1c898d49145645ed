// Property: processes in nested pid namespaces keep their numbers at every level. Each namespace has an init with a thread,
// a child in a session of its own, an orphan that the init adopted, a zombie, and a process that the root created there
// from outside. Each compares its own numbers again and again.
#include <linux/sched.h>
#include <sched.h>

#include "workload.h"

#define MOST_LEVELS 16
#define MOST (8 * MOST_LEVELS)

struct member {
    pid_t pid, parent, group, session, thread;
    int levels;
    pid_t numbers[MOST_LEVELS + 1];
};

struct board {
    struct member all[MOST];
    _Atomic uint32_t born, checked, made;
    _Atomic int finish, leave;
};

static struct board *board;
static int depth;

/// The last `count` numbers of the line NSpid of /proc/self/status; 0 if there are not so many.
static int numbers(int count, pid_t *into) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[1000];
    pid_t all[64];
    int found = 0;
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "NSpid:", 6) != 0) continue;
        char *rest;
        for (char *word = strtok_r(line + 6, " \t\n", &rest); word && found < 64; word = strtok_r(NULL, " \t\n", &rest))
            all[found++] = atoi(word);
    }
    if (file) fclose(file);
    if (found < count) return 0;
    memcpy(into, all + found - count, sizeof *all * (size_t)count);
    return count;
}

static pid_t own_thread(void) { return (pid_t)syscall(SYS_gettid); }

static void look(const struct member *was, bool isThread) {
    expect(getpid() == was->pid, "the pid was %d and is %d", was->pid, getpid());
    // A parent, group or session outside of the tree can have another number after a restart.
    if (was->levels > 1) {
        expect(getppid() == was->parent, "%d: the parent was %d and is %d", was->pid, was->parent, getppid());
        expect(getpgid(0) == was->group, "%d: the group was %d and is %d", was->pid, was->group, getpgid(0));
        expect(getsid(0) == was->session, "%d: the session was %d and is %d", was->pid, was->session, getsid(0));
    }
    if (isThread) expect(own_thread() == was->thread, "%d: the thread was %d and is %d", was->pid, was->thread, own_thread());
}

/// Compares the numbers at all levels. Only at the end, because an open file of /proc/PID could not be saved.
static void look_at_numbers(const struct member *was) {
    pid_t now[MOST_LEVELS + 1];
    int count = numbers(was->levels, now);
    for (int i = 0; i < count; i++)
        expect(now[i] == was->numbers[i], "%d: level %d was %d and is %d", was->pid, i, was->numbers[i], now[i]);
    expect(count == was->levels, "%d: has %d numbers, not %d", was->pid, count, was->levels);
}

static struct member *enter(int level, bool isThread) {
    struct member *own = &board->all[board->born++];
    own->pid = getpid();
    own->parent = getppid();
    own->group = getpgid(0);
    own->session = getsid(0);
    own->thread = own_thread();
    own->levels = level + 1;
    if (!isThread && numbers(own->levels, own->numbers) == 0) cannot_prepare("/proc/self/status");
    return own;
}

/// Whether threads of this process can begin to compare. They have to exist before the process calls unshare, and wait
/// until it has forked.
static _Atomic int thread_may_look;

static void *watch_thread(void *level) {
    while (!thread_may_look) nap_ms(1);
    struct member *own = enter((int)(long)level, true);
    while (!board->finish) {
        look(own, true);
        nap_ms(5);
    }
    board->checked++;
    return NULL;
}

/// Compares until the root says that all have to end.
static void watch(int level) {
    struct member *own = enter(level, false);
    board->made++;
    while (!board->finish) {
        look(own, false);
        nap_ms(5);
    }
    look_at_numbers(own);
    board->checked++;
}

static void live(int level) {
    watch(level);
    while (!board->leave) nap_ms(2);
    _exit(0);
}

static pid_t cloned(unsigned long flags) {
    struct clone_args arguments = {.flags = flags, .exit_signal = SIGCHLD};
    pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    if (pid < 0) cannot_prepare("clone3");
    return pid;
}

/// Creates the processes of one level in the pid namespace of the caller. Gives the pid of the zombie.
static pid_t populate(int level) {
    if (cloned(0) == 0) {
        setsid();
        live(level);
    }
    pid_t between = cloned(0);
    if (between == 0) {
        if (cloned(0) == 0) {
            while (getppid() != 1 && level > 0) nap_ms(1);
            live(level);
        }
        _exit(0);
    }
    if (level > 0) waitpid(between, NULL, 0);
    start_thread(watch_thread, (void *)(long)level);
    pid_t zombie = cloned(0);
    if (zombie == 0) _exit(10 + level);
    siginfo_t info;
    if (waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT)) cannot_prepare("zombie");
    return zombie;
}

static void check_zombie(pid_t zombie, int level) {
    int status = 0;
    if (waitpid(zombie, &status, 0) != zombie) fail("level %d: the zombie is gone: %s", level, strerror(errno));
    expect(status == (10 + level) << 8, "level %d: the zombie ended with %x", level, status);
}

/// Makes the next level, by clone or by unshare. 0: the caller is its init.
static pid_t make_next(int level) {
    if (level % 2 == 0) return cloned(CLONE_NEWPID);
    if (unshare(CLONE_NEWPID)) cannot_prepare("unshare");
    return cloned(0);
}

/// The init of a level: the next level is its child.
static void init(int level) {
    pid_t zombie = populate(level), next = -1;
    while (level < depth && (next = make_next(level)) == 0) zombie = populate(++level);
    if (level == depth) next = -1;
    thread_may_look = 1;
    watch(level);
    check_zombie(zombie, level);
    // After unshare the next child is born in the next level's namespace, also after a restart.
    if (level % 2 && level < depth) {
        pid_t late = cloned(0);
        if (late == 0) _exit(getpid() > 1 && getppid() == 0 ? 0 : 1);
        int status = -1;
        waitpid(late, &status, 0);
        expect(status == 0, "level %d: children go elsewhere than before", level);
    }
    while (!board->leave) nap_ms(2);
    if (next > 0) waitpid(next, NULL, 0);
    _exit(0);
}

static int enter_namespace(pid_t member) {
    int fd = (int)syscall(434 /* pidfd_open */, member, 0);
    if (fd < 0 || setns(fd, CLONE_NEWPID)) cannot_prepare("setns");
    return close(fd);
}

/// The pid of a level's init for the root: the child of the init above that has number 1 in its own namespace.
static pid_t find_init(pid_t above, int level) {
    char path[100], line[1000];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", above, above);
    FILE *file = fopen(path, "r");
    int child;
    pid_t found = 0;
    while (file && fscanf(file, "%d", &child) == 1) {
        snprintf(path, sizeof path, "/proc/%d/status", child);
        FILE *status = fopen(path, "r");
        while (status && fgets(line, sizeof line, status)) {
            if (strncmp(line, "NSpid:", 6) != 0) continue;
            int last = 0, count = 0;
            for (char *word = strtok(line + 6, " \t\n"); word; word = strtok(NULL, " \t\n")) last = atoi(word), count++;
            if (last == 1 && count > level) found = child;
        }
        if (status) fclose(status);
    }
    if (file) fclose(file);
    return found;
}

int run_levels(int count, char **arguments) {
    depth = count > 0 ? atoi(arguments[0]) : 3;
    if (depth < 1 || depth > MOST_LEVELS - 1) return 64;
    board = shared_memory(sizeof *board);
    pid_t first = cloned(CLONE_NEWPID);
    if (first == 0) init(1);
    // Each level has three processes that compare: its init, and two others.
    while (board->made < (uint32_t)(3 * depth)) nap_ms(1);
    pid_t injected[MOST_LEVELS];
    pid_t above = first;
    for (int level = 1; level <= depth; level++) {
        if (level > 1) above = find_init(above, level);
        enter_namespace(above);
        injected[level - 1] = cloned(0);
        if (injected[level - 1] == 0) live(level);
    }
    enter_namespace(getpid());
    // A process that has called unshare(CLONE_NEWPID) and has no child in the new namespace yet.
    pid_t unborn = cloned(0);
    if (unborn == 0) {
        if (unshare(CLONE_NEWPID)) cannot_prepare("unshare");
        watch(0);
        pid_t only = cloned(0);
        if (only == 0) _exit(getpid() == 1 ? 0 : 1);
        int status = -1;
        waitpid(only, &status, 0);
        expect(status == 0, "the first child in a new namespace is not number 1");
        while (!board->leave) nap_ms(2);
        _exit(0);
    }
    struct member *own = enter(0, false);
    while (board->made < (uint32_t)(4 * depth + 1)) nap_ms(1);
    say_ready();
    while (!finish_wanted()) {
        look(own, false);
        nap_ms(5);
    }
    look_at_numbers(own);
    board->finish = 1;
    // Five for each level: the processes made there, the one from outside, and the thread of the init.
    while (board->checked < (uint32_t)(5 * depth + 1)) nap_ms(1);
    nap_ms(50);
    board->leave = 1;
    for (int level = 1; level <= depth; level++) waitpid(injected[level - 1], NULL, 0);
    waitpid(unborn, NULL, 0);
    waitpid(first, NULL, 0);
    return verdict("levels");
}
