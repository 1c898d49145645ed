// The census: what fcntl(2), lseek(2) and fdinfo tell of open files.
#include "census.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

enum { FIRST = 40, LAST = 70 };

/// Moves a descriptor to the next number of the census.
static int keep(int descriptor) {
    static int next = FIRST;
    if (descriptor < 0) return -1;
    int number = dup2(descriptor, next++);
    close(descriptor);
    return number;
}

void make_files(void) {
    static const int flags[] = {
        O_RDONLY, O_WRONLY | O_APPEND, O_RDWR | O_NONBLOCK, O_RDWR | O_NOATIME, O_RDWR | O_DSYNC, O_RDWR | O_SYNC, O_RDWR | O_DIRECT,
        O_PATH,
    };
    close(open(run_path("file"), O_RDWR | O_CREAT, 0600));
    if (truncate(run_path("file"), 10000)) cannot_prepare("truncate");
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        int file = keep(open(run_path("file"), flags[i]));
        if (file >= 0 && !(flags[i] & O_PATH)) lseek(file, 512 * ((long)i + 1), SEEK_SET);
        if (i == 2) fcntl(file, F_SETFD, FD_CLOEXEC);
    }
    keep(open("/usr", O_RDONLY | O_DIRECTORY));
    int ends[2];
    if (pipe(ends)) cannot_prepare("pipe");
    fcntl(ends[1], F_SETPIPE_SZ, 1 << 17);
    if (write(ends[1], "waiting", 7) != 7) cannot_prepare("write");
    int reader = keep(ends[0]);
    keep(ends[1]);
    fcntl(reader, F_SETOWN, getpid());
    fcntl(reader, F_SETSIG, SIGRTMIN + 5);
    if (pipe2(ends, O_DIRECT)) cannot_prepare("pipe2");
    keep(ends[0]);
    keep(ends[1]);
    keep(eventfd(5, EFD_SEMAPHORE | EFD_NONBLOCK));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 9);
    keep(signalfd(-1, &set, 0));
    int timer = keep(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    struct itimerspec never = {.it_value = {100000, 0}, .it_interval = {7, 0}};
    timerfd_settime(timer, 0, &never, NULL);
    int epoll = keep(epoll_create1(0));
    struct epoll_event watched = {.events = EPOLLIN | EPOLLET, .data.u64 = 0x1234567890};
    epoll_ctl(epoll, EPOLL_CTL_ADD, reader, &watched);
    int memory = memfd_create("census", MFD_ALLOW_SEALING);
    if (ftruncate(memory, 5000) || fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)) cannot_prepare("memfd");
    lseek(memory, 99, SEEK_SET);
    keep(memory);
    keep(open("/dev/null", O_RDWR));
    keep(open("/dev/urandom", O_RDONLY));
    keep(open("/proc/self/maps", O_RDONLY));
}

void tell_files(struct lines *lines) {
    for (int number = FIRST; number <= LAST; number++) {
        int flags = fcntl(number, F_GETFL);
        if (flags < 0) continue;
        struct f_owner_ex owner = {0, 0};
        fcntl(number, F_GETOWN_EX, &owner);
        tell(lines, "fd %d: F_GETFL %o F_GETFD %d F_GETSIG %d owner %d %s F_GETPIPE_SZ %d F_GET_SEALS %d F_GETLEASE %d at %ld", number, flags,
             fcntl(number, F_GETFD), fcntl(number, F_GETSIG), (int)owner.type,
             owner.pid == 0 ? "nobody" : owner.pid == getpid() ? "itself" : "another", fcntl(number, F_GETPIPE_SZ),
             fcntl(number, F_GET_SEALS), fcntl(number, F_GETLEASE), (long)lseek(number, 0, SEEK_CUR));
        char path[40], line[256];
        snprintf(path, sizeof path, "/proc/self/fdinfo/%d", number);
        FILE *info = fopen(path, "re");
        while (info && fgets(line, sizeof line, info)) {
            line[strcspn(line, "\n")] = 0;
            // Numbers of mounts and inodes, ids of objects, and what is left of time are others.
            static const char *const others[] = {"mnt_id:", "ino:", "eventfd-id:", "it_value:", "settime flags:", "tfd:"};
            bool isOther = false;
            for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) isOther = isOther || strncmp(line, others[i], strlen(others[i])) == 0;
            if (!isOther) tell(lines, "fdinfo %d: %s", number, line);
            unsigned events;
            unsigned long data;
            int target;
            if (sscanf(line, "tfd: %d events: %x data: %lx", &target, &events, &data) == 3)
                tell(lines, "fdinfo %d: %d %x %lx", number, target, events, data);
        }
        if (info) fclose(info);
    }
}
