// Property: memfds keep their seals, modes and contents, and programs in them can be executed.
#include "workload.h"

#define PAGE 4096UL
enum { SEAL_FUTURE_WRITE = 16, SEAL_EXEC = 32, MAKE_NOEXEC_SEAL = 8, MAKE_EXEC = 16 };

static int make(const char *name, unsigned flags, size_t bytes, uint64_t seed) {
    int fd = memfd_create(name, flags);
    if (fd < 0) return -1;
    uint8_t content[3 * PAGE];
    fill_pattern(content, sizeof content, seed);
    if (write(fd, content, bytes) != (ssize_t)bytes) cannot_prepare(name);
    return fd;
}

static void verify(const char *name, int fd, int seals, size_t bytes, uint64_t seed, off_t position) {
    uint8_t content[3 * PAGE];
    struct stat status;
    fstat(fd, &status);
    expect(fcntl(fd, F_GET_SEALS) == seals, "%s: its seals are %x, not %x", name, fcntl(fd, F_GET_SEALS), seals);
    expect(status.st_size == (off_t)bytes, "%s: its size is %ld", name, (long)status.st_size);
    expect(pread(fd, content, sizeof content, 0) == (ssize_t)bytes, "%s: it cannot be read", name);
    expect(wrong_byte(content, bytes, seed) < 0, "%s: its contents are wrong", name);
    expect(lseek(fd, 0, SEEK_CUR) == position, "%s: its position is wrong", name);
}

/// A copy of a program, in a memfd whose descriptor is the only one.
static int copy_program(const char *path) {
    int from = open(path, O_RDONLY), to = memfd_create("program", 0);
    char part[65536];
    for (ssize_t got; (got = read(from, part, sizeof part)) > 0;)
        if (write(to, part, (size_t)got) != got) cannot_prepare(path);
    close(from);
    fchmod(to, 0700);
    return to;
}

int run_memfds(int count, char **arguments) {
    (void)count, (void)arguments;
    unsigned all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    int closed = make("closed", 0, PAGE + 5, 1);
    int open_ended = make("open", MFD_ALLOW_SEALING, 2 * PAGE, 2);
    int constant = make("constant", MFD_ALLOW_SEALING, 3 * PAGE, 3);
    fcntl(constant, F_ADD_SEALS, all);
    uint8_t *seen = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, constant, 0);
    int frozen = make("frozen", MFD_ALLOW_SEALING, 2 * PAGE, 4);
    uint8_t *writable = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, frozen, 0);
    if (fcntl(frozen, F_ADD_SEALS, SEAL_FUTURE_WRITE | F_SEAL_GROW) != 0) cannot_prepare("F_SEAL_FUTURE_WRITE");
    int noexec = make("noexec", MAKE_NOEXEC_SEAL | MFD_CLOEXEC, PAGE, 5);
    int noexec_seals = noexec < 0 ? 0 : fcntl(noexec, F_GET_SEALS);
    struct stat noexec_status = {0};
    if (noexec >= 0) fstat(noexec, &noexec_status);
    int program = copy_program("/bin/true");
    lseek(open_ended, 7, SEEK_SET);
    fcntl(open_ended, F_SETFL, O_APPEND);
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", open_ended);
    int second = open(self, O_RDWR), reader = open(self, O_RDONLY);
    lseek(second, 9, SEEK_SET);
    say_ready();
    wait_for_finish();
    verify("closed", closed, F_SEAL_SEAL, PAGE + 5, 1, PAGE + 5);
    verify("open", open_ended, 0, 2 * PAGE, 2, 7);
    verify("open, second", second, 0, 2 * PAGE, 2, 9);
    verify("open, for reading", reader, 0, 2 * PAGE, 2, 0);
    expect((fcntl(open_ended, F_GETFL) & O_APPEND) && !(fcntl(second, F_GETFL) & O_APPEND), "flags of memfds are mixed up");
    verify("constant", constant, (int)all, 3 * PAGE, 3, 3 * PAGE);
    expect(wrong_byte(seen, 3 * PAGE, 3) < 0, "a mapping of sealed memory is wrong");
    expect(write(constant, "x", 1) < 0, "sealed memory can be written");
    verify("frozen", frozen, SEAL_FUTURE_WRITE | F_SEAL_GROW, 2 * PAGE, 4, 2 * PAGE);
    writable[PAGE] ^= 1;
    uint8_t byte = 0;
    expect(pread(frozen, &byte, 1, PAGE) == 1 && byte == writable[PAGE], "an older mapping is not that of the memfd");
    expect(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, frozen, 0) == MAP_FAILED, "F_SEAL_FUTURE_WRITE has no effect");
    if (noexec >= 0) {
        struct stat status;
        fstat(noexec, &status);
        verify("noexec", noexec, noexec_seals, PAGE, 5, PAGE);
        expect(status.st_mode == noexec_status.st_mode, "the mode of a memfd is %o", status.st_mode);
        expect(fchmod(noexec, 0700) != 0, "F_SEAL_EXEC has no effect");
    }
    pid_t child = fork();
    if (child == 0) {
        fexecve(program, (char *[]){"true", NULL}, environ);
        _exit(errno);
    }
    int status = -1;
    waitpid(child, &status, 0);
    expect(status == 0, "a program in a memfd cannot be executed: %s", strerror(WEXITSTATUS(status)));
    return verdict("memfds");
}
