// Property: System V semaphore sets keep numbers, keys and values, and processes that wait for one go on waiting.
#include "workload.h"
#include <sys/ipc.h>
#include <sys/sem.h>

enum { PING, PONG, GATE, VALUE, HELD, SEMAPHORES };
static int set_id;
static _Atomic uint64_t *rounds;

static void change(unsigned short which, short by, short flags) {
    struct sembuf operation = {which, by, flags};
    expect(semop(set_id, &operation, 1) == 0, "semop on %u: %s", which, strerror(errno));
}

/// Hands a ball back and forth: at any moment one of the two waits.
static void *play(void *argument) {
    (void)argument;
    while (!finish_wanted()) {
        change(PONG, -1, 0);
        nap_ms(3);
        rounds[0]++;
        change(PING, 1, 0);
    }
    rounds[0] = 0;
    return NULL;
}

int run_semaphores(int count, char **arguments) {
    (void)count, (void)arguments;
    rounds = shared_memory(4096);
    key_t key = (key_t)(0x54520000 + getpid());
    set_id = semget(key, SEMAPHORES, IPC_CREAT | IPC_EXCL | 0640);
    if (set_id < 0) cannot_prepare("semaphore set");
    int single = semget(IPC_PRIVATE, 1, 0600);
    unsigned short values[SEMAPHORES] = {0, 1, 0, 17, 3};
    semctl(set_id, 0, SETALL, values);
    semctl(single, 0, SETVAL, 5);
    struct semid_ds owner;
    semctl(single, 0, IPC_STAT, &owner);
    owner.sem_perm.uid = 65534;
    owner.sem_perm.mode = 0604;
    semctl(single, 0, IPC_SET, &owner);

    pid_t child = fork();
    if (child == 0) {
        change(HELD, -1, 0);
        while (!finish_wanted()) {
            change(PING, -1, 0);
            change(PONG, 1, 0);
        }
        change(HELD, 1, 0);
        _exit(0);
    }
    pid_t gated = fork();
    if (gated == 0) {
        change(GATE, -1, 0);
        _exit(0);
    }
    start_thread(play, NULL);
    expect_progress("the game", rounds, 3);
    say_ready();
    wait_for_finish();
    while (rounds[0]) nap_ms(5);
    change(PING, 1, 0);
    int status = -1;
    expect(waitpid(child, &status, 0) == child && status == 0, "the player ended with %x", (unsigned)status);

    expect(semget(key, SEMAPHORES, 0) == set_id, "the key leads to another set");
    expect(semctl(set_id, VALUE, GETVAL) == 17, "a value is %d, not 17", semctl(set_id, VALUE, GETVAL));
    expect(semctl(set_id, HELD, GETVAL) == 3, "what was held is %d, not 3", semctl(set_id, HELD, GETVAL));
    expect(semctl(set_id, GATE, GETNCNT) == 1, "no process waits at the gate");
    change(GATE, 1, 0);
    expect(waitpid(gated, &status, 0) == gated && status == 0, "the waiting process ended with %x", (unsigned)status);
    expect(semctl(single, 0, GETVAL) == 5, "the private set has another value");
    semctl(single, 0, IPC_STAT, &owner);
    expect(owner.sem_perm.uid == 65534 && (owner.sem_perm.mode & 0777) == 0604, "owner or mode changed");
    semctl(set_id, 0, IPC_RMID);
    semctl(single, 0, IPC_RMID);
    return verdict("semaphores");
}
