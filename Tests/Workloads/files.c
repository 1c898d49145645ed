// Property: open files keep their offsets and flags, and are shared by the same descriptors and processes. Umask and
// working directory stay the same.
#include "workload.h"

enum { CHILD_STEPS = 5 };

static int open_at(const char *name, int flags) {
    int fd = open(run_path(name), flags, 0640);
    if (fd < 0) cannot_prepare(name);
    return fd;
}

static void expect_flags(const char *name, int fd, int wanted, int mask) {
    int flags = fcntl(fd, F_GETFL);
    expect(flags >= 0 && (flags & mask) == wanted, "%s: flags are %x", name, flags);
}

static void expect_offset(const char *name, int fd, off_t wanted) {
    off_t offset = lseek(fd, 0, SEEK_CUR);
    expect(offset == wanted, "%s: the offset is %lld, not %lld", name, (long long)offset, (long long)wanted);
}

int run_files(int count, char **arguments) {
    (void)count, (void)arguments;
    umask(0137);
    if (mkdir(run_path("inside"), 0755) || chdir(run_path("inside"))) cannot_prepare("directory");

    int data = open_at("data", O_RDWR | O_CREAT);
    for (uint64_t i = 0; i < 1000; i++)
        if (write(data, &i, sizeof i) != sizeof i) cannot_prepare("data");
    lseek(data, 100 * 8, SEEK_SET);
    int same = dup(data);
    int cloexec = fcntl(data, F_DUPFD_CLOEXEC, 90);
    int other = open_at("data", O_RDONLY | O_NOATIME);
    lseek(other, 500 * 8, SEEK_SET);

    int log = open_at("log", O_WRONLY | O_CREAT | O_APPEND);
    int truncated = open_at("truncated", O_WRONLY | O_CREAT | O_TRUNC);
    if (write(truncated, "abc", 3) != 3) cannot_prepare("truncated");
    int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDONLY), random = open("/dev/urandom", O_RDONLY);
    int nonblocking = open_at("data", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int directory = open_at("inside", O_RDONLY | O_DIRECTORY);
    int path_only = open_at("data", O_PATH);
    int beyond = open_at("data", O_RDONLY);
    lseek(beyond, 1 << 30, SEEK_SET);
    int high = dup2(data, 900);
    if (null < 0 || zero < 0 || random < 0 || high != 900 || cloexec < 90) cannot_prepare("descriptors");

    // The child reads the file that it shares with its parent, one number for each line in the log.
    int before[2];
    if (pipe(before)) cannot_prepare("pipe");
    pid_t child = fork();
    if (child == 0) {
        close(before[1]);
        char go;
        while (read(before[0], &go, 1) == 1) {
            uint64_t number = 0;
            expect(read(data, &number, sizeof number) == sizeof number, "child: no number");
            dprintf(log, "child %llu\n", (unsigned long long)number);
        }
        _exit(0);
    }
    close(before[0]);
    say_ready();

    // The parent reads through its duplicate while waiting, so offsets move between checkpoints.
    uint64_t next = 100, lines = 0;
    bool last = false;
    while (next < 990 && !last) {
        last = finish_wanted();
        uint64_t number = 0;
        expect(read(same, &number, sizeof number) == sizeof number && number == next, "parent: read %llu for %llu",
               (unsigned long long)number, (unsigned long long)next);
        next++;
        dprintf(log, "parent %llu\n", (unsigned long long)number);
        lines++;
        nap_ms(40);
    }
    wait_for_finish();
    for (int i = 0; i < CHILD_STEPS; i++, lines++, next++)
        expect(write(before[1], "!", 1) == 1, "the child is gone");
    close(before[1]);
    int status = -1;
    expect(waitpid(child, &status, 0) == child && status == 0, "the child ended with %x", status);

    expect_offset("shared by dup and fork", high, (off_t)next * 8);
    expect_offset("shared by dup", cloexec, (off_t)next * 8);
    expect_offset("own offset", other, 500 * 8);
    expect_offset("beyond the end", beyond, 1 << 30);
    expect_offset("truncated", truncated, 3);
    const int mask = O_ACCMODE | O_APPEND | O_NONBLOCK | O_NOATIME | O_PATH;
    expect_flags("data", data, O_RDWR, mask);
    expect_flags("other", other, O_RDONLY | O_NOATIME, mask);
    expect_flags("log", log, O_WRONLY | O_APPEND, mask);
    expect_flags("nonblocking", nonblocking, O_RDONLY | O_NONBLOCK, mask);
    expect_flags("path only", path_only, O_PATH, mask & ~O_ACCMODE);
    expect_flags("/dev/null", null, O_RDWR, mask);
    expect(fcntl(cloexec, F_GETFD) == FD_CLOEXEC && fcntl(nonblocking, F_GETFD) == FD_CLOEXEC, "close-on-exec is lost");
    expect(fcntl(data, F_GETFD) == 0 && fcntl(same, F_GETFD) == 0, "close-on-exec appeared");

    char bytes[8] = "xxxxxxx";
    expect(read(null, bytes, 8) == 0 && write(null, bytes, 8) == 8, "/dev/null is something else");
    expect(read(zero, bytes, 8) == 8 && bytes[0] == 0 && bytes[7] == 0, "/dev/zero is something else");
    expect(read(random, bytes, 8) == 8, "/dev/urandom is something else");
    expect(openat(directory, "../data", O_RDONLY) >= 0, "the open directory is something else");
    expect(write(truncated, "def", 3) == 3, "cannot write to the truncated file");

    struct stat status_of_file;
    int made = open("made", O_CREAT | O_WRONLY, 0777);
    expect(fstat(made, &status_of_file) == 0 && (status_of_file.st_mode & 07777) == 0640, "the umask is another");
    expect(access(run_path("inside/made"), F_OK) == 0, "the working directory is another");

    FILE *reading = fopen(run_path("log"), "r");
    char line[100];
    uint64_t found = 0, wanted = 100;
    while (reading && fgets(line, sizeof line, reading)) {
        const char *digits = strchr(line, ' ');
        expect(digits && strtoull(digits, NULL, 10) == wanted, "line %llu of the log is %s", (unsigned long long)found,
               line);
        found++;
        wanted++;
    }
    expect(found == lines, "the log has %llu lines, not %llu", (unsigned long long)found, (unsigned long long)lines);
    return verdict("files");
}
