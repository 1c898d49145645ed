// Property: a call that waits ends by its limit or by its event, after the time it asked for, with the results
// that an undisturbed run gives.
//
//     Workloads calls DIRECTORY all|restartable event|signal
//
// Each call is made by a child of its own. After ASKED_NS the parent wakes those that wait for an event; with
// `signal` it sends all of them a handled SIGUSR1 at three quarters of the time instead. Each child appends
// a line to `calls`; the test compares them with those of an undisturbed run:
//
//     NAME FLAGS result errno handled WROTE asleep-us left-us gap-us
//
// The time asleep is without gaps, which are the times between checkpoint and restart: the parent sees its clock jump.
#include "calls.h"
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static struct shared {
    _Atomic int64_t gap_ns;
    struct trial trials[100];
} *shared;

static volatile sig_atomic_t handled;
static void on_signal(int number) { (void)number, handled++; }

struct timespec time_of(int64_t ns) { return (struct timespec){ns / 1000000000, ns % 1000000000}; }
struct wide_time wide_time_of(int64_t ns) { return (struct wide_time){ns / 1000000000, ns % 1000000000}; }
struct long_time long_time_of(int64_t ns) { return (struct long_time){ns / 1000000000, ns % 1000000000}; }
struct timespec asked_end(clockid_t clock) { return time_of(clock_ns(clock) + ASKED_NS); }
int64_t ns_of(struct timespec time) { return time.tv_sec * 1000000000LL + time.tv_nsec; }

static void record(const struct call *call, struct trial *trial) {
    int64_t asleep = now_ns() - trial->begin - shared->gap_ns;
    char line[400];
    snprintf(line, sizeof line, "%s %d %ld %d %d %s %lld %lld %lld\n", call->name,
             call->flags | (call->wake ? WOKEN : 0), trial->result, trial->error, handled,
             *trial->wrote ? trial->wrote : "-", (long long)asleep / 1000,
             (long long)(trial->left_ns < 0 ? -1 : trial->left_ns / 1000), (long long)shared->gap_ns / 1000);
    int fd = open(run_path("calls"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line)) _exit(3);
    _exit(0);
}

static void start(const struct call *call, struct trial *trial) {
    trial->left_ns = -1;
    if (call->prepare) call->prepare(trial);
    pid_t child = fork();
    if (child < 0) cannot_prepare("child");
    if (child) {
        trial->pid = child;
        return;
    }
    prctl(PR_SET_NAME, call->name);
    call->run(trial);
    trial->ended = true;
    record(call, trial);
}

/// What cannot be saved: a checkpoint looks at all calls, and is refused.
static void hold_back(void) {
    struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sendto(fd, "held", 4, MSG_MORE, (void *)&target, sizeof target) != 4) cannot_prepare("MSG_MORE");
}

int run_calls(int count, char **arguments) {
    bool only_restartable = count > 0 && strcmp(arguments[0], "restartable") == 0;
    bool by_signal = count > 1 && strcmp(arguments[1], "signal") == 0;
    shared = shared_memory(sizeof *shared);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);

    static const struct call *started[100];
    int trials = 0;
    const struct call *groups[] = {sleep_calls, descriptor_calls, object_calls, socket_calls};
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++)
        for (const struct call *call = groups[g]; call->name; call++) {
            if (only_restartable && !(call->flags & RESTARTABLE)) continue;
            if (count > 2 && strcmp(arguments[2], call->name) != 0) continue;
            started[trials] = call;
            start(call, &shared->trials[trials++]);
        }
    for (int i = 0; i < trials; i++)
        while (!shared->trials[i].begin) nap_ms(1);
    nap_ms(100);
    if (!only_restartable) hold_back();
    say_ready();

    int64_t alive = 0, before = now_ns();
    int living = trials;
    bool signaled = false, woken = false;
    while (living) {
        nap_ms(10);
        int64_t now = now_ns();
        if (now - before > 1000000000)
            shared->gap_ns += now - before;
        else
            alive += now - before;
        before = now;
        if (by_signal && !signaled && alive > ASKED_NS * 3 / 4) {
            for (int i = 0; i < trials; i++) kill(shared->trials[i].pid, SIGUSR1);
            signaled = true;
        }
        if (!woken && alive > ASKED_NS) {
            for (int i = 0; i < trials; i++)
                if (started[i]->wake) started[i]->wake(&shared->trials[i]);
            woken = true;
        }
        int status;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            for (int i = 0; i < trials; i++)
                if (shared->trials[i].pid == pid) {
                    expect(status == 0, "%s ended with status %x", started[i]->name, status);
                    living--;
                }
        if (alive <= 6 * ASKED_NS) continue;
        // Processor time comes as other programs leave it.
        bool may_wait = alive <= 18 * ASKED_NS;
        for (int i = 0; i < trials; i++)
            if (kill(shared->trials[i].pid, 0) == 0 && !(may_wait && started[i]->flags & PROCESSOR)) {
                fail("%s does not end", started[i]->name);
                may_wait = false;
            }
        if (!may_wait) break;
    }
    return verdict("calls");
}
