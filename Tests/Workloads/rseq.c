// Property: a restartable sequence never commits after an interruption. Each section notes the time at its
// begin, works, and commits the time at its end: a committed section that took long was interrupted.
#include <sys/rseq.h>
#include "workload.h"

#define SIGNATURE 0x53053053
// The section has been committed at 2; the abort handler stands at 4, behind its signature.
#define SECTION_END \
    "2: jmp 5f\n" \
    ".byte 0x0f, 0xb9, 0x3d\n" \
    ".long 0x53053053\n" \
    "4: jmp %l[aborted]\n" \
    "5:\n"
static _Atomic uint64_t commits, aborts, started;
static const uint64_t longest_ns = 100000000;

static uint64_t ticks(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static void *work(void *argument) {
    const uint64_t bound = *(const uint64_t *)argument;
    struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
    for (;;) {
        started++;
#if defined(__i386__)
        // The low words are enough: they go round in more than a second.
        uint32_t times[2] = {0, 0};
        __asm__ volatile goto(
            ".pushsection __rseq_table, \"aw\"\n"
            ".balign 32\n"
            "9: .long 0, 0, 1f, 0, 2f - 1f, 0, 4f, 0\n"
            ".popsection\n"
            "call 6f\n"
            "6: popl %%eax\n"
            "leal 9b - 6b(%%eax), %%eax\n"
            "movl %%eax, %c[cs](%[area])\n"
            "1: rdtsc\n"
            "movl %%eax, %%esi\n"
            "movl $3000000, %%ecx\n"
            "3: decl %%ecx\n"
            "jnz 3b\n"
            "rdtsc\n"
            "movl %%esi, (%[times])\n"
            "movl %%eax, 4(%[times])\n"
            SECTION_END
            :
            : [area] "r"(area), [cs] "i"(offsetof(struct rseq, rseq_cs)), [times] "r"(times)
            : "eax", "ecx", "edx", "esi", "memory", "cc"
            : aborted);
        uint64_t begin = 0, end = times[1] - times[0];
#else
        uint64_t begin = 0, end = 0;
        __asm__ volatile goto(
            ".pushsection __rseq_table, \"aw\"\n"
            ".balign 32\n"
            "9: .long 0, 0\n"
            ".quad 1f, 2f - 1f, 4f\n"
            ".popsection\n"
            "leaq 9b(%%rip), %%rax\n"
            "movq %%rax, %c[cs](%[area])\n"
            "1: rdtsc\n"
            "shlq $32, %%rdx\n"
            "orq %%rdx, %%rax\n"
            "movq %%rax, %%r8\n"
            "movq $3000000, %%rcx\n"
            "3: decq %%rcx\n"
            "jnz 3b\n"
            "rdtsc\n"
            "shlq $32, %%rdx\n"
            "orq %%rdx, %%rax\n"
            "movq %%r8, (%[begin])\n"
            "movq %%rax, (%[end])\n"
            SECTION_END
            :
            : [area] "r"(area), [cs] "i"(offsetof(struct rseq, rseq_cs)), [begin] "r"(&begin), [end] "r"(&end)
            : "rax", "rcx", "rdx", "r8", "memory", "cc"
            : aborted);
#endif
        commits++;
        if (end - begin > bound) fail("a section of %llu ticks committed", (unsigned long long)(end - begin));
        continue;
    aborted:
        aborts++;
    }
    return NULL;
}

int run_rseq(int count, char **arguments) {
    size_t mebibytes = count > 0 ? (size_t)atol(arguments[0]) : 0;
    if (__rseq_size == 0) cannot_prepare("restartable sequences (glibc 2.35, rseq(2))");
    // The longest time that a section can take, in ticks. A checkpoint of this much memory takes longer.
    int64_t from = now_ns();
    uint64_t first = ticks();
    nap_ms(100);
    static uint64_t bound;
    bound = (uint64_t)((double)(ticks() - first) * (double)longest_ns / (double)(now_ns() - from));
    if (mebibytes > 0) fill_pattern(shared_memory(mebibytes << 20), mebibytes << 20, 7);
    start_thread(work, &bound);
    start_thread(work, &bound);
    expect_progress("commits", &commits, 10);
    say_ready();
    wait_for_finish();
    expect_progress("commits", &commits, 10);
    return verdict("rseq");
}
