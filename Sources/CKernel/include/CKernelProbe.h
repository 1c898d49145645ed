// Questions about processes, files and the host. Every function returns a value or minus errno.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/// fstatat(2) of `path` from `directory`, or with AT_EMPTY_PATH of the descriptor itself.
int ckernel_fstatat(int directory, const char *path, int flags, struct stat *status);

/// Index of the first occurrence of `needle`, or -1. memmem(3).
long ckernel_find(const void *haystack, size_t length, const void *needle, size_t needle_length);

/// Auxiliary vector entry of this process, 0 where there is none. getauxval(3).
uint64_t ckernel_auxiliary_value(uint64_t type);

/// linux/fs.h, `struct page_region` and `struct pm_scan_arg`, which linux-libc-dev 6.1 lacks.
struct ckernel_page_region {
    uint64_t start, end, categories;
};

enum : uint64_t {
    CKERNEL_PAGE_IS_FILE = 1 << 2,
    CKERNEL_PAGE_IS_PRESENT = 1 << 3,
    CKERNEL_PAGE_IS_SWAPPED = 1 << 4,
    CKERNEL_PAGE_IS_ZERO_FRAME = 1 << 5,
    CKERNEL_PAGE_IS_GUARD = 1 << 8,
};

/// ioctl(PAGEMAP_SCAN) over [start, end): pages that have all of `required` and none of `excluded` and, if
/// `any` is not 0, one of `any`. Regions differ in their categories among `told`, which they tell. Returns the number
/// of regions; `*walk_end` is where to go on.
long ckernel_pagemap_scan(int pagemap, uint64_t start, uint64_t end, uint64_t required, uint64_t excluded,
                          uint64_t any, uint64_t told, struct ckernel_page_region *regions, uint64_t count,
                          uint64_t *walk_end);

/// ioctl(PAGEMAP_SCAN) over [start, end) of tracked memory: with `protect` the pages in memory, each of which counts as not written from
/// then on; else the pages in memory that were not written since. EPERM: some of the range is not tracked.
long ckernel_pagemap_track(int pagemap, uint64_t start, uint64_t end, bool protect, struct ckernel_page_region *regions,
                           uint64_t count, uint64_t *walk_end);

/// linux/sched/types.h, `struct sched_attr`.
struct ckernel_sched_attr {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t utilization_min, utilization_max;
};

/// bpf(BPF_PROG_LOAD) of a program that bpf(BPF_PROG_TEST_RUN) runs (`BPF_PROG_TYPE_SYSCALL`, Linux 5.14). Returns a descriptor.
int ckernel_bpf_load_call(const uint64_t *instructions, uint32_t count);

/// Runs such a program; it reads and writes the `size` bytes of `context`.
int ckernel_bpf_run(int program, void *context, uint32_t size);

/// bpf(BPF_BTF_LOAD) of `size` bytes of type description. Returns a descriptor.
int ckernel_bpf_load_types(const void *types, uint32_t size);
/// bpf(BPF_MAP_CREATE) of an array with one entry of 8 bytes for each processor. Returns a descriptor.
int ckernel_bpf_make_per_cpu(void);

/// bpf(BPF_PROG_LOAD) of a task iterator (`BPF_TRACE_ITER`) of `count` instructions of 8 bytes, for the
/// kernel function with BTF id `function`. `functions`: two numbers for each of `function_count` functions
/// (`struct bpf_func_info`), whose types are in the description `types`; with a count of 0 neither is looked at.
/// Returns a descriptor.
int ckernel_bpf_load_iterator(const uint64_t *instructions, uint32_t count, uint32_t function, int types,
                              const uint32_t *functions, uint32_t function_count);

/// bpf(BPF_LINK_CREATE) of a loaded iterator: over one task, over one process, or over all (both 0).
int ckernel_bpf_link_iterator(int program, uint32_t task, uint32_t process);

/// bpf(BPF_ITER_CREATE): a descriptor whose read(2) runs the program.
int ckernel_bpf_start_iterator(int link);
