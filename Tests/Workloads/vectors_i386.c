// Property: the vector registers, the x87 stack and the control words of 32-bit code stay as they are.
#include "workload.h"

#if defined(__i386__)
enum { THREADS = 2, KINDS = 3, SPINS = 200000 };
static _Atomic uint64_t counters[KINDS * THREADS];

#define EIGHT(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7)
#define SSE_LOAD(n) "movups 16*" #n "(%[from]), %%xmm" #n "\n"
#define SSE_STORE(n) "movups %%xmm" #n ", 16*" #n "(%[to])\n"
#define AVX_LOAD(n) "vmovups 32*" #n "(%[from]), %%ymm" #n "\n"
#define AVX_STORE(n) "vmovups %%ymm" #n ", 32*" #n "(%[to])\n"
#define SPIN "mov %[spins], %%ecx\n 1: dec %%ecx\n jnz 1b\n"
#define CLOBBERS "ecx", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7"

__attribute__((target("sse2"))) static void spin_sse(const uint8_t *wanted, uint8_t *seen) {
    asm volatile(EIGHT(SSE_LOAD) SPIN EIGHT(SSE_STORE)
                 : : [from] "r"(wanted), [to] "r"(seen), [spins] "i"(SPINS) : CLOBBERS);
}

__attribute__((target("avx"))) static void spin_avx(const uint8_t *wanted, uint8_t *seen) {
    asm volatile(EIGHT(AVX_LOAD) SPIN EIGHT(AVX_STORE) "vzeroupper\n"
                 : : [from] "r"(wanted), [to] "r"(seen), [spins] "i"(SPINS) : CLOBBERS);
}

static void *vector_thread(void *argument) {
    uintptr_t number = (uintptr_t)argument;
    uint8_t wanted[256], seen[256];
    fill_pattern(wanted, sizeof wanted, 3000 + number);
    bool wide = __builtin_cpu_supports("avx");
    for (;; counters[number]++) {
        memset(seen, 0, sizeof seen);
        wide ? spin_avx(wanted, seen) : spin_sse(wanted, seen);
        if (memcmp(wanted, seen, wide ? 256 : 128) != 0) fail("a vector register changed");
    }
    return NULL;
}

/// Fills the whole x87 stack, with a control word that is not the default.
static void *x87_thread(void *argument) {
    uintptr_t number = (uintptr_t)argument;
    double wanted[8], seen[8];
    for (int i = 0; i < 8; i++) wanted[i] = 1.0 / (3 + i + 8 * (int)number);
    const uint16_t control = 0x0e7f;
    for (;; counters[number]++) {
        uint16_t control_seen, before;
        asm volatile("fnstcw %0" : "=m"(before));
        asm volatile("fldcw %[control]\n"
                     "fldl 56(%[from])\n fldl 48(%[from])\n fldl 40(%[from])\n fldl 32(%[from])\n"
                     "fldl 24(%[from])\n fldl 16(%[from])\n fldl 8(%[from])\n fldl (%[from])\n" SPIN
                     "fstpl (%[to])\n fstpl 8(%[to])\n fstpl 16(%[to])\n fstpl 24(%[to])\n"
                     "fstpl 32(%[to])\n fstpl 40(%[to])\n fstpl 48(%[to])\n fstpl 56(%[to])\n"
                     "fnstcw %[seen]\n"
                     "fldcw %[before]\n"
                     : [seen] "=m"(control_seen)
                     : [from] "r"(wanted), [to] "r"(seen), [spins] "i"(SPINS), [control] "m"(control),
                       [before] "m"(before)
                     : "ecx", "memory", "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
        for (int i = 0; i < 8; i++)
            if (memcmp(&seen[i], &wanted[i], 8) != 0) fail("st(%d) changed", i);
        if (control_seen != control) fail("the x87 control word changed to %x", control_seen);
    }
    return NULL;
}

/// Keeps rounding towards zero with flush-to-zero in mxcsr; its local storage is found through gs.
__attribute__((target("sse2"))) static void *control_thread(void *argument) {
    static _Thread_local uint32_t local;
    uintptr_t number = (uintptr_t)argument;
    local = 0xabcdef00 + number;
    uint32_t wanted = 0xff80, seen = 0;
    asm volatile("ldmxcsr %0" : : "m"(wanted));
    for (;; counters[number]++) {
        for (int i = 0; i < SPINS / 10; i++) {
            asm volatile("stmxcsr %0" : "=m"(seen));
            if ((seen & ~0x3fu) != wanted || *(volatile uint32_t *)&local != 0xabcdef00 + number) break;
        }
        if ((seen & ~0x3fu) != wanted) fail("mxcsr changed to %x", seen);
        if (local != 0xabcdef00 + number) fail("local storage changed");
    }
    return NULL;
}

int run_vectors(int count, char **arguments) {
    (void)count, (void)arguments;
    void *(*bodies[KINDS])(void *) = {vector_thread, x87_thread, control_thread};
    static const char *const names[KINDS] = {"vector", "x87", "control"};
    for (uintptr_t i = 0; i < KINDS * THREADS; i++) start_thread(bodies[i / THREADS], (void *)i);
    for (int i = 0; i < KINDS * THREADS; i++) expect_progress(names[i / THREADS], &counters[i], 1);
    say_ready();
    wait_for_finish();
    for (int i = 0; i < KINDS * THREADS; i++) expect_progress(names[i / THREADS], &counters[i], 3);
    return verdict("vectors");
}
#endif
