// Property: a sleep that was begun by int $0x80 goes on as a 32-bit call, also in 64-bit code.
#include "workload.h"
#include <poll.h>

#if defined(__x86_64__)
enum { NANOSLEEP, POLL, CALLS };
static _Atomic uint64_t counters[CALLS];
/// The time as calls by int $0x80 take it: seconds and nanoseconds in two 32-bit words, below 4 GiB.
static uint32_t *low;

static long call32(long number, long first, long second, long third) {
    long result;
    asm volatile("int $0x80"
                 : "=a"(result) : "a"(number), "b"(first), "c"(second), "d"(third)
                 : "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
    return (int)result;
}

static void *sleeper(void *unused) {
    (void)unused;
    low[0] = 0;
    low[1] = 300000000;
    for (;; counters[NANOSLEEP]++) {
        int64_t begin = now_ns();
        long result = call32(162, (long)low, 0, 0);
        int64_t elapsed = now_ns() - begin;
        if (result != 0 || elapsed < 300000000 - TOLERANCE_NS)
            fail("nanosleep gave %ld after %lld us", result, (long long)elapsed / 1000);
    }
    return NULL;
}

static void *poller(void *unused) {
    (void)unused;
    for (;; counters[POLL]++) {
        int64_t begin = now_ns();
        long result = call32(168, 0, 0, 250);
        int64_t elapsed = now_ns() - begin;
        if (result != 0 || elapsed < 250000000 - TOLERANCE_NS)
            fail("poll gave %ld after %lld us", result, (long long)elapsed / 1000);
    }
    return NULL;
}
#endif

int run_borrowed(int count, char **arguments) {
    (void)count, (void)arguments;
#if defined(__x86_64__)
    low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (low == MAP_FAILED) cannot_prepare("low memory");
    start_thread(sleeper, NULL);
    start_thread(poller, NULL);
#endif
    nap_ms(50);
    say_ready();
    wait_for_finish();
#if defined(__x86_64__)
    for (int i = 0; i < CALLS; i++) expect_progress(i ? "poll" : "nanosleep", &counters[i], 1);
#endif
    return verdict("borrowed");
}
