// Property: vector registers, x87 stack, control words and thread-local bases stay as they are.
#include "workload.h"

#if defined(__x86_64__)
#include <asm/prctl.h>
#include <cpuid.h>

enum { KINDS = 5, THREADS = 2, SPINS = 200000 };
static _Atomic uint64_t counters[KINDS * THREADS];

struct patterns {
    uint8_t wanted[32][64] __attribute__((aligned(64)));
    uint8_t seen[32][64] __attribute__((aligned(64)));
};

static void compare(const char *name, const struct patterns *p, int registers, size_t bytes) {
    for (int i = 0; i < registers; i++)
        if (memcmp(p->wanted[i], p->seen[i], bytes) != 0) fail("%s%d changed", name, i);
}

#define SSE_LOAD(n) "movaps 64*" #n "(%[from]), %%xmm" #n "\n"
#define SSE_STORE(n) "movaps %%xmm" #n ", 64*" #n "(%[to])\n"
#define AVX_LOAD(n) "vmovaps 64*" #n "(%[from]), %%ymm" #n "\n"
#define AVX_STORE(n) "vmovaps %%ymm" #n ", 64*" #n "(%[to])\n"
#define ZMM_LOAD(n) "vmovaps 64*" #n "(%[from]), %%zmm" #n "\n"
#define ZMM_STORE(n) "vmovaps %%zmm" #n ", 64*" #n "(%[to])\n"
#define SIXTEEN(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15)
#define THIRTY_TWO(M) \
    SIXTEEN(M) M(16) M(17) M(18) M(19) M(20) M(21) M(22) M(23) M(24) M(25) M(26) M(27) M(28) M(29) M(30) M(31)
#define SPIN "mov %[spins], %%ecx\n 1: dec %%ecx\n jnz 1b\n"
#define LOW_CLOBBERS \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", \
        "xmm13", "xmm14", "xmm15"

static void spin_sse(struct patterns *p) {
    asm volatile(SIXTEEN(SSE_LOAD) SPIN SIXTEEN(SSE_STORE)
                 : : [from] "r"(p->wanted), [to] "r"(p->seen), [spins] "i"(SPINS) : "ecx", "memory", "cc", LOW_CLOBBERS);
    compare("xmm", p, 16, 16);
}

__attribute__((target("avx"))) static void spin_avx(struct patterns *p) {
    asm volatile(SIXTEEN(AVX_LOAD) SPIN SIXTEEN(AVX_STORE) "vzeroupper\n"
                 : : [from] "r"(p->wanted), [to] "r"(p->seen), [spins] "i"(SPINS) : "ecx", "memory", "cc", LOW_CLOBBERS);
    compare("ymm", p, 16, 32);
}

__attribute__((target("avx512f,avx512bw"))) static void spin_avx512(struct patterns *p) {
    uint64_t mask_wanted = 0x0123456789abcdefULL, mask_seen;
    asm volatile(THIRTY_TWO(ZMM_LOAD) "kmovq %[wanted], %%k5\n" SPIN "kmovq %%k5, %[seen]\n"
                 THIRTY_TWO(ZMM_STORE) "vzeroupper\n"
                 : [seen] "=m"(mask_seen)
                 : [from] "r"(p->wanted), [to] "r"(p->seen), [spins] "i"(SPINS), [wanted] "m"(mask_wanted)
                 : "ecx", "memory", "cc", "k5", LOW_CLOBBERS, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21",
                   "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
    compare("zmm", p, 32, 64);
    expect(mask_seen == mask_wanted, "k5 changed");
}

#define MASK_LOAD(n) "kmovq 8*" #n "(%[from]), %%k" #n "\n"
#define MASK_STORE(n) "kmovq %%k" #n ", 8*" #n "(%[to])\n"
#define EIGHT(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7)

__attribute__((target("avx512f,avx512bw"))) static void spin_masks(const uint64_t wanted[8]) {
    uint64_t seen[8];
    asm volatile(EIGHT(MASK_LOAD) SPIN EIGHT(MASK_STORE)
                 : : [from] "r"(wanted), [to] "r"(seen), [spins] "i"(SPINS)
                 : "ecx", "memory", "cc", "k1", "k2", "k3", "k4", "k5", "k6", "k7");
    for (int i = 0; i < 8; i++) expect(seen[i] == wanted[i], "k%d changed", i);
}

/// Sets the rights of the 15 protection keys that no page has; all pages have key 0, whose rights stay.
static void spin_keys(uint32_t rights) {
    uint32_t seen, high;
    asm volatile("wrpkru" : : "a"(rights), "c"(0), "d"(0) : "memory");
    asm volatile(SPIN : : [spins] "i"(SPINS) : "ecx", "cc");
    asm volatile("rdpkru" : "=a"(seen), "=d"(high) : "c"(0));
    expect(seen == rights, "pkru changed to %x", seen);
}

/// Fills the whole x87 stack; rounds down and unmasks nothing, in a precision that is not the default.
static void spin_x87(const long double wanted[8]) {
    long double seen[8];
    uint16_t control = 0x067f, control_seen, control_before;
    asm volatile("fnstcw %0" : "=m"(control_before));
    asm volatile("fldcw %[control]\n"
                 "fldt 112(%[from])\n fldt 96(%[from])\n fldt 80(%[from])\n fldt 64(%[from])\n"
                 "fldt 48(%[from])\n fldt 32(%[from])\n fldt 16(%[from])\n fldt (%[from])\n" SPIN
                 "fstpt (%[to])\n fstpt 16(%[to])\n fstpt 32(%[to])\n fstpt 48(%[to])\n"
                 "fstpt 64(%[to])\n fstpt 80(%[to])\n fstpt 96(%[to])\n fstpt 112(%[to])\n"
                 "fnstcw %[seen]\n"
                 "fldcw %[before]\n"
                 : [seen] "=m"(control_seen)
                 : [from] "r"(wanted), [to] "r"(seen), [spins] "i"(SPINS), [control] "m"(control),
                   [before] "m"(control_before)
                 : "ecx", "memory", "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)");
    for (int i = 0; i < 8; i++) expect(seen[i] == wanted[i], "st(%d) changed", i);
    expect(control_seen == control, "x87 control word changed to %x", control_seen);
}

/// CPUID leaf 7, ECX bit 4: the kernel has enabled them (OSPKE).
static bool has_protection_keys(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && c & 1u << 4;
}

static struct patterns *new_patterns(uint64_t seed) {
    struct patterns *p = aligned_alloc(64, sizeof *p);
    if (!p) cannot_prepare("patterns");
    fill_pattern(p->wanted, sizeof p->wanted, seed);
    return p;
}

static void *sse_thread(void *number) {
    struct patterns *p = new_patterns(1000 + (uintptr_t)number);
    for (;; counters[(uintptr_t)number]++) spin_sse(p);
    return NULL;
}

static void *wide_thread(void *number) {
    struct patterns *p = new_patterns(2000 + (uintptr_t)number);
    bool widest = __builtin_cpu_supports("avx512bw"), wide = __builtin_cpu_supports("avx");
    for (;; counters[(uintptr_t)number]++) widest ? spin_avx512(p) : wide ? spin_avx(p) : spin_sse(p);
    return NULL;
}

static void *x87_thread(void *number) {
    long double wanted[8];
    for (int i = 0; i < 8; i++) wanted[i] = 1.0L / (3 + i + 8 * (int)(uintptr_t)number);
    for (;; counters[(uintptr_t)number]++) spin_x87(wanted);
    return NULL;
}

/// Masks and protection keys where there are any, in turns; else vectors.
static void *special_thread(void *number) {
    uint64_t masks[8];
    fill_pattern(masks, sizeof masks, 3000 + (uintptr_t)number);
    struct patterns *p = new_patterns(3000 + (uintptr_t)number);
    bool has_masks = __builtin_cpu_supports("avx512bw"), has_keys = has_protection_keys();
    for (;; counters[(uintptr_t)number]++) {
        if (has_masks) spin_masks(masks);
        if (has_keys) spin_keys((uint32_t)masks[0] & ~3u);
        if (!has_masks && !has_keys) spin_sse(p);
    }
    return NULL;
}

/// Keeps rounding towards zero with flush-to-zero in mxcsr, and a segment base of its own in gs.
static void *control_thread(void *number) {
    static _Thread_local uint64_t local, pointed;
    local = 0xabcdef00 + (uintptr_t)number;
    pointed = 0x1234567800 + (uintptr_t)number;
    if (syscall(SYS_arch_prctl, ARCH_SET_GS, &pointed)) cannot_prepare("gs base");
    uint32_t wanted = 0xff80, seen;
    asm volatile("ldmxcsr %0" : : "m"(wanted));
    for (;; counters[(uintptr_t)number]++) {
        uint64_t through_gs;
        for (int i = 0; i < SPINS / 10; i++) {
            asm volatile("stmxcsr %0\n mov %%gs:0, %1" : "=m"(seen), "=r"(through_gs));
            if (seen != wanted || through_gs != pointed || local != 0xabcdef00 + (uintptr_t)number) break;
        }
        // The exception flags of mxcsr (its low six bits) are sticky and may be set by the C library.
        expect((seen & ~0x3fu) == wanted, "mxcsr changed to %x", seen);
        expect(through_gs == pointed, "gs base changed");
        expect(local == 0xabcdef00 + (uintptr_t)number, "fs base changed");
    }
    return NULL;
}

int run_vectors(int count, char **arguments) {
    (void)count, (void)arguments;
    void *(*bodies[])(void *) = {sse_thread, wide_thread, x87_thread, control_thread, special_thread};
    static const char *const names[] = {"sse", "wide", "x87", "control", "special"};
    for (uintptr_t i = 0; i < KINDS * THREADS; i++) start_thread(bodies[i / THREADS], (void *)i);
    for (int i = 0; i < KINDS * THREADS; i++) expect_progress(names[i / THREADS], &counters[i], 1);
    say_ready();
    wait_for_finish();
    for (int i = 0; i < KINDS * THREADS; i++) expect_progress(names[i / THREADS], &counters[i], 3);
    return verdict("vectors");
}
#elif !defined(__i386__)
int run_vectors(int count, char **arguments) {
    (void)count, (void)arguments;
    say_ready();
    wait_for_finish();
    return verdict("vectors");
}
#endif
