// Property: a tree that forks and exits as fast as it can is there again. At most N processes at a time; each forks
// one or two others and ends, for ever. To be run only where pids are limited.
#include "workload.h"
#include <sys/prctl.h>

static struct {
    _Atomic int living, finish;
    _Atomic uint64_t forks;
    int64_t end;  // whatever becomes of the root
} *board;

static int most;

static void explode(unsigned seed) {
    while (!board->finish && now_ns() < board->end) {
        if (board->living < most) {
            board->living++;
            pid_t pid = fork();
            if (pid == 0) {
                seed = seed * 1103515245 + 12345;
                board->forks++;
                continue;
            }
            if (pid < 0) board->living--;
        }
        // One in two goes, as long as there are others.
        seed = seed * 1103515245 + 12345;
        if (seed >> 20 & 1 && board->living > most / 2) break;
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
        if (board->living >= most) nap_ms(1);
    }
    board->living--;
    _exit(0);
}

int run_bomb(int count, char **arguments) {
    most = count > 0 ? atoi(arguments[0]) : 200;
    board = shared_memory(sizeof *board);
    // Orphans are ours, so that the tree stays one.
    if (prctl(PR_SET_CHILD_SUBREAPER, 1)) cannot_prepare("subreaper");
    board->living = 1;
    board->end = now_ns() + 120000000000LL;
    pid_t first = fork();
    if (first < 0) cannot_prepare("process");
    if (first == 0) explode(1);
    while (board->forks < (uint64_t)most * 4) nap_ms(1);
    say_ready();
    while (!finish_wanted()) {
        while (waitpid(-1, NULL, WNOHANG) > 0) {}
        nap_ms(1);
    }
    expect_progress("the number of forks", &board->forks, 50);
    board->finish = 1;
    while (waitpid(-1, NULL, 0) > 0) {}
    expect(board->living == 0, "%d processes are counted still", board->living);
    return verdict("bomb");
}
