// Property: a thread never notices a checkpoint in its registers, its mask, or a system call.
#include "workload.h"
#include <linux/futex.h>
#include <poll.h>
#include <sys/select.h>

enum { SPINNER, NANOSLEEP, POLL, FUTEX, SELECT, READER, MASK, ACTIVITIES };
static const char *const activity_names[] = {"spinner", "nanosleep", "poll", "futex", "select", "reader", "mask"};
static _Atomic uint64_t counters[ACTIVITIES];
static int ends[2];

/// Records what a timed call did unless it gave `wanted` (and `wanted_errno`) and took long enough.
static void check_call(const char *name, long result, long wanted, int wanted_errno, int64_t begin, int64_t asked_ns) {
    int error = result < 0 ? errno : 0;
    int64_t elapsed = now_ns() - begin;
    if (result != wanted || error != wanted_errno || elapsed < asked_ns - TOLERANCE_NS)
        fail("%s gave %ld, errno %d, after %lld of %lld us", name, result, error, (long long)elapsed / 1000,
             (long long)asked_ns / 1000);
}

static void *spinner(void *unused) {
    (void)unused;
#if defined(__x86_64__)
    for (;;) {
        uint64_t good;
        // rbp is the frame's and rsp the stack's: the stack word below catches a wrong rsp. The carry
        // flag must stay set over `lea`, which changes no flag; the direction flag stays set inside.
        asm volatile(
            "push %%rbp\n"
            "mov $0x7777777777777777, %%rbp\n"
            "mov $0x1111111111111111, %%rax\n"
            "mov $0x2222222222222222, %%rbx\n"
            "mov $0x3333333333333333, %%rcx\n"
            "mov $0x4444444444444444, %%rdx\n"
            "mov $0x5555555555555555, %%rsi\n"
            "mov $0x6666666666666666, %%rdi\n"
            "mov $0x8888888888888888, %%r8\n"
            "mov $0x9999999999999999, %%r9\n"
            "mov $0xaaaaaaaaaaaaaaaa, %%r10\n"
            "mov $0xbbbbbbbbbbbbbbbb, %%r11\n"
            "mov $0xcccccccccccccccc, %%r12\n"
            "mov $0xdddddddddddddddd, %%r13\n"
            "mov $0xeeeeeeeeeeeeeeee, %%r14\n"
            "mov $300000, %%r15\n"
            "std\n"
            "1: stc\n"
            "jnc 9f\n"
            "lea -1(%%r15), %%r15\n"
            "jnc 9f\n"
            "push %%r15\n"
            "cmp %%r15, (%%rsp)\n"
            "lea 8(%%rsp), %%rsp\n"
            "jne 9f\n"
            "test %%r15, %%r15\n"
            "jnz 1b\n"
            "pushfq\n"
            "pop %%r15\n"
            "bt $10, %%r15\n" // the direction flag
            "jnc 9f\n"
            "mov $0x1111111111111111, %%r15\n cmp %%r15, %%rax\n jne 9f\n"
            "mov $0x2222222222222222, %%r15\n cmp %%r15, %%rbx\n jne 9f\n"
            "mov $0x3333333333333333, %%r15\n cmp %%r15, %%rcx\n jne 9f\n"
            "mov $0x4444444444444444, %%r15\n cmp %%r15, %%rdx\n jne 9f\n"
            "mov $0x5555555555555555, %%r15\n cmp %%r15, %%rsi\n jne 9f\n"
            "mov $0x6666666666666666, %%r15\n cmp %%r15, %%rdi\n jne 9f\n"
            "mov $0x7777777777777777, %%r15\n cmp %%r15, %%rbp\n jne 9f\n"
            "mov $0x8888888888888888, %%r15\n cmp %%r15, %%r8\n jne 9f\n"
            "mov $0x9999999999999999, %%r15\n cmp %%r15, %%r9\n jne 9f\n"
            "mov $0xaaaaaaaaaaaaaaaa, %%r15\n cmp %%r15, %%r10\n jne 9f\n"
            "mov $0xbbbbbbbbbbbbbbbb, %%r15\n cmp %%r15, %%r11\n jne 9f\n"
            "mov $0xcccccccccccccccc, %%r15\n cmp %%r15, %%r12\n jne 9f\n"
            "mov $0xdddddddddddddddd, %%r15\n cmp %%r15, %%r13\n jne 9f\n"
            "mov $0xeeeeeeeeeeeeeeee, %%r15\n cmp %%r15, %%r14\n jne 9f\n"
            "mov $1, %%eax\n"
            "jmp 8f\n"
            "9: xor %%eax, %%eax\n"
            "8: cld\n"
            "pop %%rbp\n"
            : "=a"(good)
            :
            : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc");
        if (!good) fail("a register or a flag of the spinner changed");
        counters[SPINNER]++;
    }
#elif defined(__i386__)
    for (;;) {
        uint32_t good;
        // The counter lies on the stack, for there are no other registers: a wrong esp shows at once.
        asm volatile(
            "push %%ebp\n"
            "push $300000\n"
            "mov $0x11111111, %%eax\n"
            "mov $0x22222222, %%ebx\n"
            "mov $0x33333333, %%ecx\n"
            "mov $0x44444444, %%edx\n"
            "mov $0x55555555, %%esi\n"
            "mov $0x66666666, %%edi\n"
            "mov $0x77777777, %%ebp\n"
            "std\n"
            "1: stc\n"
            "jnc 9f\n"
            "push %%ebp\n"
            "cmp %%ebp, (%%esp)\n"
            "lea 4(%%esp), %%esp\n"
            "jne 9f\n"
            "decl (%%esp)\n"
            "jnz 1b\n"
            "pushf\n"
            "testl $0x400, (%%esp)\n" // the direction flag
            "lea 4(%%esp), %%esp\n"
            "jz 9f\n"
            "cmp $0x11111111, %%eax\n jne 9f\n"
            "cmp $0x22222222, %%ebx\n jne 9f\n"
            "cmp $0x33333333, %%ecx\n jne 9f\n"
            "cmp $0x44444444, %%edx\n jne 9f\n"
            "cmp $0x55555555, %%esi\n jne 9f\n"
            "cmp $0x66666666, %%edi\n jne 9f\n"
            "cmp $0x77777777, %%ebp\n jne 9f\n"
            "mov $1, %%eax\n"
            "jmp 8f\n"
            "9: xor %%eax, %%eax\n"
            "8: cld\n"
            "lea 4(%%esp), %%esp\n"
            "pop %%ebp\n"
            : "=a"(good)
            :
            : "ebx", "ecx", "edx", "esi", "edi", "memory", "cc");
        if (!good) fail("a register or a flag of the spinner changed");
        counters[SPINNER]++;
    }
#else
    for (;;) counters[SPINNER]++;
#endif
    return NULL;
}

static void *sleeper(void *unused) {
    (void)unused;
    for (;; counters[NANOSLEEP]++) {
        struct timespec t = {0, 30000000};
        int64_t begin = now_ns();
        check_call("nanosleep", nanosleep(&t, NULL), 0, 0, begin, t.tv_nsec);
    }
    return NULL;
}

static void *poller(void *unused) {
    (void)unused;
    for (;; counters[POLL]++) {
        int64_t begin = now_ns();
        check_call("poll", poll(NULL, 0, 25), 0, 0, begin, 25000000);
    }
    return NULL;
}

static void *futex_waiter(void *unused) {
    (void)unused;
    static uint32_t word;
    for (;; counters[FUTEX]++) {
        struct timespec t = {0, 20000000};
        int64_t begin = now_ns();
        long result = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &t, NULL, 0);
        check_call("futex", result, -1, ETIMEDOUT, begin, t.tv_nsec);
    }
    return NULL;
}

static void *selecter(void *unused) {
    (void)unused;
    for (;; counters[SELECT]++) {
        struct timeval t = {0, 22000};
        int64_t begin = now_ns();
        check_call("select", select(0, NULL, NULL, NULL, &t), 0, 0, begin, 22000000);
    }
    return NULL;
}

static void *reader(void *unused) {
    (void)unused;
    for (uint64_t wanted = 0;; wanted++, counters[READER]++) {
        uint64_t number = ~wanted;
        long result = read(ends[0], &number, sizeof number);
        if (result != sizeof number || number != wanted)
            fail("read gave %ld, errno %d, number %llu for %llu", result, errno, (unsigned long long)number,
                 (unsigned long long)wanted);
    }
    return NULL;
}

static void *writer(void *unused) {
    (void)unused;
    for (uint64_t number = 0;; number++) {
        struct timespec t = {0, 7000000};
        int64_t begin = now_ns();
        check_call("clock_nanosleep", -clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL), 0, 0, begin, t.tv_nsec);
        long result = write(ends[1], &number, sizeof number);
        if (result != sizeof number) fail("write gave %ld, errno %d", result, errno);
    }
    return NULL;
}

/// Holds a mask of its own and compares it in a loop without any other call.
static void *mask_holder(void *unused) {
    (void)unused;
    sigset_t wanted, seen;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGUSR1);
    sigaddset(&wanted, SIGHUP);
    sigaddset(&wanted, SIGRTMIN + 7);
    pthread_sigmask(SIG_SETMASK, &wanted, NULL);
    for (;; counters[MASK]++) {
        sigemptyset(&seen);
        pthread_sigmask(SIG_SETMASK, NULL, &seen);
        for (int s = 1; s < 65; s++)
            if (sigismember(&seen, s) != sigismember(&wanted, s)) fail("signal %d in the mask changed", s);
        nap_ms(1);
    }
    return NULL;
}

int run_registers(int count, char **arguments) {
    (void)count, (void)arguments;
    if (pipe(ends)) cannot_prepare("pipe");
    start_thread(spinner, NULL);
    start_thread(sleeper, NULL);
    start_thread(poller, NULL);
    start_thread(futex_waiter, NULL);
    start_thread(selecter, NULL);
    start_thread(reader, NULL);
    start_thread(writer, NULL);
    start_thread(mask_holder, NULL);
    for (int i = 0; i < ACTIVITIES; i++) expect_progress(activity_names[i], &counters[i], 1);
    say_ready();
    wait_for_finish();
    for (int i = 0; i < ACTIVITIES; i++) expect_progress(activity_names[i], &counters[i], 3);

    // No thread must have the signal mask that the checkpoint set for its own steps.
    sigset_t seen;
    pthread_sigmask(SIG_SETMASK, NULL, &seen);
    for (int s = 1; s < 65; s++)
        if (sigismember(&seen, s) == 1) fail("signal %d is blocked in the first thread", s);
    return verdict("registers");
}
