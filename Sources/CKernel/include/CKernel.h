// System calls and structures that the Glibc module of Swift lacks. Every function returns what the
// kernel returned: a value, or minus errno. Nothing here allocates or decides.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include "CKernelFault.h"
#include "CKernelProbe.h"
#include "CKernelRing.h"
#include "CKernelWatch.h"

/// syscall(2) without errno: the raw result.
long ckernel_syscall(long number, long a, long b, long c, long d, long e, long f);

/// ptrace(2), raw: no errno, PEEK requests excluded.
long ckernel_ptrace(long request, long task, unsigned long address, unsigned long data);

/// prctl(2), raw.
long ckernel_prctl(long option, long a, long b, long c, long d);

/// wait4(2), raw: pid, 0 with WNOHANG and nothing there, or minus errno.
long ckernel_wait4(long task, int *status, int options);

/// PTRACE_PEEKSIGINFO: how many entries were written from `index` on, 128 bytes each, `count` at most; or minus errno.
long ckernel_peek_siginfo(long task, uint64_t index, int shared, int count, void *siginfo);

/// struct ptrace_rseq_configuration.
struct ckernel_rseq_configuration {
    uint64_t address;
    uint32_t size;
    uint32_t signature;
    uint32_t flags;
    uint32_t padding;
};

/// struct ptrace_sud_config.
struct ckernel_user_dispatch {
    uint64_t mode, selector, offset, length;
};

/// struct clone_args, the version with set_tid and cgroup.
struct ckernel_clone_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        set_tid_size, cgroup;
};

/// One step; see steploop_x86_64.S. The loops of other architectures take the same.
struct ckernel_step {
    int64_t number;
    uint64_t argument[6];
    int64_t result;
    uint32_t check;
    uint32_t references;
    int64_t expected;
};

extern const unsigned char ckernel_steploop_start[], ckernel_steploop_end[];
extern const unsigned char ckernel_stub_start[], ckernel_stub_end[], ckernel_stub_entry[], ckernel_stub_home[],
    ckernel_stub_far[];

static inline const unsigned char *ckernel_steploop_bytes(void) { return ckernel_steploop_start; }
static inline size_t ckernel_steploop_size(void) { return (size_t)(ckernel_steploop_end - ckernel_steploop_start); }
static inline const unsigned char *ckernel_stub_bytes(void) { return ckernel_stub_start; }
static inline size_t ckernel_stub_size(void) { return (size_t)(ckernel_stub_end - ckernel_stub_start); }
static inline size_t ckernel_stub_entry_offset(void) { return (size_t)(ckernel_stub_entry - ckernel_stub_start); }
static inline size_t ckernel_stub_home_offset(void) { return (size_t)(ckernel_stub_home - ckernel_stub_start); }
#if defined(__aarch64__)
/// The instruction to write a branch home over; see steploop_aarch64.S.
extern const unsigned char ckernel_stub_branch[];
static inline size_t ckernel_stub_branch_offset(void) { return (size_t)(ckernel_stub_branch - ckernel_stub_start); }
#endif

static inline size_t ckernel_stub_far_offset(void) { return (size_t)(ckernel_stub_far - ckernel_stub_start); }

/// Makes a child that gives up its vdso for the 32-bit one (arch_prctl, ARCH_MAP_VDSO_32) and copies what
/// it got to `out`, shared memory of `capacity` bytes; then makes a system call by int $0x80. Returns the
/// bytes of code, or minus errno: EINVAL or ENOSYS where this kernel runs no 32-bit programs.
/// `parts` is where this process has its own vdso and its data, `*data_size` gets the bytes of data before
/// the 32-bit one.
long ckernel_probe_vdso32(const uint64_t (*parts)[2], size_t count, void *out, size_t capacity, uint32_t *data_size);

/// clone3 whose child enters the step loop at `loop` with `program` and `slot`; returns in the parent only.
long ckernel_clone3_into_loop(const struct ckernel_clone_args *args, size_t size, uint64_t program, uint64_t slot,
                              uint64_t loop);
/// The same by clone, whose flags have the end signal in their lowest byte.
long ckernel_clone_into_loop(uint64_t flags, uint64_t program, uint64_t slot, uint64_t loop);

/// The calling thread's rseq area as glibc registered it; size 0 if it did not.
uint64_t ckernel_own_rseq_address(void);
uint32_t ckernel_own_rseq_size(void);
uint32_t ckernel_own_rseq_signature(void);

/// The atomic words of shared memory, sequentially consistent.
uint32_t ckernel_load32(const void *word);
void ckernel_store32(void *word, uint32_t value);

/// Which of the descriptors 0, 1 and 2 (as bits) were closed when this process started. A constructor has opened /dev/null there.
uint32_t ckernel_closed_at_start(void);

/// cpuid of one leaf: writes eax, ebx, ecx, edx. All zero on other architectures.
void ckernel_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t out[4]);
