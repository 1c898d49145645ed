// Property: a process whose first thread has exited lives on in its other threads, and ends with the last of them.
#include "relatives.h"

enum { RUNS, STOPPED, CHILDREN };
enum { THREADS = 3, FIRST_STATUS = 3, STATUS = 7 };

static struct family *children;

static void *work(void *argument) {
    int number = (int)(intptr_t)argument;
    pid_t pid = getpid(), parent = getppid(), tid = (pid_t)syscall(SYS_gettid);
    int fd = open(run_path("headless-data"), O_RDWR | O_CREAT, 0600);
    children->members[number].ready++;
    while (!children->finish) {
        children->members[number].count++;
        nap_ms(2);
    }
    expect(getpid() == pid && getppid() == parent && syscall(SYS_gettid) == tid, "thread %d of %d is %ld of %d", tid, pid,
           syscall(SYS_gettid), getpid());
    expect(lseek(fd, 0, SEEK_CUR) == 0, "its file is gone");
    // Ends only this thread: the process ends with its last thread.
    syscall(SYS_exit, STATUS);
    return NULL;
}

static void child(int number) {
    setpgid(0, 0);
    for (int i = 0; i < THREADS; i++) start_thread(work, (void *)(intptr_t)number);
    syscall(SYS_exit, FIRST_STATUS);
}

int run_headless(int count, char **arguments) {
    (void)count, (void)arguments;
    children = shared_memory(sizeof *children);
    pid_t pids[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        pids[i] = fork();
        if (pids[i] < 0) cannot_prepare("child");
        if (pids[i] == 0) child(i);
        while (children->members[i].ready < THREADS || state_of(pids[i]) != 'Z') nap_ms(1);
    }
    kill(pids[STOPPED], SIGSTOP);
    int status = 0;
    if (waitpid(pids[STOPPED], &status, WUNTRACED) != pids[STOPPED]) cannot_prepare("stop");
    uint64_t stopped = children->members[STOPPED].count;
    say_ready();
    wait_for_finish();

    expect_progress("a process without its first thread", &children->members[RUNS].count, 10);
    expect(children->members[STOPPED].count == stopped, "the stopped one runs");
    expect(waitpid(-1, &status, WNOHANG | WUNTRACED) == 0, "a child has ended or stopped: %x", status);
    kill(pids[STOPPED], SIGCONT);
    expect_progress("the one that was stopped", &children->members[STOPPED].count, 10);
    children->finish = 1;
    for (int i = 0; i < CHILDREN; i++)
        expect(waitpid(pids[i], &status, 0) == pids[i] && status == STATUS << 8, "child %d ended with %x", i, status);
    return verdict("headless");
}
