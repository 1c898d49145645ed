// Property: state that a 64-bit kernel keeps only for 32-bit programs stays: segment descriptors, the list of robust
// locks, frames of signal handlers, the remaining time of an interrupted sleep, addresses below 4 GiB.
#include "workload.h"

#if defined(__i386__)
#include <asm/ldt.h>
#include <linux/futex.h>
#include <sys/auxv.h>
#include <sys/ucontext.h>

static _Atomic uint64_t sleeps, signals_seen, segment_reads;
static _Atomic int let_owner_die;
static pthread_mutex_t robust;
static uint32_t pointed[4] = {0x600df00d, 1, 2, 3};
static pthread_t sleeper_thread;

/// A segment of its own in fs: read through it for ever.
static void *segment_reader(void *unused) {
    (void)unused;
    struct user_desc area = {.entry_number = (unsigned)-1, .base_addr = (unsigned)(uintptr_t)pointed, .limit = 0xfffff,
                             .seg_32bit = 1, .limit_in_pages = 1, .useable = 1};
    if (syscall(SYS_set_thread_area, &area)) cannot_prepare("segment");
    uint16_t selector = (uint16_t)(area.entry_number * 8 + 3);
    asm volatile("mov %0, %%fs" : : "r"(selector));
    for (;; segment_reads++) {
        uint32_t through;
        for (int i = 0; i < 100000; i++) {
            asm volatile("mov %%fs:0, %0" : "=r"(through));
            if (through != pointed[0]) break;
        }
        uint16_t seen;
        asm volatile("mov %%fs, %0" : "=r"(seen));
        if (through != pointed[0] || seen != selector) fail("fs is %x, its first word %x", seen, through);
        struct user_desc now = {.entry_number = area.entry_number};
        if (syscall(SYS_get_thread_area, &now) || now.base_addr != area.base_addr || now.limit != area.limit)
            fail("the descriptor changed to %x", now.base_addr);
    }
    return NULL;
}

/// Ends while it holds a robust lock. The kernel tells the next owner, if the list was registered again.
static void *lock_owner(void *unused) {
    (void)unused;
    pthread_mutex_lock(&robust);
    while (!let_owner_die) nap_ms(5);
    // Not pthread_exit: glibc would release the lock itself, and the kernel's list would not be tested.
    syscall(SYS_exit, 0);
    return NULL;
}

static void on_signal(int number, siginfo_t *info, void *context) {
    const ucontext_t *where = context;
    int here;
    if (number != SIGUSR2 || info->si_code != SI_QUEUE || info->si_value.sival_int != 0x1234567) fail("siginfo changed");
    // On the alternate stack, in a frame of a 32-bit handler: the saved stack pointer is another.
    if ((uint32_t)where->uc_mcontext.gregs[REG_ESP] - (uint32_t)(uintptr_t)&here < 1u << 16) fail("not on the alternate stack");
    if ((where->uc_mcontext.gregs[REG_CS] & 0xffff) != 0x23) fail("interrupted in code segment %x", where->uc_mcontext.gregs[REG_CS]);
    signals_seen++;
}

/// Sleeps by the call with 32-bit words and by the one with 64-bit words; a signal cuts it short and gets the rest.
static void *sleeper(void *unused) {
    (void)unused;
    for (;; sleeps++) {
        struct { int32_t seconds, nanoseconds; } asked = {0, 400000000}, left = {-1, -1};
        struct { int64_t seconds, nanoseconds; } wide = {0, 350000000}, wide_left = {-1, -1};
        int64_t begin = now_ns();
        // clock_nanosleep and nanosleep of the i386 table.
        long result = sleeps & 1 ? syscall(267, CLOCK_MONOTONIC, 0, &asked, &left) : syscall(162, &asked, &left);
        int64_t elapsed = now_ns() - begin;
        if (result ? errno != EINTR || left.seconds != 0 || elapsed + left.nanoseconds < asked.nanoseconds - 2 * TOLERANCE_NS
                   : elapsed < asked.nanoseconds - TOLERANCE_NS)
            fail("nanosleep gave %ld, errno %d, after %lld us, left %d", result, errno, (long long)elapsed / 1000, left.nanoseconds);
        begin = now_ns();
        result = syscall(407, CLOCK_MONOTONIC, 0, &wide, &wide_left);
        elapsed = now_ns() - begin;
        if (result ? errno != EINTR || wide_left.seconds != 0 || elapsed + wide_left.nanoseconds < wide.nanoseconds - 2 * TOLERANCE_NS
                   : elapsed < wide.nanoseconds - TOLERANCE_NS)
            fail("clock_nanosleep_time64 gave %ld, errno %d, after %lld us, left %lld", result, errno,
                 (long long)elapsed / 1000, (long long)wide_left.nanoseconds);
    }
    return NULL;
}

static void interrupt_sleeper(void) {
    uint64_t before = signals_seen;
    union sigval value = {.sival_int = 0x1234567};
    if (pthread_sigqueue(sleeper_thread, SIGUSR2, value)) fail("no signal: %s", strerror(errno));
    for (int i = 0; i < 1000 && signals_seen == before; i++) nap_ms(5);
    expect(signals_seen > before, "the handler did not run");
}

static void *with_alternate_stack(void *unused) {
    static char memory[65536];
    stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    if (sigaltstack(&stack, NULL)) cannot_prepare("alternate stack");
    return sleeper(unused);
}

static __attribute__((noinline)) uint32_t deep(int depth) {
    volatile char frame[8192];
    frame[0] = (char)depth;
    return depth ? deep(depth - 1) + (uint32_t)frame[0] : 0;
}

/// New memory lies where a 32-bit program can see it.
static void use_memory(void) {
    for (int i = 0; i < 64; i++) {
        char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) fail("no memory: %s", strerror(errno)); else memory[4097] = 1;
    }
    char *end = sbrk(0);
    expect(sbrk(4 << 20) == end, "the heap does not grow: %s", strerror(errno));
    memset(end, 1, 4 << 20);
    expect(deep(400) != 1, "impossible");
}

int run_narrow(int count, char **arguments) {
    (void)count, (void)arguments;
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGUSR2, &action, NULL);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    start_thread(segment_reader, NULL);
    start_thread(lock_owner, NULL);
    errno = pthread_create(&sleeper_thread, NULL, with_alternate_stack, NULL);
    if (errno) cannot_prepare("thread");
    nap_ms(100);
    interrupt_sleeper();
    unsigned long code = getauxval(AT_SYSINFO_EHDR);
    say_ready();
    wait_for_finish();
    expect(getauxval(AT_SYSINFO_EHDR) == code && memcmp((void *)code, "\177ELF\1", 5) == 0, "the vdso moved");
    expect_progress("segments", &segment_reads, 2);
    expect_progress("sleeps", &sleeps, 1);
    interrupt_sleeper();
    use_memory();
    let_owner_die = 1;
    int error = pthread_mutex_lock(&robust);
    expect(error == EOWNERDEAD, "the robust lock gave %s", strerror(error));
    return verdict("narrow");
}
#else
int run_narrow(int count, char **arguments) {
    (void)count, (void)arguments;
    say_ready();
    wait_for_finish();
    return verdict("narrow");
}
#endif
