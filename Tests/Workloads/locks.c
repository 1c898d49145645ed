// Property: every lock on a file is held afterwards, by the process or open file that had it, and by no other.
#include <sys/file.h>

#include "workload.h"

static int make(const char *name, int flags) {
    int fd = open(run_path(name), flags | O_CREAT, 0600);
    if (fd < 0 || ((flags & O_ACCMODE) != O_RDONLY && ftruncate(fd, 100))) cannot_prepare(name);
    return fd;
}

static int range(int fd, int operation, short type, off_t start, off_t length) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, operation, &lock);
}

/// Whether it is the process that is wanted (0: any).
static bool is(pid_t pid, pid_t wanted) { return pid > 0 && (wanted == 0 || pid == wanted); }

/// What another process sees at a range: the type of the lock that is in the way, and which process has it.
static short seen(const char *name, int operation, off_t start, off_t length, short type, pid_t *owner) {
    int fd = open(run_path(name), O_RDWR);
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    if (fd < 0 || fcntl(fd, operation, &lock)) return -1;
    if (owner) *owner = lock.l_pid;
    close(fd);
    return lock.l_type;
}

static bool is_free_for(const char *name, int operation) {
    int fd = open(run_path(name), O_RDWR);
    bool free = fd >= 0 && flock(fd, operation | LOCK_NB) == 0;
    close(fd);
    return free;
}

static _Atomic uint64_t turns;
static int turn_file[2];

/// Two open files that lock each other out, and wait for their turn most of the time.
static void *take_turns(void *argument) {
    int fd = turn_file[(long)argument];
    for (;;) {
        if (flock(fd, LOCK_EX)) fail("flock: %d", errno);
        turns++;
        nap_ms(2);
        flock(fd, LOCK_UN);
        nap_ms(1);
    }
    return NULL;
}

/// A process that waits for a POSIX lock of its parent, and says when it gets it.
static pid_t start_waiter(int fd, int told, int unused) {
    pid_t child = fork();
    if (child != 0) return child;
    close(unused);
    if (range(fd, F_SETLKW, F_WRLCK, 90, 5)) _exit(1);
    _exit(write(told, "x", 1) != 1);
}

/// Checks from a process that has none of the locks.
static void look_from_outside(pid_t owner, pid_t other) {
    pid_t child = fork();
    if (child == 0) {
        pid_t pid = 0;
        expect(seen("posix", F_GETLK, 0, 10, F_WRLCK, &pid) == F_WRLCK && is(pid, owner), "bytes 0 to 9 are not locked by %d", owner);
        expect(seen("posix", F_GETLK, 10, 10, F_WRLCK, NULL) == F_UNLCK, "bytes 10 to 19 are locked");
        expect(seen("posix", F_GETLK, 20, 1, F_WRLCK, &pid) == F_RDLCK && is(pid, owner), "byte 20 has no shared lock");
        expect(seen("posix", F_GETLK, 20, 1, F_RDLCK, NULL) == F_UNLCK, "byte 20 has an exclusive lock");
        expect(seen("posix", F_GETLK, 50, 5, F_WRLCK, &pid) == F_WRLCK && is(pid, other), "the child has lost its lock");
        expect(seen("posix", F_GETLK, 1LL << 40, 1, F_WRLCK, NULL) == F_WRLCK, "the end of the range is lost");
        expect(seen("ofd", F_OFD_GETLK, 5, 1, F_WRLCK, NULL) == F_WRLCK, "the lock of the open file is lost");
        expect(seen("ofd", F_OFD_GETLK, 16, 1, F_WRLCK, NULL) == F_UNLCK, "the lock of the open file has grown");
        expect(!is_free_for("exclusive", LOCK_SH), "the exclusive lock by flock is lost");
        expect(is_free_for("shared", LOCK_SH) && !is_free_for("shared", LOCK_EX), "the shared lock by flock is wrong");
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

int run_locks(int count, char **arguments) {
    (void)count, (void)arguments;
    int posix = make("posix", O_RDWR), ofd = make("ofd", O_RDWR), exclusive = make("exclusive", O_RDONLY), shared = make("shared", O_RDWR);
    int leased = make("leased", O_RDWR);
    close(leased);
    leased = open(run_path("leased"), O_RDONLY);
    // A second descriptor of the locked file, which is not closed, and a copy.
    int second = open(run_path("posix"), O_RDONLY), copy = dup(exclusive);
    int told[2], end[2];
    if (second < 0 || copy < 0 || pipe(told) || pipe(end)) cannot_prepare("descriptors");
    pid_t self = getpid(), child = fork();
    if (child == 0) {
        close(end[1]);
        if (range(posix, F_SETLK, F_WRLCK, 50, 5)) _exit(1);
        if (write(told[1], "x", 1) != 1) _exit(1);
        char byte;
        _exit(read(end[0], &byte, 1) != 0);
    }
    char byte;
    if (read(told[0], &byte, 1) != 1) cannot_prepare("child");
    if (range(posix, F_SETLK, F_WRLCK, 0, 10) || range(second, F_SETLK, F_RDLCK, 20, 1) || range(posix, F_SETLK, F_WRLCK, 90, 0) ||
        range(ofd, F_OFD_SETLK, F_WRLCK, 4, 12) || flock(exclusive, LOCK_EX) || flock(shared, LOCK_SH))
        cannot_prepare("locks");
    signal(SIGIO, SIG_IGN);
    if (fcntl(leased, F_SETLEASE, F_RDLCK)) cannot_prepare("lease");
    pid_t waiter = start_waiter(posix, told[1], end[1]);
    for (long i = 0; i < 2; i++) {
        turn_file[i] = make("turns", O_RDWR);
        start_thread(take_turns, (void *)i);
    }
    expect_progress("the turns", &turns, 5);
    say_ready();
    wait_for_finish();

    // A tree that has other numbers than before knows those of its children no more.
    bool is_known = getpid() == self;
    look_from_outside(getpid(), is_known ? child : 0);
    expect(fcntl(leased, F_GETLEASE) == F_RDLCK, "the lease is lost");
    // The lock belongs to the open file: the copy unlocks it.
    expect(flock(copy, LOCK_UN) == 0 && is_free_for("exclusive", LOCK_EX), "the copy is another open file");
    expect_progress("the turns", &turns, 10);
    fcntl(told[0], F_SETFL, O_NONBLOCK);
    expect(read(told[0], &byte, 1) < 0 && errno == EAGAIN, "a lock that is held was given away");
    fcntl(told[0], F_SETFL, 0);
    expect(range(posix, F_SETLK, F_UNLCK, 90, 0) == 0 && read(told[0], &byte, 1) == 1, "no process waits for the lock");
    int status = -1;
    expect(waitpid(is_known ? waiter : -1, &status, 0) > 0 && status == 0, "the waiter ended with %d", status);
    // Closing any descriptor of the file drops the locks of the process.
    close(second);
    expect(is_free_for("posix", LOCK_EX), "flock and F_SETLK mix");
    pid_t owner = 0;
    expect(seen("posix", F_OFD_GETLK, 0, 10, F_WRLCK, &owner) == F_UNLCK, "a lock outlives the close");
    close(end[1]);
    expect(waitpid(is_known ? child : -1, &status, 0) > 0 && status == 0, "the child ended with %d", status);
    return verdict("locks");
}
