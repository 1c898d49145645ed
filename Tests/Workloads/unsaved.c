// Property: what cannot be saved is refused, and goes on untouched.
//
//     unsaved watched       an epoll whose file is open outside of the tree alone
//     unsaved undo          a semaphore operation to be undone at the end
//     unsaved threadclock   a timer on the CPU time of a thread that nobody can tell
//     unsaved otherclock    a timer on the CPU time of another process
#include "workload.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ipc.h>
#include <sys/sem.h>

static void *idle(void *argument) {
    (void)argument;
    while (!finish_wanted()) nap_ms(5);
    return NULL;
}

/// A child is re-parented when its parent ends: it leaves the tree. It stays until the verdict is there.
static void hold_outside(void) {
    pid_t child = fork();
    if (child == 0) {
        if (fork() == 0) {
            setsid();
            while (access(run_path("result"), F_OK) != 0) nap_ms(5);
        }
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

int run_unsaved(int count, char **arguments) {
    const char *what = count == 1 ? arguments[0] : "";
    int fd = -1, epoll = -1, set = -1;
    timer_t timer = 0;
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    if (strcmp(what, "watched") == 0) {
        fd = eventfd(1, 0);
        epoll = epoll_create1(0);
        struct epoll_event watched = {.events = EPOLLIN, .data.u64 = 5};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &watched);
        hold_outside();
        close(fd);
    } else if (strcmp(what, "undo") == 0) {
        set = semget(IPC_PRIVATE, 1, 0600);
        struct sembuf operation = {0, 1, SEM_UNDO};
        if (semop(set, &operation, 1)) cannot_prepare("semop");
    } else if (strcmp(what, "threadclock") == 0) {
        start_thread(idle, NULL);
        if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer)) cannot_prepare("timer");
    } else if (strcmp(what, "otherclock") == 0) {
        if (timer_create((clockid_t)((unsigned)~getppid() << 3 | 2), &event, &timer)) cannot_prepare("timer");
    } else {
        cannot_prepare("unknown argument");
    }
    say_ready();
    wait_for_finish();
    struct epoll_event found;
    if (epoll >= 0) expect(epoll_wait(epoll, &found, 1, 0) == 1 && found.data.u64 == 5, "the registration is gone");
    if (set >= 0) {
        expect(semctl(set, 0, GETVAL) == 1, "the semaphore changed");
        semctl(set, 0, IPC_RMID);
    }
    struct itimerspec value;
    if (strstr(what, "clock")) expect(timer_gettime(timer, &value) == 0, "the timer is gone");
    return verdict("unsaved");
}
