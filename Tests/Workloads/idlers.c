// Property: N tasks that only wait all exist again: threads, children of one process, or a chain of children.
#include "workload.h"
#include <linux/futex.h>

struct board {
    _Atomic uint32_t finish;
    _Atomic int ready, ended;
};

static struct board *board;

/// Sleeps without a timeout.
static void idle(void) {
    board->ready++;
    while (!board->finish) syscall(SYS_futex, &board->finish, FUTEX_WAIT, 0, NULL, NULL, 0);
    board->ended++;
}

static void *thread(void *argument) {
    long tid = syscall(SYS_gettid);
    idle();
    expect(syscall(SYS_gettid) == tid, "thread %ld has another number", tid);
    return argument;
}

static void process(int deep) {
    pid_t child = 0;
    while (deep-- > 0 && child == 0) {
        child = fork();
        if (child < 0) cannot_prepare("process");
    }
    pid_t pid = getpid(), parent = getppid();
    idle();
    expect(getpid() == pid && getppid() == parent, "process %d of %d is now %d of %d", pid, parent, getpid(), getppid());
    int status = 0;
    if (child > 0) expect(waitpid(child, &status, 0) == child && status == 0, "process %d ended with %x", child, status);
    _exit(0);
}

int run_idlers(int count, char **arguments) {
    const char *shape = count > 0 ? arguments[0] : "wide";
    int wanted = count > 1 ? atoi(arguments[1]) : 100;
    board = shared_memory(sizeof *board);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 32 * 1024);
    int children = strcmp(shape, "wide") == 0 ? wanted : strcmp(shape, "deep") == 0;
    for (int i = 0; i < children; i++) {
        pid_t pid = fork();
        if (pid < 0) cannot_prepare("process");
        if (pid == 0) process(children == 1 ? wanted - 1 : 0);
    }
    for (int i = 0; children == 0 && i < wanted; i++) {
        pthread_t one;
        errno = pthread_create(&one, &attributes, thread, NULL);
        if (errno) cannot_prepare("thread");
    }
    while (board->ready < wanted) nap_ms(1);
    say_ready();
    wait_for_finish();
    board->finish = 1;
    syscall(SYS_futex, &board->finish, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
    for (int i = 0; i < children; i++) {
        int status = -1;
        expect(waitpid(-1, &status, 0) > 0 && status == 0, "a process ended with %x", status);
    }
    for (int i = 0; i < 12000 && board->ended < wanted; i++) nap_ms(5);
    expect(board->ended == wanted, "%d of %d tasks are there", board->ended, wanted);
    return verdict("idlers");
}
