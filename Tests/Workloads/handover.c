// Property: threads and processes that do nothing but make their successor and end are all in the image, each once: the
// chains go on after a checkpoint and after a restart, and none of them runs beside the restarted tree.
//
//     handover threads|processes|mixed
//
// The root is a subreaper: orphans stay in the tree.
#include "workload.h"
#include <sys/prctl.h>

enum { CHAINS = 12 };

static struct {
    _Atomic int stop, alive, failures;
    pid_t root;
    _Atomic uint64_t made[CHAINS];
} *board;

static void *thread_link(void *chain_number) {
    int chain = (int)(intptr_t)chain_number;
    board->made[chain]++;
    if (board->stop) {
        board->alive--;
        return NULL;
    }
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 32 << 10);
    if (pthread_create(&thread, &attributes, thread_link, chain_number)) board->failures++;
    pthread_attr_destroy(&attributes);
    return NULL;
}

static void process_link(int chain) {
    pid_t maker = board->root;
    while (true) {
        board->made[chain]++;
        if (board->stop) break;
        // The root has died: nobody would end the chain.
        pid_t parent = getppid();
        if (parent != maker && parent != board->root) _exit(1);
        maker = getpid();
        pid_t child = fork();
        if (child < 0) board->failures++;
        if (child != 0) _exit(0);
    }
    board->alive--;
    _exit(0);
}

int run_handover(int count, char **arguments) {
    const char *what = count == 1 ? arguments[0] : "";
    bool threads = strcmp(what, "threads") == 0, processes = strcmp(what, "processes") == 0;
    if (!threads && !processes && strcmp(what, "mixed") != 0) cannot_prepare("unknown argument");
    if (prctl(PR_SET_CHILD_SUBREAPER, 1)) cannot_prepare("subreaper");
    signal(SIGCHLD, SIG_IGN);
    board = shared_memory(sizeof *board);
    board->alive = CHAINS;
    board->root = getpid();
    for (int chain = 0; chain < CHAINS; chain++) {
        if (threads || (!processes && chain % 2)) {
            start_thread(thread_link, (void *)(intptr_t)chain);
        } else {
            pid_t child = fork();
            if (child < 0) cannot_prepare("child");
            if (child == 0) process_link(chain);
        }
    }
    say_ready();
    wait_for_finish();
    for (int chain = 0; chain < CHAINS; chain++) expect_progress("chain", &board->made[chain], 2);
    board->stop = 1;
    for (int i = 0; i < 4000 && board->alive > 0; i++) nap_ms(5);
    expect(board->alive == 0, "%d chains are lost", board->alive);
    expect(board->failures == 0, "%d links could not be made", board->failures);
    return verdict("handover");
}
