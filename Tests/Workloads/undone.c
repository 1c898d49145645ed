// Property: what a task would undo at its end (SEM_UNDO) is undone at its end, and not before; lists of operations are shared as before.
#include "workload.h"
#include <sched.h>
#include <sys/ipc.h>
#include <sys/sem.h>

enum { TAKEN, GIVEN, SHARED, THREADS, LARGE, SEMAPHORES };
enum { READY, LEAVE, TOGETHER = 8 };
static int set_id;
static _Atomic uint64_t *shared;

static void change(unsigned short which, short by, short flags) {
    struct sembuf operation = {which, by, flags};
    expect(semop(set_id, &operation, 1) == 0, "semop %d on %u: %s", by, which, strerror(errno));
}

static void is(unsigned short which, int value, const char *when) {
    int now = semctl(set_id, which, GETVAL);
    expect(now == value, "%s: semaphore %u is %d, not %d", when, which, now, value);
}

/// Waits until its number is called.
static void stay(unsigned long number) {
    shared[READY]++;
    while (shared[LEAVE] < number) nap_ms(2);
}

static void *take_as_thread(void *argument) {
    (void)argument;
    change(THREADS, -2, SEM_UNDO);
    return NULL;
}

static pid_t start(void (*body)(void)) {
    uint64_t before = shared[READY];
    pid_t child = fork();
    if (child == 0) {
        body();
        _exit(0);
    }
    while (shared[READY] == before) nap_ms(2);
    return child;
}

static void taker(void) {
    change(TAKEN, -1, SEM_UNDO);
    stay(100);
}

static void giver(void) {
    change(GIVEN, 7, SEM_UNDO);
    stay(1);
    change(GIVEN, -2, SEM_UNDO);
}

static void threads(void) {
    pthread_t thread;
    // The thread ends, and what it has done is still to be undone: by the process.
    if (pthread_create(&thread, NULL, take_as_thread, NULL) || pthread_join(thread, NULL)) _exit(1);
    change(THREADS, -1, SEM_UNDO);
    stay(2);
}

static void large(void) {
    change(LARGE, -20000, SEM_UNDO);
    change(LARGE, 20000, 0);
    stay(3);
}

/// Two processes with one list: only the end of the last one undoes it.
static void first_of_two(void) {
    change(SHARED, 4, SEM_UNDO);
    long child = syscall(SYS_clone, CLONE_SYSVSEM | SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) {
        change(SHARED, 1, SEM_UNDO);
        shared[TOGETHER] = 1;
        while (shared[LEAVE] < 4) nap_ms(2);
        _exit(0);
    }
    while (!shared[TOGETHER]) nap_ms(2);
    stay(5);
    int status = -1;
    if (waitpid((pid_t)child, &status, 0) != child || status != 0) _exit(3);
    is(SHARED, 5, "after the end of one of two");
}

static void leave(uint64_t number, pid_t child) {
    int status = -1;
    shared[LEAVE] = number;
    expect(waitpid(child, &status, 0) == child && status == 0, "child %d ended with %x", child, (unsigned)status);
}

int run_undone(int count, char **arguments) {
    (void)count, (void)arguments;
    shared = shared_memory(4096);
    key_t key = (key_t)(0x54530000 + getpid());
    set_id = semget(key, SEMAPHORES, IPC_CREAT | IPC_EXCL | 0600);
    if (set_id < 0) cannot_prepare("semaphore set");
    unsigned short values[SEMAPHORES] = {1, 0, 0, 10, 30000};
    semctl(set_id, 0, SETALL, values);
    void (*const bodies[])(void) = {taker, giver, threads, large, first_of_two};
    pid_t children[5];
    for (int i = 0; i < 5; i++) children[i] = start(bodies[i]);
    pid_t waiter = fork();
    if (waiter == 0) {
        change(TAKEN, -1, 0);
        _exit(0);
    }
    while (semctl(set_id, TAKEN, GETNCNT) != 1) nap_ms(2);
    say_ready();
    wait_for_finish();

    expect(semget(key, SEMAPHORES, 0) == set_id, "the key leads to another set");
    is(TAKEN, 0, "taken");
    is(GIVEN, 7, "given");
    is(SHARED, 5, "shared");
    is(THREADS, 7, "of threads");
    is(LARGE, 30000, "large");
    expect(semctl(set_id, TAKEN, GETNCNT) == 1, "no process waits");
    leave(1, children[1]);
    is(GIVEN, 0, "after the end of the giver");
    leave(2, children[2]);
    is(THREADS, 10, "after the end of a process with threads");
    leave(3, children[3]);
    is(LARGE, 32767, "after the end of the process with the large change");
    leave(5, children[4]);
    is(SHARED, 0, "after the end of both");
    // A process that is killed gives back what it has taken: who waits gets it.
    int status = -1;
    kill(children[0], SIGKILL);
    expect(waitpid(children[0], &status, 0) == children[0], "the taker is lost");
    expect(waitpid(waiter, &status, 0) == waiter && status == 0, "the waiting process ended with %x", (unsigned)status);
    semctl(set_id, 0, IPC_RMID);
    return verdict("undone");
}
