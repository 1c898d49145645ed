// Property: System V shared memory has the same contents, numbers, keys, modes, sizes and attachments.
#include "workload.h"
#include <sys/ipc.h>
#include <sys/shm.h>

enum { PAGE = 4096, SIZE = 3 * PAGE + 1000 };

struct counters {
    _Atomic uint64_t parent, child, leave;
};

static void expect_segment(int number, key_t key, size_t size, unsigned mode, unsigned long attached) {
    struct shmid_ds state;
    if (shmctl(number, IPC_STAT, &state)) {
        fail("segment %d: %s", number, strerror(errno));
        return;
    }
    expect(state.shm_perm.__key == key, "segment %d has key %x, not %x", number, state.shm_perm.__key, key);
    expect(state.shm_segsz == size, "segment %d has %zu bytes, not %zu", number, state.shm_segsz, size);
    expect(state.shm_perm.mode == mode, "segment %d has mode %o, not %o", number, state.shm_perm.mode, mode);
    expect(state.shm_nattch == attached, "segment %d is attached %lu times, not %lu", number, state.shm_nattch, attached);
    expect(state.shm_perm.uid == 65534 || mode != (unsigned)(0660), "segment %d belongs to %u", number, state.shm_perm.uid);
}

int run_segments(int count, char **arguments) {
    (void)count, (void)arguments;
    // One that goes with its last attachment, one with a key, owner and size of its own, and one that is locked.
    int gone = shmget(IPC_PRIVATE, sizeof(struct counters), IPC_CREAT | 0600);
    key_t key = 0x54000000 | (now_ns() / 1000 & 0xffffff);
    int kept = shmget(key, SIZE, IPC_CREAT | IPC_EXCL | 0660);
    int other = shmget(IPC_PRIVATE, 64 * PAGE, IPC_CREAT | 0600);
    if (gone < 0 || kept < 0 || other < 0) cannot_prepare("shmget");
    struct counters *counters = shmat(gone, NULL, 0);
    char *memory = shmat(kept, NULL, 0);
    const char *view = shmat(kept, NULL, SHM_RDONLY);
    char *parts = shmat(other, NULL, 0);
    if (counters == (void *)-1 || memory == (void *)-1 || view == (void *)-1 || parts == (void *)-1) cannot_prepare("shmat");
    if (shmctl(gone, IPC_RMID, NULL)) cannot_prepare("shmctl IPC_RMID");
    struct shmid_ds state;
    if (shmctl(kept, IPC_STAT, &state)) cannot_prepare("shmctl IPC_STAT");
    state.shm_perm.uid = 65534;
    if (shmctl(kept, IPC_SET, &state)) cannot_prepare("shmctl IPC_SET");
    fill_pattern(memory, SIZE, 1);
    fill_pattern(parts + 8 * PAGE, 8 * PAGE, 2);
    // Parts with protections of their own are mappings of their own.
    if (mprotect(parts + 8 * PAGE, 4 * PAGE, PROT_READ) || mprotect(parts + 32 * PAGE, PAGE, PROT_NONE)) cannot_prepare("mprotect");
    pid_t child = fork();
    if (child == 0) {
        if (shmdt(parts)) _exit(1);
        while (!counters->leave) {
            counters->child++;
            expect(wrong_byte(view, SIZE, 1) < 0, "the child sees byte %ld wrong", wrong_byte(view, SIZE, 1));
            nap_ms(5);
        }
        _exit(0);
    }
    while (!counters->child) nap_ms(1);
    if (shmctl(other, SHM_LOCK, NULL)) cannot_prepare("shmctl SHM_LOCK");
    unsigned long before[3];
    int numbers[] = {gone, kept, other};
    for (int index = 0; index < 3; index++) {
        if (shmctl(numbers[index], IPC_STAT, &state)) cannot_prepare("shmctl IPC_STAT");
        before[index] = state.shm_nattch;
    }
    say_ready();
    while (!finish_wanted()) {
        counters->parent++;
        expect(wrong_byte(memory, SIZE, 1) < 0, "byte %ld is wrong", wrong_byte(memory, SIZE, 1));
        nap_ms(5);
    }
    int status;
    expect_segment(gone, 0, sizeof *counters, 0600 | SHM_DEST, before[0]);
    expect_segment(kept, key, SIZE, 0660, before[1]);
    expect_segment(other, 0, 64 * PAGE, 0600 | SHM_LOCKED, before[2]);
    counters->leave = 1;
    expect(waitpid(child, &status, 0) == child && status == 0, "the child ended with %x", status);
    expect(wrong_byte(view, SIZE, 1) < 0, "byte %ld of the read-only view is wrong", wrong_byte(view, SIZE, 1));
    expect(wrong_byte(parts + 8 * PAGE, 8 * PAGE, 2) < 0, "a part is wrong");
    memory[SIZE - 1] = 77;
    expect(view[SIZE - 1] == 77 && memory[SIZE] == 0, "the two views differ");
    expect(mprotect((void *)view, PAGE, PROT_READ | PROT_WRITE) < 0 && errno == EACCES, "the read-only view can be written");
    expect(shmget(key, SIZE, 0) == kept, "the key leads elsewhere");
    expect(shmdt(view) == 0 && shmdt(parts) == 0 && shmdt(memory) == 0, "shmdt: %s", strerror(errno));
    expect(shmctl(kept, IPC_STAT, &state) == 0 && state.shm_nattch == 0, "it is still attached %lu times", state.shm_nattch);
    shmctl(kept, IPC_RMID, NULL);
    shmctl(other, IPC_RMID, NULL);
    expect(shmdt(counters) == 0, "shmdt: %s", strerror(errno));
    expect(shmctl(gone, IPC_STAT, &state) < 0, "the removed segment stays");
    return verdict("segments");
}
