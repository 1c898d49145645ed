#define _GNU_SOURCE
#include "CKernel.h"

#include <errno.h>

#if defined(__x86_64__)
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/// arch_prctl(2), asm/prctl.h.
#define ARCH_MAP_VDSO_32 0x2002

/// What the child tells its parent through shared memory; `code` follows.
struct answer {
    long mapped;
    uint32_t data_size;
    int called;
    unsigned char code[];
};

/// Bytes that are mapped from `place` on, in whole pages, at most `limit`.
static size_t mapped_from(uint64_t place, size_t limit) {
    unsigned char resident;
    size_t size = 0;
    while (size < limit && syscall(SYS_mincore, place + size, 4096, &resident) == 0) size += 4096;
    return size;
}

/// Runs in the child, whose vdso is unmapped: nothing here may read a clock through it.
static void probe(struct answer *answer, size_t capacity) {
    // The kernel maps at the given address only if nothing is mapped there: look for such a place.
    const size_t most = 1 << 20;
    uint64_t place = 0x20000000;
    while (mapped_from(place, most) != 0 || mapped_from(place + most - 4096, 4096) != 0) place += most;
    answer->mapped = syscall(SYS_arch_prctl, ARCH_MAP_VDSO_32, place);
    if (answer->mapped < 0) {
        answer->mapped = -errno;
        return;
    }
    // The data come first, then the code.
    size_t total = mapped_from(place, most), size = (size_t)answer->mapped;
    if (total < size || size > capacity) {
        answer->mapped = -ENOSPC;
        return;
    }
    answer->data_size = (uint32_t)(total - size);
    memcpy(answer->code, (const unsigned char *)place + answer->data_size, size);
    // getpid of the i386 table. Where the kernel refuses such calls the child gets SIGSEGV and ends.
    long pid = 20;
    __asm__ volatile("int $0x80" : "+a"(pid) : : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
    answer->called = pid == getpid();
}

long ckernel_probe_vdso32(const uint64_t (*parts)[2], size_t count, void *out, size_t capacity, uint32_t *data_size) {
    size_t size = sizeof(struct answer) + capacity;
    struct answer *answer = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (answer == MAP_FAILED) return -errno;
    answer->mapped = -ENOSYS;
    long child = syscall(SYS_clone, 0, 0, 0, 0, 0);
    if (child == 0) {
        for (size_t i = 0; i < count; i++) munmap((void *)parts[i][0], parts[i][1] - parts[i][0]);
        signal(SIGSEGV, SIG_DFL);
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        probe(answer, capacity);
        syscall(SYS_exit_group, 0);
    }
    long result = child < 0 ? -errno : 0;
    if (child > 0) {
        while (waitpid((pid_t)child, NULL, __WALL) < 0 && errno == EINTR) {}
        result = answer->mapped > 0 && !answer->called ? -ENOSYS : answer->mapped;
        if (result > 0) {
            memcpy(out, answer->code, (size_t)result);
            *data_size = answer->data_size;
        }
    }
    munmap(answer, size);
    return result;
}
#else
long ckernel_probe_vdso32(const uint64_t (*parts)[2], size_t count, void *out, size_t capacity, uint32_t *data_size) {
    (void)parts, (void)count, (void)out, (void)capacity, (void)data_size;
    return -ENOSYS;
}
#endif
