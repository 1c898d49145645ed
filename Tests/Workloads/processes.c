// Property: each of N processes goes on counting, with its own memory, its own pid and its parent.
#include "workload.h"

struct cell {
    _Atomic uint64_t count;
    pid_t pid;
};

struct board {
    _Atomic int finish;
    struct cell cells[];
};

static void child(struct board *board, int number, pid_t parent) {
    struct cell *cell = &board->cells[number];
    uint8_t *own = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (own == MAP_FAILED) cannot_prepare("memory");
    fill_pattern(own, 8192, (uint64_t)number);
    pid_t pid = getpid();
    cell->pid = pid;
    while (!board->finish) {
        cell->count++;
        nap_ms(50);
    }
    expect(getpid() == pid, "process %d is now %d", pid, getpid());
    expect(getppid() == parent, "the parent of %d is now %d, not %d", pid, getppid(), parent);
    expect(wrong_byte(own, 8192, (uint64_t)number) < 0, "the memory of %d is wrong", pid);
    _exit(0);
}

int run_processes(int count, char **arguments) {
    int wanted = count > 0 ? atoi(arguments[0]) : 200;
    struct board *board = shared_memory(sizeof *board + (size_t)wanted * sizeof board->cells[0]);
    pid_t parent = getpid();
    for (int i = 0; i < wanted; i++) {
        pid_t pid = fork();
        if (pid < 0) cannot_prepare("process");
        if (pid == 0) child(board, i, parent);
    }
    for (int i = 0; i < wanted; i++)
        while (!board->cells[i].count) nap_ms(1);
    say_ready();
    wait_for_finish();
    // Asks all at once, because asking them in turn would take the time of one nap for each.
    uint64_t *before = calloc((size_t)wanted, sizeof *before);
    for (int i = 0; i < wanted; i++) before[i] = board->cells[i].count;
    for (int i = 0; i < wanted; i++)
        if (board->cells[i].count == before[i]) expect_progress("a process", &board->cells[i].count, 1);
    board->finish = 1;
    for (int i = 0; i < wanted; i++) {
        pid_t pid = board->cells[i].pid;
        int status = -1;
        expect(waitpid(pid, &status, 0) == pid && status == 0, "process %d ended with %x", pid, status);
    }
    expect(waitpid(-1, NULL, 0) < 0 && errno == ECHILD, "there is a child too many");
    return verdict("processes");
}
