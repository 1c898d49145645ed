// Property: a wait with a time limit ends by its limit or by its event, and for no other reason.
#include "workload.h"
#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/select.h>

struct wait {
    const char *name;
    int (*call)(struct timespec limit);  // 0: the limit was reached; errno: ended otherwise
    long asked_ms;
    _Atomic uint64_t count;
};

static int silent[2];  // a pipe that is never written to
static uint32_t word;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;

static int as_error(long result, int at_limit) {
    if (result == at_limit) return 0;
    return result < 0 ? errno : EPROTO;
}

static int by_poll(struct timespec limit) {
    struct pollfd fd = {silent[0], POLLIN, 0};
    return as_error(poll(&fd, 1, (int)(limit.tv_nsec / 1000000)), 0);
}

static int by_ppoll(struct timespec limit) {
    struct pollfd fd = {silent[0], POLLIN, 0};
    return as_error(ppoll(&fd, 1, &limit, NULL), 0);
}

static int by_select(struct timespec limit) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(silent[0], &set);
    struct timeval t = {0, limit.tv_nsec / 1000};
    return as_error(select(silent[0] + 1, &set, NULL, NULL, &t), 0);
}

static int by_pselect(struct timespec limit) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(silent[0], &set);
    return as_error(pselect(silent[0] + 1, &set, NULL, NULL, &limit, NULL), 0);
}

static int by_futex(struct timespec limit) {
    long result = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &limit, NULL, 0);
    return result < 0 && errno == ETIMEDOUT ? 0 : as_error(result, -2);
}

static struct timespec from_now(clockid_t clock, struct timespec limit) {
    int64_t end = clock_ns(clock) + limit.tv_nsec;
    return (struct timespec){end / 1000000000, end % 1000000000};
}

static int by_condition(struct timespec limit) {
    struct timespec end = from_now(CLOCK_MONOTONIC, limit);
    pthread_mutex_lock(&mutex);
    int error = pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, &end);
    pthread_mutex_unlock(&mutex);
    return error == ETIMEDOUT ? 0 : error ? error : EPROTO;
}

static int by_semaphore(struct timespec limit) {
    struct timespec end = from_now(CLOCK_MONOTONIC, limit);
    long result = sem_clockwait(&semaphore, CLOCK_MONOTONIC, &end);
    return result < 0 && errno == ETIMEDOUT ? 0 : as_error(result, -2);
}

static int by_signal(struct timespec limit) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    long result = sigtimedwait(&set, NULL, &limit);
    return result < 0 && errno == EAGAIN ? 0 : as_error(result, -2);
}

static struct wait waits[] = {
    {"poll", by_poll, 310, 0},          {"ppoll", by_ppoll, 270, 0},
    {"select", by_select, 290, 0},      {"pselect", by_pselect, 330, 0},
    {"futex", by_futex, 250, 0},        {"pthread_cond_clockwait", by_condition, 350, 0},
    {"sem_clockwait", by_semaphore, 370, 0}, {"sigtimedwait", by_signal, 230, 0},
};

static void *wait_for_ever(void *argument) {
    struct wait *w = argument;
    for (;; w->count++) {
        int64_t begin = now_ns();
        int error = w->call((struct timespec){0, w->asked_ms * 1000000});
        int64_t elapsed = now_ns() - begin;
        if (error) fail("%s: %s after %lld us", w->name, strerror(error), (long long)elapsed / 1000);
        if (elapsed < w->asked_ms * 1000000 - TOLERANCE_NS)
            fail("%s: ended after %lld us", w->name, (long long)elapsed / 1000);
    }
    return NULL;
}

int run_waits(int count, char **arguments) {
    (void)count, (void)arguments;
    const size_t known = sizeof waits / sizeof waits[0];
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (pipe(silent) || sem_init(&semaphore, 0, 0)) cannot_prepare("pipe");
    for (size_t i = 0; i < known; i++) start_thread(wait_for_ever, &waits[i]);
    nap_ms(100);
    say_ready();
    wait_for_finish();
    for (size_t i = 0; i < known; i++) expect_progress(waits[i].name, &waits[i].count, 2);
    return verdict("waits");
}
