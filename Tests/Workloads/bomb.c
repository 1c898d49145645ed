// Property: a tree whose processes fork and exit as fast as they can is restarted completely. At most N processes live at
// a time; each forks one or two others and ends, for ever. To be run only where the number of pids is limited.
#include "workload.h"
#include <sys/prctl.h>

static struct {
    _Atomic int living, finish;
    _Atomic uint64_t forks;
    int64_t end;  // processes end at this time even if the root has died
} *board;

static int most;

static void reap(void) {
    while (waitpid(-1, NULL, WNOHANG) > 0) {}
}

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
        // Every second process ends, as long as others live.
        seed = seed * 1103515245 + 12345;
        if (seed >> 20 & 1 && board->living > most / 2) break;
        reap();
        if (board->living >= most) nap_ms(1);
    }
    board->living--;
    _exit(0);
}

int run_bomb(int count, char **arguments) {
    most = count > 0 ? atoi(arguments[0]) : 200;
    board = shared_memory(sizeof *board);
    // The root is a subreaper, so that orphans stay in the tree.
    if (prctl(PR_SET_CHILD_SUBREAPER, 1)) cannot_prepare("subreaper");
    board->living = 1;
    board->end = now_ns() + 120000000000LL;
    pid_t first = fork();
    if (first < 0) cannot_prepare("process");
    if (first == 0) explode(1);
    while (board->forks < (uint64_t)most * 4) nap_ms(1);
    say_ready();
    while (!finish_wanted()) {
        reap();
        nap_ms(1);
    }
    // The dead must be reaped meanwhile: they fill the cgroup in a fraction of a second, and then no process can be made.
    uint64_t begin = board->forks;
    for (int64_t end = now_ns() + 20000000000LL; board->forks < begin + 50 && now_ns() < end;) {
        reap();
        nap_ms(1);
    }
    expect(board->forks >= begin + 50, "the number of forks stands still at %llu; %d processes are counted",
           (unsigned long long)begin, board->living);
    board->finish = 1;
    while (waitpid(-1, NULL, 0) > 0) {}
    expect(board->living == 0, "%d processes are counted still", board->living);
    return verdict("bomb");
}
