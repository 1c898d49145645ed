// Property: threads and processes that do nothing but make their successor and end are all in the image, each once: the
// chains go on after a checkpoint and after a restart, and none of them runs beside the restarted tree.
//
//     handover threads|processes|mixed
//
// The root is a subreaper: orphans stay in the tree.
#include "workload.h"
#include <sys/prctl.h>
#include <ucontext.h>

enum { CHAINS = 12 };

static struct {
    _Atomic int stop, alive, failures;
    pid_t root;
    _Atomic uint64_t made[CHAINS];
    _Atomic pid_t last[CHAINS];  // the tid of the newest link
} *board;

/// The newest link of a chain: it has taken its place.
static void take_over(int chain) {
    board->last[chain] = (pid_t)syscall(SYS_gettid);
    board->made[chain]++;
}

/// Tells what a link is doing, if it is there.
static void describe(int chain) {
    static const char *const sources[] = {"status", "syscall", "stack"};
    pid_t tid = board->last[chain];
    for (int i = 0; i < 3; i++) {
        char path[80], text[400] = "";
        snprintf(path, sizeof path, "/proc/%d/%s", tid, sources[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, text, sizeof text - 1) < 0) snprintf(text, sizeof text, "%s", strerror(errno));
        if (fd >= 0) close(fd);
        fail("chain %d, link %d, %s: %s", chain, tid, sources[i], text);
    }
}

/// A link that crashes would only be missing.
static void crashed(int signal_number, siginfo_t *info, void *context) {
    const greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
#ifdef __x86_64__
    long long at = registers[REG_RIP], result = registers[REG_RAX];
#else
    long long at = registers[REG_EIP], result = registers[REG_EAX];
#endif
    fail("signal %d at %#llx, address %p, result %lld", signal_number, at, info->si_addr, result);
    _exit(4);
}

static void *thread_link(void *chain_number) {
    int chain = (int)(intptr_t)chain_number;
    take_over(chain);
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
        take_over(chain);
        if (board->stop) break;
        // If the root has died, nothing else would end the chain.
        pid_t parent = getppid();
        if (parent != maker && parent != board->root) {
            fail("a link of chain %d is a child of %d, neither of its maker %d nor of the root %d", chain, parent, maker, board->root);
            _exit(1);
        }
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
    struct sigaction action = {.sa_sigaction = crashed, .sa_flags = SA_SIGINFO};
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS};
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++) sigaction(crashes[i], &action, NULL);
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
    for (int chain = 0; chain < CHAINS; chain++) {
        uint64_t begin = board->made[chain];
        expect_progress("chain", &board->made[chain], 2);
        if (board->made[chain] < begin + 2) describe(chain);
    }
    board->stop = 1;
    for (int i = 0; i < 4000 && board->alive > 0; i++) nap_ms(5);
    expect(board->alive == 0, "%d chains are lost", board->alive);
    expect(board->failures == 0, "%d links could not be made", board->failures);
    return verdict("handover");
}
