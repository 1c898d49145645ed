// Property: open files that are not what a name or a pipe alone says: files of /proc/PID, signals that files send, the place
// of a reader of kernel messages.
#include "workload.h"
#include <dirent.h>
#include <sys/prctl.h>

// MARK: procfiles

static _Atomic int thread_comm, thread_stop;
static _Atomic pid_t thread_tid;

static void *hold_own_name(void *argument) {
    (void)argument;
    char path[64];
    prctl(PR_SET_NAME, "before", 0, 0, 0);
    pid_t tid = (pid_t)syscall(SYS_gettid);
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", tid);
    thread_comm = open(path, O_RDWR | O_CLOEXEC);
    thread_tid = tid;
    while (!thread_stop) nap_ms(1);
    char name[17] = "";
    prctl(PR_GET_NAME, name, 0, 0, 0);
    expect(strcmp(name, "after") == 0, "the thread's name is %s", name);
    thread_stop = 2;
    return NULL;
}

static void read_at(int file, off_t place, char *text, size_t size) {
    ssize_t got = pread(file, text, size - 1, place);
    text[got > 0 ? got : 0] = 0;
}

/// The first line of a text, without its end.
static void first_line(char *text) { text[strcspn(text, "\n")] = 0; }

int run_procfiles(int count, char **arguments) {
    (void)count, (void)arguments;
    static char text[1 << 20], fresh[1 << 20];
    char path[64];
    int *phase = shared_memory(4096);
    int maps = open("/proc/self/maps", O_RDONLY), status = open("/proc/self/status", O_RDONLY);
    int tasks = open("/proc/self/task", O_RDONLY | O_DIRECTORY), own = open("/proc/self", O_RDONLY | O_DIRECTORY);
    int network = open("/proc/self/net/tcp", O_RDONLY), global = open("/proc/stat", O_RDONLY);
    int memory = open("/proc/self/mem", O_RDWR), beyond = open("/proc/self/mem", O_RDONLY);
    if (maps < 0 || status < 0 || tasks < 0 || own < 0 || memory < 0 || beyond < 0) cannot_prepare("open");
    if (read(maps, text, 100) != 100) cannot_prepare("read maps");
    uint64_t variable = 0x1122334455667788;
    lseek(memory, (off_t)(uintptr_t)&variable, SEEK_SET);
    const off_t highest = (off_t)0xffffffffff600000ULL;
    lseek(beyond, highest, SEEK_SET);

    pid_t zombie = fork();
    if (zombie == 0) _exit(3);
    snprintf(path, sizeof path, "/proc/%d/stat", zombie);
    siginfo_t ended;
    waitid(P_PID, (id_t)zombie, &ended, WEXITED | WNOWAIT);
    int dead = open(path, O_RDONLY);
    // One process looks at another one, and both share that with a third.
    pid_t first = fork();
    if (first == 0) {
        while (*phase < 2) nap_ms(1);
        _exit(0);
    }
    snprintf(path, sizeof path, "/proc/%d/stat", first);
    int other = open(path, O_RDONLY);
    if (other < 0 || dead < 0 || read(other, text + 100, 2) != 2) cannot_prepare("stat");
    pid_t second = fork();
    if (second == 0) {
        while (*phase < 1) nap_ms(1);
        // The parent has gone on from 2 to 5.
        expect(lseek(other, 0, SEEK_CUR) == 5, "the place is not shared: %ld", (long)lseek(other, 0, SEEK_CUR));
        char line[32];
        read_at(status, 0, fresh, sizeof fresh);
        snprintf(line, sizeof line, "Pid:\t%d\n", getppid());
        expect(strstr(fresh, line) != NULL, "the inherited status is not the parent's");
        *phase = 2;
        _exit(0);
    }
    start_thread(hold_own_name, NULL);
    while (thread_tid == 0) nap_ms(1);
    int twice = fcntl(thread_comm, F_DUPFD, 200);

    say_ready();
    wait_for_finish();
    ssize_t got = 0, more;
    while ((more = read(maps, text + 100 + got, sizeof text - 101 - (size_t)got)) > 0) got += more;
    text[100 + got] = 0;
    expect(strstr(text, "[stack]") != NULL, "maps ends before the stack");
    int again = open("/proc/self/maps", O_RDONLY);
    read_at(again, 0, fresh, 4096);
    first_line(fresh);
    char line[64];
    expect(strncmp(text, fresh, strlen(fresh)) == 0, "maps goes on in another line: %.200s", text);
    close(again);
    snprintf(line, sizeof line, "Pid:\t%d\n", getpid());
    read_at(status, 0, fresh, sizeof fresh);
    expect(strstr(fresh, line) != NULL, "status is that of another process");
    struct stat seen;
    snprintf(line, sizeof line, "%d", (int)thread_tid);
    expect(fstatat(tasks, line, &seen, 0) == 0, "task %s is not there: %s", line, strerror(errno));
    int comm = openat(own, "comm", O_RDONLY);
    read_at(comm, 0, fresh, 100);
    expect(strcmp(fresh, "Workloads\n") == 0, "the directory is that of %s", fresh);
    read_at(network, 0, fresh, 100);
    expect(strstr(fresh, "local_address") != NULL, "net/tcp says %s", fresh);
    read_at(global, 0, fresh, 100);
    expect(strncmp(fresh, "cpu ", 4) == 0, "/proc/stat says %s", fresh);
    uint64_t value = 0;
    expect(read(memory, &value, 8) == 8 && value == variable, "mem reads %llx", (unsigned long long)value);
    value = 99;
    expect(pwrite(memory, &value, 8, (off_t)(uintptr_t)&variable) == 8 && *(volatile uint64_t *)&variable == 99, "mem does not write");
    expect(lseek(beyond, 0, SEEK_CUR) == highest, "mem is at %lx", (long)lseek(beyond, 0, SEEK_CUR));
    read_at(dead, 0, fresh, 200);
    expect(strstr(fresh, ") Z ") != NULL && atoi(fresh) == zombie, "the zombie's stat says %s", fresh);
    expect(read(other, fresh, 3) == 3 && lseek(other, 0, SEEK_CUR) == 5, "stat is not where it was");
    read_at(other, 0, fresh, 200);
    expect(atoi(fresh) == first, "stat is that of another process: %.20s", fresh);
    *phase = 1;
    int end = 0;
    expect(waitpid(second, &end, 0) == second && end == 0, "the second child ended with %x", end);
    expect(waitpid(first, &end, 0) == first && end == 0, "the first child ended with %x", end);
    expect(fcntl(thread_comm, F_GETFD) == FD_CLOEXEC && fcntl(twice, F_GETFD) == 0, "close-on-exec of comm");
    read_at(twice, 0, fresh, 100);
    expect(strcmp(fresh, "before\n") == 0, "the thread's comm says %s", fresh);
    expect(write(twice, "after", 5) == 5, "comm cannot be written");
    thread_stop = 1;
    for (int i = 0; i < 5000 && thread_stop != 2; i++) nap_ms(1);
    expect(waitpid(zombie, &end, 0) == zombie && WEXITSTATUS(end) == 3, "the zombie ended with %x", end);
    return verdict("procfiles");
}

// MARK: owners

static _Atomic pid_t listener;
static _Atomic int heard, heard_descriptor, heard_by;

static void hear(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    heard_descriptor = info->si_fd;
    heard_by = (int)syscall(SYS_gettid);
    heard++;
}

static void *listen_for_signals(void *argument) {
    (void)argument;
    listener = (pid_t)syscall(SYS_gettid);
    wait_for_finish();
    while (heard == 0) nap_ms(1);
    return NULL;
}

static void expect_owner(const char *what, int file, int type, pid_t owner, int number) {
    struct f_owner_ex seen = {-1, -1};
    expect(fcntl(file, F_GETOWN_EX, &seen) == 0 && (int)seen.type == type && seen.pid == owner, "%s: owner %d of type %d, not %d of %d",
           what, seen.pid, (int)seen.type, owner, type);
    expect(fcntl(file, F_GETSIG) == number, "%s: signal %d, not %d", what, fcntl(file, F_GETSIG), number);
}

int run_owners(int count, char **arguments) {
    (void)count, (void)arguments;
    int async[2], quiet[2], idle[2];
    if (pipe(async) || pipe(quiet) || pipe(idle)) cannot_prepare("pipe");
    struct sigaction action = {.sa_sigaction = hear, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGRTMIN + 1, &action, NULL);
    start_thread(listen_for_signals, NULL);
    while (listener == 0) nap_ms(1);
    pid_t child = fork();
    if (child == 0) {
        while (!finish_wanted()) nap_ms(5);
        _exit(0);
    }
    struct f_owner_ex thread = {F_OWNER_TID, listener}, group = {F_OWNER_PGRP, getpgrp()};
    int file = open(run_path("owned"), O_RDWR | O_CREAT, 0600);
    if (fcntl(async[0], F_SETOWN_EX, &thread) || fcntl(async[0], F_SETSIG, SIGRTMIN + 1)
        || fcntl(async[0], F_SETFL, O_ASYNC | O_NONBLOCK) || fcntl(quiet[1], F_SETOWN_EX, &group) || fcntl(file, F_SETOWN, child)
        || fcntl(file, F_SETSIG, SIGUSR2) || fcntl(idle[1], F_SETSIG, SIGUSR1))
        cannot_prepare("fcntl");
    say_ready();
    wait_for_finish();
    expect_owner("asynchronous", async[0], F_OWNER_TID, listener, SIGRTMIN + 1);
    expect_owner("group", quiet[1], F_OWNER_PGRP, getpgrp(), 0);
    expect_owner("other end", quiet[0], F_OWNER_TID, 0, 0);
    expect_owner("file", file, F_OWNER_PID, child, SIGUSR2);
    expect_owner("signal alone", idle[1], F_OWNER_TID, 0, SIGUSR1);
    uid_t users[2] = {1, 1};
    if (fcntl(file, 17 /* F_GETOWNER_UIDS */, users) == 0)
        expect(users[0] == getuid() && users[1] == geteuid(), "signals in the name of %d, %d", (int)users[0], (int)users[1]);
    expect((fcntl(async[0], F_GETFL) & (O_ASYNC | O_NONBLOCK)) == (O_ASYNC | O_NONBLOCK), "flags %o", fcntl(async[0], F_GETFL));
    expect((fcntl(quiet[0], F_GETFL) & O_ASYNC) == 0, "a file sends signals that did not");
    expect(heard == 0, "a signal came before anything was written");
    expect(write(async[1], "x", 1) == 1, "write");
    for (int i = 0; i < 5000 && heard == 0; i++) nap_ms(1);
    expect(heard == 1 && heard_descriptor == async[0] && heard_by == listener, "%d signals, of descriptor %d, to %d", (int)heard,
           (int)heard_descriptor, (int)heard_by);
    waitpid(child, NULL, 0);
    return verdict("owners");
}

// MARK: kernelmessages

static unsigned long sequence_of(const char *record) {
    const char *comma = strchr(record, ',');
    return comma ? strtoul(comma + 1, NULL, 10) : 0;
}

int run_kernelmessages(int count, char **arguments) {
    (void)count, (void)arguments;
    char record[8192];
    int reader = open("/dev/kmsg", O_RDONLY | O_NONBLOCK), writer = open("/dev/kmsg", O_WRONLY);
    if (reader < 0 || writer < 0) cannot_prepare("/dev/kmsg");
    unsigned long last = 0;
    ssize_t got;
    while ((got = read(reader, record, sizeof record - 1)) > 0 || errno == EPIPE) {
        record[got > 0 ? got : 0] = 0;
        if (got > 0) last = sequence_of(record);
    }
    say_ready();
    wait_for_finish();
    const char text[] = "TreeRestore: a message of a test\n";
    expect(write(writer, text, sizeof text - 1) == sizeof text - 1, "write: %s", strerror(errno));
    bool found = false;
    while ((got = read(reader, record, sizeof record - 1)) > 0) {
        record[got] = 0;
        expect(sequence_of(record) == last + 1, "message %lu after %lu", sequence_of(record), last);
        last = sequence_of(record);
        found = found || strstr(record, "a message of a test") != NULL;
    }
    expect(errno == EAGAIN && found, "the message did not come");
    return verdict("kernelmessages");
}
