// What the machine itself needs, for scripts/bench: each command prints nanoseconds.
//
//     yardstick DIRECTORY copy PID FILE    process_vm_readv of the writable anonymous memory into a new file, synced
//     yardstick DIRECTORY read FILE        the file into fresh memory
//     yardstick DIRECTORY fork N           N processes that say that they run
//     yardstick DIRECTORY clone N          N processes by bare clone3, with nothing to be copied but this program
//     yardstick DIRECTORY thread N         N threads that say that they run
//     yardstick DIRECTORY warm MEBIBYTES   touches memory, so that a guest has it before anything is timed
#include "workload.h"
#include <sched.h>
#include <sys/uio.h>

#define CHUNK (4UL << 20)

static int print_ns(int64_t begin) {
    printf("%lld\n", (long long)(now_ns() - begin));
    return 0;
}

static void *fresh(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) cannot_prepare("memory");
    return memory;
}

static int copy(int pid, const char *file) {
    char path[64], line[512];
    uint8_t *buffer = fresh(CHUNK);
    memset(buffer, 1, CHUNK);
    int64_t begin = now_ns();
    int out = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "r");
    if (out < 0 || !maps) cannot_prepare(file);
    while (fgets(line, sizeof line, maps)) {
        unsigned long start, end, inode;
        char protection[8];
        if (sscanf(line, "%lx-%lx %7s %*x %*s %lu", &start, &end, protection, &inode) != 4) continue;
        if (inode != 0 || strncmp(protection, "rw", 2) != 0 || strchr(line, '[')) continue;
        for (unsigned long at = start; at < end; at += CHUNK) {
            size_t bytes = end - at < CHUNK ? end - at : CHUNK;
            struct iovec local = {buffer, bytes}, remote = {(void *)at, bytes};
            if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != (ssize_t)bytes) cannot_prepare("copy");
            if (write(out, buffer, bytes) != (ssize_t)bytes) cannot_prepare(file);
        }
    }
    if (fsync(out)) cannot_prepare(file);
    return print_ns(begin);
}

static int read_back(const char *file) {
    struct stat status;
    int64_t begin = now_ns();
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status)) cannot_prepare(file);
    uint8_t *memory = fresh((size_t)status.st_size);
    madvise(memory, (size_t)status.st_size, MADV_NOHUGEPAGE);
    for (off_t at = 0; at < status.st_size;) {
        ssize_t count = pread(fd, memory + at, (size_t)(status.st_size - at), at);
        if (count <= 0) cannot_prepare(file);
        at += count;
    }
    return print_ns(begin);
}

static int fork_bare(int wanted) {
    _Atomic int *running = shared_memory(4096);
    int64_t begin = now_ns();
    for (int i = 0; i < wanted; i++)
        if (fork() == 0) {
            ++*running;
            pause();
        }
    while (*running < wanted) sched_yield();
    print_ns(begin);
    fflush(stdout);
    kill(0, SIGKILL);
    return 0;
}

static int clone_bare(int wanted) {
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    } arguments = {.exit_signal = SIGCHLD};
    int64_t begin = now_ns();
    for (int i = 0; i < wanted; i++) {
        long pid = syscall(435, &arguments, sizeof arguments);
        if (pid < 0) cannot_prepare("process");
        if (pid == 0)
            while (true) syscall(SYS_pause);
    }
    print_ns(begin);
    fflush(stdout);
    kill(0, SIGKILL);
    return 0;
}

static _Atomic int threads_running;
static void *bare(void *unused) {
    threads_running++;
    pause();
    return unused;
}

static int thread_bare(int wanted) {
    int64_t begin = now_ns();
    for (int i = 0; i < wanted; i++) start_thread(bare, NULL);
    while (threads_running < wanted) sched_yield();
    return print_ns(begin);
}

static int warm(size_t mebibytes) {
    int64_t begin = now_ns();
    for (size_t i = 0; i < mebibytes; i += 64) memset(fresh(64UL << 20), 1, 64UL << 20);
    return print_ns(begin);
}

int run_yardstick(int count, char **arguments) {
    const char *what = count >= 2 ? arguments[0] : "";
    if (strcmp(what, "copy") == 0 && count == 3) return copy(atoi(arguments[1]), arguments[2]);
    if (strcmp(what, "read") == 0) return read_back(arguments[1]);
    if (strcmp(what, "fork") == 0) return setpgid(0, 0), fork_bare(atoi(arguments[1]));
    if (strcmp(what, "clone") == 0) return setpgid(0, 0), clone_bare(atoi(arguments[1]));
    if (strcmp(what, "thread") == 0) return thread_bare(atoi(arguments[1]));
    if (strcmp(what, "warm") == 0) return warm((size_t)atoi(arguments[1]));
    fprintf(stderr, "usage: Workloads yardstick DIRECTORY copy|read|fork|thread|warm ...\n");
    return 64;
}
