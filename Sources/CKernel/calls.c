#define _GNU_SOURCE
#include "CKernel.h"

#include <errno.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

long ckernel_syscall(long number, long a, long b, long c, long d, long e, long f) {
    long result = syscall(number, a, b, c, d, e, f);
    return result == -1 ? -errno : result;
}

long ckernel_ptrace(long request, long task, unsigned long address, unsigned long data) {
    return ckernel_syscall(SYS_ptrace, request, task, (long)address, (long)data, 0, 0);
}

long ckernel_prctl(long option, long a, long b, long c, long d) {
    return ckernel_syscall(SYS_prctl, option, a, b, c, d, 0);
}

long ckernel_wait4(long task, int *status, int options) {
    return ckernel_syscall(SYS_wait4, task, (long)status, options, 0, 0, 0);
}

long ckernel_peek_siginfo(long task, uint64_t index, int shared, int count, void *siginfo) {
    struct {
        uint64_t offset;
        uint32_t flags;
        int32_t count;
    } arguments = {index, shared ? 1u : 0u, count};
    return ckernel_ptrace(PTRACE_PEEKSIGINFO, task, (unsigned long)&arguments, (unsigned long)siginfo);
}

uint64_t ckernel_own_rseq_address(void) {
    return (uint64_t)((char *)__builtin_thread_pointer() + __rseq_offset);
}

uint32_t ckernel_own_rseq_size(void) {
    // The kernel wants the size that was registered; glibc 2.36 registers 32 and reports how much is in use.
    return __rseq_size ? 32 : 0;
}

uint32_t ckernel_own_rseq_signature(void) { return RSEQ_SIG; }

uint32_t ckernel_load32(const void *word) { return __atomic_load_n((const uint32_t *)word, __ATOMIC_SEQ_CST); }

void ckernel_store32(void *word, uint32_t value) { __atomic_store_n((uint32_t *)word, value, __ATOMIC_SEQ_CST); }

void ckernel_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]) {
    out[0] = out[1] = out[2] = out[3] = 0;
#if defined(__x86_64__)
    __cpuid_count(leaf, subleaf, out[0], out[1], out[2], out[3]);
#else
    (void)leaf;
    (void)subleaf;
#endif
}
