// Properties of files that their names do not lead to any more.
#include <dirent.h>

#include "workload.h"

static void expect_text(const char *what, int fd, const char *wanted) {
    char text[200] = "";
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    expect(length == (ssize_t)strlen(wanted) && !strcmp(text, wanted), "%s: %zd bytes, '%s'", what, length, text);
}

static int make(const char *name, int flags, const char *text) {
    int fd = open(run_path(name), flags | O_CREAT | O_RDWR, 0640);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) cannot_prepare(name);
    return fd;
}

static void expect_flags(const char *what, int fd, int wanted, int mask) {
    int flags = fcntl(fd, F_GETFL);
    expect(flags >= 0 && (flags & mask) == wanted, "%s: flags are %x", what, flags);
}

static bool also_called(const char *name, const char *other) {
    // There is one place for a path.
    char *path = strdup(run_path(name));
    bool done = path && !link(path, run_path(other));
    free(path);
    return done;
}

// Property: a file without a name keeps contents, flags, owner, mode and times, open and mapped, wherever its directory is.
int run_nameless(int count, char **arguments) {
    (void)count, (void)arguments;
    int made = open(run_path(""), O_TMPFILE | O_RDWR | O_APPEND, 0604);
    if (made < 0 || write(made, "never named", 11) != 11 || fchown(made, 123, 456)) cannot_prepare("O_TMPFILE");
    mkdir(run_path("gone"), 0755);
    int orphan = make("gone/orphan", 0, "in a directory that is gone");
    char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, orphan, 0);
    char *private = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, orphan, 0);
    const struct timespec times[2] = {{1000000001, 987654321}, {1234567890, 123456789}};
    int old = make("old", 0, "old");
    int same = open(run_path("old"), O_PATH);
    if (same < 0 || shared == MAP_FAILED || private == MAP_FAILED || futimens(old, times)) cannot_prepare("old");
    unlink(run_path("gone/orphan")), rmdir(run_path("gone")), unlink(run_path("old"));
    struct stat before;
    fstat(old, &before);
    say_ready();
    wait_for_finish();

    const int mask = O_ACCMODE | O_APPEND | O_NONBLOCK | O_PATH;
    struct stat now;
    expect_flags("made without a name", made, O_RDWR | O_APPEND, mask);
    expect_text("made without a name", made, "never named");
    expect(lseek(made, 0, SEEK_CUR) == 11, "made without a name: the position is lost");
    expect(!fstat(made, &now) && now.st_uid == 123 && now.st_gid == 456 && (now.st_mode & 0777) == 0604 && now.st_nlink == 0,
           "made without a name: owner %u:%u, mode %o, %lu names", now.st_uid, now.st_gid, now.st_mode, (unsigned long)now.st_nlink);
    expect(!fstat(old, &now) && now.st_mtim.tv_sec == times[1].tv_sec && now.st_mtim.tv_nsec == times[1].tv_nsec &&
               now.st_atim.tv_sec == before.st_atim.tv_sec,
           "old: it was changed at %lld", (long long)now.st_mtim.tv_sec);
    expect_text("old", old, "old");
    expect_flags("a place only", same, O_PATH, O_PATH);
    struct stat place;
    expect(!fstat(same, &place) && place.st_ino == now.st_ino && place.st_size == 3, "a place only: it is another file");
    expect_text("orphan", orphan, "in a directory that is gone");
    shared[0] = 'I';
    expect(private[0] == 'I', "orphan: its mappings are of different files");
    expect_text("orphan", orphan, "In a directory that is gone");
    expect(access(run_path("gone"), F_OK) && access(run_path("old"), F_OK), "a name has come back");
    return verdict("nameless");
}

// Property: a directory that has been removed stays so, as working directory and open; one is only called as if it had been.
int run_removed(int count, char **arguments) {
    (void)count, (void)arguments;
    mkdir(run_path("open"), 0755), mkdir(run_path("working"), 0755), mkdir(run_path("old (deleted)"), 0755);
    int open_one = open(run_path("open"), O_RDONLY | O_DIRECTORY);
    int place = open(run_path("open"), O_PATH | O_DIRECTORY);
    int named = open(run_path("old (deleted)"), O_RDONLY | O_DIRECTORY);
    if (open_one < 0 || place < 0 || named < 0 || chdir(run_path("working"))) cannot_prepare("directories");
    rmdir(run_path("open")), rmdir(run_path("working"));
    say_ready();
    wait_for_finish();

    char text[4096];
    expect(!getcwd(text, sizeof text) && errno == ENOENT, "the working directory is %s", text);
    expect(open("new", O_CREAT | O_WRONLY, 0600) < 0 && errno == ENOENT, "a file can be made in a removed directory");
    struct stat here, up, own;
    expect(!stat("..", &up) && !stat(run_path(""), &own) && up.st_ino == own.st_ino, "the directory above is another one");
    int fds[] = {open_one, place};
    for (int i = 0; i < 2; i++) {
        expect(!fstat(fds[i], &here) && S_ISDIR(here.st_mode) && here.st_nlink == 0, "descriptor %d: %lu names, mode %o", i,
               (unsigned long)here.st_nlink, here.st_mode);
        expect(openat(fds[i], "new", O_CREAT | O_WRONLY, 0600) < 0 && errno == ENOENT, "descriptor %d: a file can be made", i);
    }
    expect_flags("open", open_one, O_DIRECTORY, O_DIRECTORY | O_PATH);
    expect_flags("place", place, O_PATH | O_DIRECTORY, O_DIRECTORY | O_PATH);
    struct stat other;
    expect(!fstat(named, &here) && !stat(run_path("old (deleted)"), &other) && here.st_ino == other.st_ino,
           "a directory called as if it was removed is another one");
    DIR *list = opendir(run_path(""));
    for (struct dirent *entry; list && (entry = readdir(list));)
        expect(strncmp(entry->d_name, ".treerestore", 12), "%s is left", entry->d_name);
    return verdict("removed");
}

/// Counts the entries of a directory from where it is read, in pieces of a few entries.
static long entries_left(int directory, long most) {
    char piece[256];
    long entries = 0;
    for (long got; entries < most && (got = syscall(SYS_getdents64, directory, piece, sizeof piece)) > 0;)
        for (long place = 0; place < got; place += *(unsigned short *)(piece + place + 16)) entries++;
    return entries;
}

// Property: a file that has lost the name by which it was opened is the same file as that which its other name leads to, also
// in another directory that is in use; a directory that is half read goes on there.
int run_links(int count, char **arguments) {
    (void)count, (void)arguments;
    enum { ENTRIES = 300 };
    char name[40];
    mkdir(run_path("aside"), 0755);
    int aside = open(run_path("aside"), O_RDONLY | O_DIRECTORY), three = make("three", 0, "three"), four = make("four", 0, "mapped");
    int half = open(run_path("aside"), O_RDONLY | O_DIRECTORY);
    char *away = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, four, 0);
    if (aside < 0 || half < 0 || away == MAP_FAILED || linkat(AT_FDCWD, run_path("three"), aside, "three", 0)
        || linkat(AT_FDCWD, run_path("four"), aside, "four", 0) || unlink(run_path("three")) || unlink(run_path("four")))
        cannot_prepare("aside");
    close(four);
    for (int i = 0; i < ENTRIES; i++) {
        snprintf(name, sizeof name, "entry %d", i);
        close(openat(aside, name, O_WRONLY | O_CREAT, 0600));
    }
    long seen = entries_left(half, ENTRIES / 2);
    int one = make("one", 0, "abc"), two = make("two", 0, "mapped");
    char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, two, 0);
    if (shared == MAP_FAILED || !also_called("one", "other one") || !also_called("two", "other two"))
        cannot_prepare("links");
    close(two);
    unlink(run_path("one")), unlink(run_path("two"));
    // O_PATH names anything.
    if (symlink("nowhere", run_path("link")) || mkfifo(run_path("fifo"), 0600)) cannot_prepare("link");
    int arrow = open(run_path("link"), O_PATH | O_NOFOLLOW), fifo = open(run_path("fifo"), O_PATH);
    if (arrow < 0 || fifo < 0) cannot_prepare("O_PATH");
    say_ready();
    wait_for_finish();

    // With two files, `.` and `..`.
    long left = entries_left(half, 10 * ENTRIES);
    expect(seen + left == ENTRIES + 4, "the directory has %ld entries, and then %ld more", seen, left);
    expect(pwrite(three, "T", 1, 0) == 1, "three: cannot write");
    int third = openat(aside, "three", O_RDONLY), fourth = openat(aside, "four", O_RDONLY);
    expect_text("aside/three", third, "Three");
    memcpy(away, "MAPPED", 6);
    expect_text("aside/four", fourth, "MAPPED");
    expect(write(one, "def", 3) == 3, "one: cannot write");
    int again = open(run_path("other one"), O_RDONLY), mapped = open(run_path("other two"), O_RDWR);
    expect_text("other one", again, "abcdef");
    memcpy(shared, "MAPPED", 6);
    expect_text("other two", mapped, "MAPPED");
    expect(pwrite(mapped, "M", 1, 5) == 1 && shared[5] == 'M', "the mapping is not that of its file");
    char text[20] = "";
    expect(readlinkat(arrow, "", text, sizeof text - 1) == 7 && !strcmp(text, "nowhere"), "the link leads to '%s'", text);
    expect_flags("link", arrow, O_PATH | O_NOFOLLOW, O_PATH | O_NOFOLLOW);
    struct stat status;
    expect(!fstat(fifo, &status) && S_ISFIFO(status.st_mode), "the named pipe has mode %o", status.st_mode);
    return verdict("links");
}

// Property: a program whose file has been removed, or cannot be executed any more, goes on, and its file can be read.
int run_program(int count, char **arguments) {
    if (count < 2) {
        char self[4096];
        snprintf(self, sizeof self, "%s", run_path("program"));
        char command[9000];
        snprintf(command, sizeof command, "cp /proc/%d/exe '%s'", getpid(), self);
        if (system(command)) cannot_prepare("program");
        execl(self, self, "program", run_path("."), count ? arguments[0] : "removed", "again", NULL);
        cannot_prepare("program");
    }
    struct stat before, now;
    stat("/proc/self/exe", &before);
    if (!strcmp(arguments[0], "removed")) unlink(run_path("program")); else chmod(run_path("program"), 0644);
    say_ready();
    wait_for_finish();
    expect(!stat("/proc/self/exe", &now) && now.st_size == before.st_size, "the program file has %lld bytes", (long long)now.st_size);
    char magic[4] = "";
    int file = open("/proc/self/exe", O_RDONLY);
    expect(read(file, magic, 4) == 4 && !memcmp(magic, "\177ELF", 4), "the program file is none");
    return verdict("program");
}
