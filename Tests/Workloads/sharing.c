// Property: processes share what they shared, in every mix of clone flags, and nothing else.
//
//     Workloads sharing DIRECTORY [SEED]
//
// Without a seed there is one process for each mix of flags. All are children of the root, except some chains A, B, C in
// which A and C share an object that B has given up. With a seed there is a random tree: each process can be created by
// any other one, with any flags; some call unshare, some have threads. For each kind of object, one process after the other
// makes a change, and the processes that share the object must see it, and no others.
#include "workload.h"
#include <sched.h>
#include <sys/ipc.h>
#include <linux/futex.h>

enum { MOST = 20, KINDS = 4, STACK = 64 * 1024, FIRST_FD = 200 };
static const int kinds[KINDS] = {CLONE_VM, CLONE_FILES, CLONE_FS, CLONE_SIGHAND};
static const char *const names[KINDS] = {"memory", "descriptors", "directory", "signal actions"};

struct actor {
    pid_t pid;
    /// By kind: the object that it has, as the number of the first process with it.
    int object[KINDS];
    _Atomic uint32_t command, answer;
    _Atomic uint64_t steps;
    /// The number and the flags of the next child; or the flags for unshare.
    int child, flags;
    int seen[KINDS];
};

struct stage {
    _Atomic uint32_t count, finish;
    struct actor all[MOST];
};

static struct stage *stage;
/// A word in private memory: only processes that share memory see its changes.
static volatile int cell;
static char root_path[3000];

static void handler(int signal) { (void)signal; }
static void other_handler(int signal) { (void)signal; }

static long compare_tasks(pid_t first, pid_t second, int kind) { return syscall(SYS_kcmp, first, second, kind, 0, 0); }

/// Changes the caller's object of a kind to one of two states (0 or 1), which processes that share the object can see.
static void change(int kind, int value) {
    char path[3100];
    switch (kind) {
    case 0: cell = value; break;
    case 1: {
        if (value) {
            int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
            if (fd < 0 || dup2(fd, FIRST_FD) < 0 || close(fd)) fail("cannot open");
        } else close(FIRST_FD);
        break;
    }
    case 2:
        snprintf(path, sizeof path, "%s/%s", root_path, value ? "one" : "two");
        if (chdir(path)) fail("cannot enter %s: %s", path, strerror(errno));
        umask(value ? 027 : 022);
        break;
    case 3: {
        struct sigaction action = {.sa_handler = value ? handler : other_handler};
        sigaction(SIGUSR2, &action, NULL);
        break;
    }
    }
}

static int look(int kind) {
    char path[3100];
    switch (kind) {
    case 0: return cell;
    case 1: return fcntl(FIRST_FD, F_GETFD) >= 0;
    case 2: {
        if (!getcwd(path, sizeof path)) return -1;
        int mask = umask(0), here = strcmp(path + strlen(path) - 3, "one") == 0;
        umask((mode_t)mask);
        return mask == (here ? 027 : 022) ? here : -2;
    }
    default: {
        struct sigaction action;
        sigaction(SIGUSR2, NULL, &action);
        return action.sa_handler == handler ? 1 : action.sa_handler == other_handler ? 0 : -1;
    }
    }
}

/// LOOK + kind: a look at its object of that kind.
enum { LOOK = 100, SPAWN = LOOK + KINDS, UNSHARE, THREAD, END };

static void spawn(int number, int flags);
static void add_thread(void);

/// Commands below LOOK are 1 + kind * 2 + value: a change.
static void act(struct actor *own) {
    while (1) {
        uint32_t command = own->command;
        if (command == own->answer) {
            struct timespec while_ = {0, 20 * 1000 * 1000};
            syscall(SYS_futex, &own->command, FUTEX_WAIT, command, &while_, NULL, 0);
            own->steps++;
            continue;
        }
        uint32_t what = command & 0xff;
        if (what == END) {
            own->answer = command;
            syscall(SYS_exit_group, 0);
        }
        if (what == SPAWN) spawn(own->child, own->flags);
        else if (what == THREAD) add_thread();
        else if (what == UNSHARE) {
            if (syscall(SYS_unshare, own->flags)) fail("cannot unshare %x: %s", own->flags, strerror(errno));
        } else if (what >= LOOK) own->seen[what - LOOK] = look((int)(what - LOOK));
        else change((int)(what - 1) / 2, (int)(what - 1) % 2);
        own->answer = command;
        syscall(SYS_futex, &own->answer, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
}

static void command(int number, uint32_t what) {
    struct actor *actor = &stage->all[number];
    actor->command = ((actor->command >> 8) + 1) << 8 | what;
    syscall(SYS_futex, &actor->command, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void await_answer(int number) {
    struct actor *actor = &stage->all[number];
    uint32_t answer;
    for (int i = 0; (answer = actor->answer) != actor->command; i++) {
        if (i > 2000) {
            fail("process %d does not answer", number);
            return;
        }
        struct timespec while_ = {0, 10 * 1000 * 1000};
        syscall(SYS_futex, &actor->answer, FUTEX_WAIT, answer, &while_, NULL, 0);
    }
}

static void ask(int number, uint32_t what) {
    command(number, what);
    await_answer(number);
}

/// Asks all processes but the first at once; about their directories (which are looked at by changing the mask for a moment)
/// one after the other.
static void ask_all(uint32_t what) {
    if (what == LOOK + 2) {
        for (int number = 1; number < (int)stage->count; number++) ask(number, what);
        return;
    }
    for (int number = 1; number < (int)stage->count; number++) command(number, what);
    for (int number = 1; number < (int)stage->count; number++) await_answer(number);
}

static int live(void *argument) {
    struct actor *own = argument;
    own->pid = (pid_t)syscall(SYS_getpid);
    act(own);
    return 0;
}

/// Makes a stack for a new process: with shared memory it must not use that of its creator.
static char *new_stack(void) {
    char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) cannot_prepare("stack");
    return stack + STACK;
}

static void spawn(int number, int flags) {
    if (clone(live, new_stack(), flags | SIGCHLD, &stage->all[number]) < 0) cannot_prepare("process");
}

/// A thread that waits, and has no memory for thread-local variables of its own.
static int wait_for_ever(void *unused) {
    struct timespec while_ = {0, 30 * 1000 * 1000};
    for (;;) syscall(SYS_ppoll, NULL, 0, &while_, NULL, 0);
    return unused != NULL;
}

static void add_thread(void) {
    const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    if (clone(wait_for_ever, new_stack(), flags, NULL) < 0) cannot_prepare("thread");
}

/// A new process, child of another one. Gives its number.
static int add(int parent, int flags) {
    int number = (int)stage->count++;
    for (int kind = 0; kind < KINDS; kind++)
        stage->all[number].object[kind] = flags & kinds[kind] ? stage->all[parent].object[kind] : number;
    stage->all[parent].child = number;
    stage->all[parent].flags = flags;
    if (parent == 0) spawn(number, flags);
    else ask(parent, SPAWN);
    while (!stage->all[number].pid) nap_ms(1);
    return number;
}

/// Lets a process give up objects (unshare). Its new objects get numbers above those of processes, because it can have had
/// a first object of its own before.
static void unshare_in(int number, int flags) {
    static int next = MOST;
    for (int kind = 0; kind < KINDS; kind++)
        if (flags & kinds[kind]) stage->all[number].object[kind] = next++;
    stage->all[number].flags = flags;
    if (number) ask(number, UNSHARE);
    else if (unshare(flags)) cannot_prepare("unshare");
}

static void add_every_mix(void) {
    add(0, CLONE_VM);
    add(0, CLONE_FILES);
    add(0, CLONE_FS);
    add(0, CLONE_VM | CLONE_SIGHAND);
    add(0, CLONE_SYSVSEM);
    add(0, CLONE_IO);
    add(0, CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND | CLONE_SYSVSEM | CLONE_IO);
    add(add(0, CLONE_FILES | CLONE_FS), CLONE_VM | CLONE_FILES);
    // A, B, C, where B has given up the object that A and C share.
    int between = add(0, CLONE_FILES);
    add(between, CLONE_FILES);
    unshare_in(between, CLONE_FILES);
    between = add(0, CLONE_VM | CLONE_FS | CLONE_SYSVSEM);
    add(between, CLONE_VM | CLONE_FS | CLONE_SYSVSEM);
    unshare_in(between, CLONE_FS | CLONE_SYSVSEM);
    add(add(0, 0), CLONE_VM | CLONE_SIGHAND | CLONE_FILES);
    add(0, 0);
}

static void add_at_random(uint64_t seed) {
    static const int all[] = {CLONE_VM, CLONE_FILES, CLONE_FS, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_IO};
    int processes = 6 + (int)(next_number(&seed) % 11);
    while ((int)stage->count < processes) {
        int flags = 0, number = (int)(next_number(&seed) % stage->count);
        for (int i = 0; i < 6; i++)
            if (next_number(&seed) % 2) flags |= all[i];
        if (!(flags & CLONE_VM)) flags &= ~CLONE_SIGHAND;
        if (next_number(&seed) % 3) add(number, flags);
        else if (flags & (CLONE_FILES | CLONE_FS | CLONE_SYSVSEM)) unshare_in(number, flags & (CLONE_FILES | CLONE_FS | CLONE_SYSVSEM));
    }
    for (int number = 0; number < processes; number++)
        for (uint64_t i = next_number(&seed) % 3; i > 1; i--) {
            if (number) ask(number, THREAD);
            else add_thread();
        }
}

/// Lets each process in turn change its object of a kind, and asks all processes whether they see the change.
static void check(int kind) {
    int count = (int)stage->count;
    for (int value = 0; value < 2; value++)
        for (int number = 0; number < count; number++) {
            // First all processes set the other value, then one of them sets this one.
            change(kind, !value);
            ask_all((uint32_t)(1 + kind * 2 + !value));
            if (number) ask(number, (uint32_t)(1 + kind * 2 + value));
            else change(kind, value);
            ask_all((uint32_t)(LOOK + kind));
            stage->all[0].seen[kind] = look(kind);
            for (int other = 0; other < count; other++) {
                int wanted = stage->all[other].object[kind] == stage->all[number].object[kind] ? value : !value;
                expect(
                    stage->all[other].seen[kind] == wanted, "process %d %s the %s of process %d (%d)", other,
                    wanted == value ? "does not see" : "sees", names[kind], number, stage->all[other].seen[kind]);
            }
        }
}

/// Io contexts (5) and undo lists (6) have no effect that another process could see, so kcmp(2) compares them. It takes two
/// missing undo lists for the same, so they are compared only if no process gives up its list.
static int last_compared = 6;

static int likeness(int first, int second) {
    int result = 0;
    for (int kind = 1; kind <= last_compared; kind++)
        if (compare_tasks(stage->all[first].pid, stage->all[second].pid, kind) == 0) result |= 1 << kind;
    return result;
}

int run_sharing(int count, char **arguments) {
    stage = shared_memory(sizeof *stage);
    if (!realpath(run_path("."), root_path)) cannot_prepare("path");
    mkdir(run_path("one"), 0777);
    mkdir(run_path("two"), 0777);
    for (int kind = 0; kind < KINDS; kind++) change(kind, 0);
    stage->all[0].pid = getpid();
    for (int kind = 0; kind < KINDS; kind++) stage->all[0].object[kind] = 0;
    stage->count = 1;
    // Makes an io context that can be shared.
    syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 3);

    if (count > 0) last_compared = 5;
    if (count > 0) add_at_random((uint64_t)atoll(arguments[0]));
    else add_every_mix();

    int all = (int)stage->count;
    static int before[MOST][MOST];
    for (int i = 0; i < all; i++)
        for (int j = 0; j < all; j++) before[i][j] = likeness(i, j);
    for (int kind = 0; kind < KINDS; kind++) check(kind);
    say_ready();
    while (!finish_wanted()) {
        for (int kind = 0; kind < KINDS; kind++) check(kind);
        nap_ms(2);
    }
    for (int kind = 0; kind < KINDS; kind++) check(kind);
    for (int i = 0; i < all; i++)
        for (int j = 0; j < all; j++)
            expect(likeness(i, j) == before[i][j], "processes %d and %d shared %x and share %x", i, j, before[i][j], likeness(i, j));
    for (int number = 1; number < all; number++) expect_progress("a process that waits", &stage->all[number].steps, 1);
    for (int number = all - 1; number > 0; number--) ask(number, END);
    while (wait(NULL) > 0) {}
    return verdict("sharing");
}
