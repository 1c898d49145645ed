// Property: each of N threads goes on, with its own stack, local storage, name, mask and tid.
#include "workload.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static _Atomic uint64_t turn;
static _Atomic int finish;
static int wanted;
static __thread uint64_t local;

static void *body(void *argument) {
    uint64_t number = (uint64_t)(uintptr_t)argument;
    local = number * 1000003;
    char name[16], seen_name[16];
    snprintf(name, sizeof name, "thread-%d", (int)number);
    pthread_setname_np(pthread_self(), name);
    sigset_t mask, seen;
    sigemptyset(&mask);
    sigaddset(&mask, 1 + (int)(number % 8));
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    long tid = syscall(SYS_gettid);

    // The threads take turns: each change wakes all that wait, so condition variables are always in use.
    pthread_mutex_lock(&mutex);
    while (!finish) {
        if (turn % (uint64_t)wanted == number) {
            turn++;
            pthread_cond_broadcast(&turn_changed);
        } else {
            struct timespec until;
            clock_gettime(CLOCK_MONOTONIC, &until);
            until.tv_sec += 1;
            pthread_cond_clockwait(&turn_changed, &mutex, CLOCK_MONOTONIC, &until);
        }
    }
    pthread_mutex_unlock(&mutex);

    expect(local == number * 1000003, "the local storage of thread %d changed", (int)number);
    expect(syscall(SYS_gettid) == tid, "thread %ld is now %ld", tid, syscall(SYS_gettid));
    pthread_getname_np(pthread_self(), seen_name, sizeof seen_name);
    expect(strcmp(name, seen_name) == 0, "thread %ld is now called %s", tid, seen_name);
    pthread_sigmask(SIG_SETMASK, NULL, &seen);
    for (int s = 1; s < 65; s++)
        if (sigismember(&seen, s) != sigismember(&mask, s)) fail("signal %d in the mask of %ld changed", s, tid);
    return argument;
}

int run_threads(int count, char **arguments) {
    wanted = count > 0 ? atoi(arguments[0]) : 500;
    pthread_t *threads = calloc((size_t)wanted, sizeof *threads);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    for (int i = 0; i < wanted; i++) {
        errno = pthread_create(&threads[i], &attributes, body, (void *)(uintptr_t)i);
        if (errno) cannot_prepare("thread");
    }
    while (turn < (uint64_t)wanted) nap_ms(5);
    say_ready();
    wait_for_finish();
    expect_progress("the turn", &turn, 2 * (uint64_t)wanted);
    finish = 1;
    for (int i = 0; i < wanted; i++) {
        void *result = NULL;
        expect(pthread_join(threads[i], &result) == 0 && result == (void *)(uintptr_t)i, "thread %d is lost", i);
    }
    return verdict("threads");
}
