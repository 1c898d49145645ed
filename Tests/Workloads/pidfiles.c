// Property: pidfds stand for the same processes and threads, also for one that has ended, waited for or not.
#include "workload.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

static int open_pid(pid_t pid, unsigned flags) {
    int fd = syscall(SYS_pidfd_open, pid, flags);
    if (fd < 0) cannot_prepare("pidfd_open");
    return fd;
}

static void expect_of(int fd, pid_t pid, const char *what) {
    char path[64], line[256];
    long found = -2;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) sscanf(line, "Pid: %ld", &found);
    if (file) fclose(file);
    expect(found == pid, "the pidfd of %s is of %ld, not of %d", what, found, pid);
}

static bool has_ended(int fd) {
    struct pollfd one = {fd, POLLIN, 0};
    return poll(&one, 1, 0) == 1;
}

static _Atomic pid_t thread_id;

static void *stay(void *argument) {
    (void)argument;
    thread_id = syscall(SYS_gettid);
    while (true) nap_ms(1000);
}

int run_pidfiles(int count, char **arguments) {
    (void)count, (void)arguments;
    pid_t root = getpid();
    int self = open_pid(root, O_NONBLOCK);
    pid_t zombie = fork();
    if (zombie == 0) _exit(7);
    int dead = open_pid(zombie, 0);
    while (!has_ended(dead)) nap_ms(1);
    // Of one that was waited for: with no number any more.
    pid_t gone = fork();
    if (gone == 0) _exit(5);
    int ended = open_pid(gone, O_NONBLOCK), same = dup(ended);
    if (waitpid(gone, NULL, 0) != gone) cannot_prepare("waitpid");
    pid_t older = fork();
    if (older == 0) {
        // It has its parent and itself, inherited and its own.
        int parent = open_pid(root, 0), own = open_pid(getpid(), 0);
        wait_for_finish();
        expect_of(parent, root, "the parent");
        expect_of(self, root, "the parent, inherited");
        expect_of(own, getpid(), "itself");
        expect(has_ended(ended), "the process that was waited for lives, as a child sees it");
        _exit(3);
    }
    int first = open_pid(older, O_NONBLOCK);
    pid_t younger = fork();
    if (younger == 0) {
        // Of a sibling, inherited.
        wait_for_finish();
        expect_of(first, older, "the sibling");
        siginfo_t info;
        expect(waitid(P_PIDFD, first, &info, WEXITED) < 0 && errno == ECHILD, "one may wait for a sibling");
        _exit(4);
    }
    int second = open_pid(younger, 0), copy = dup(second);
    start_thread(stay, NULL);
    while (!thread_id) nap_ms(1);
    // PIDFD_THREAD, since Linux 6.9
    int thread = syscall(SYS_pidfd_open, thread_id, O_EXCL), leader = syscall(SYS_pidfd_open, older, O_EXCL);
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 9};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, second, &event)) cannot_prepare("epoll_ctl");
    int flags = fcntl(first, F_GETFL), plain = fcntl(second, F_GETFL);
    say_ready();
    expect_of(self, root, "itself");
    wait_for_finish();
    expect_of(self, root, "itself");
    expect_of(dead, zombie, "a zombie");
    expect(has_ended(dead), "the zombie lives");
    expect_of(first, older, "the older child");
    expect_of(copy, younger, "the younger child");
    expect(fcntl(first, F_GETFL) == flags && fcntl(second, F_GETFL) == plain, "the flags have changed");
    if (thread >= 0) {
        expect_of(thread, thread_id, "a thread");
        expect_of(leader, older, "a first thread");
        expect(fcntl(thread, F_GETFL) & O_EXCL && fcntl(leader, F_GETFL) & O_EXCL, "not of a thread");
    }
    siginfo_t info = {0};
    expect_of(same, -1, "a process that was waited for");
    expect(has_ended(ended) && fcntl(ended, F_GETFL) & O_NONBLOCK, "the process that was waited for lives");
    expect(syscall(SYS_pidfd_send_signal, same, 0, NULL, 0) < 0 && errno == ESRCH, "a signal reaches a process that was waited for");
    expect(waitid(P_PIDFD, ended, &info, WEXITED) < 0 && errno == ECHILD, "one can wait for it once more");
    expect(waitid(P_PIDFD, dead, &info, WEXITED) == 0 && info.si_pid == zombie && info.si_status == 7, "the zombie was %d", info.si_status);
    expect(epoll_wait(epoll, &event, 1, 20000) == 1 && event.data.u64 == 9, "the epoll does not see the end");
    expect(waitid(P_PIDFD, copy, &info, WEXITED) == 0 && info.si_pid == younger && info.si_status == 4, "the younger child ended with %d", info.si_status);
    struct pollfd one = {first, POLLIN, 0};
    expect(poll(&one, 1, 20000) == 1, "the older child lives");
    expect(waitid(P_PIDFD, first, &info, WEXITED) == 0 && info.si_pid == older && info.si_status == 3, "the older child ended with %d", info.si_status);
    return verdict("pidfiles");
}
