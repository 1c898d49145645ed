#define _GNU_SOURCE
#include "CKernelProbe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int ckernel_fstatat(int directory, const char *path, int flags, struct stat *status) {
    return fstatat(directory, path, status, flags) == 0 ? 0 : -errno;
}

long ckernel_find(const void *haystack, size_t length, const void *needle, size_t needle_length) {
    const char *found = memmem(haystack, length, needle, needle_length);
    return found ? found - (const char *)haystack : -1;
}

uint64_t ckernel_auxiliary_value(uint64_t type) { return getauxval(type); }

struct scan_argument {
    uint64_t size, flags, start, end, walk_end, regions, region_count, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

long ckernel_pagemap_scan(int pagemap, uint64_t start, uint64_t end, uint64_t required, uint64_t excluded,
                          uint64_t any, uint64_t told, struct ckernel_page_region *regions, uint64_t count,
                          uint64_t *walk_end) {
    struct scan_argument argument = {
        .size = sizeof argument,
        .start = start,
        .end = end,
        .regions = (uintptr_t)regions,
        .region_count = count,
        .category_inverted = excluded,
        .category_mask = required | excluded,
        .category_anyof_mask = any,
        .return_mask = told,
    };
    int result = ioctl(pagemap, _IOWR('f', 16, struct scan_argument), &argument);
    *walk_end = argument.walk_end;
    return result < 0 ? -errno : result;
}

// Flags and a category of PAGEMAP_SCAN: not in older headers.
enum { SCAN_WP_MATCHING = 1, SCAN_CHECK_WPASYNC = 2, PAGE_IS_WRITTEN_TO = 1 << 1 };

long ckernel_pagemap_track(int pagemap, uint64_t start, uint64_t end, bool protect, struct ckernel_page_region *regions,
                           uint64_t count, uint64_t *walk_end) {
    struct scan_argument argument = {
        .size = sizeof argument,
        .flags = SCAN_CHECK_WPASYNC | (protect ? SCAN_WP_MATCHING : 0),
        .start = start,
        .end = end,
        .regions = (uintptr_t)regions,
        .region_count = count,
        .category_inverted = protect ? 0 : PAGE_IS_WRITTEN_TO,
        .category_mask = CKERNEL_PAGE_IS_PRESENT | (protect ? 0 : PAGE_IS_WRITTEN_TO),
        .return_mask = CKERNEL_PAGE_IS_PRESENT,
    };
    int result = ioctl(pagemap, _IOWR('f', 16, struct scan_argument), &argument);
    *walk_end = argument.walk_end;
    return result < 0 ? -errno : result;
}

static int bpf(int command, union bpf_attr *attributes) {
    int result = syscall(SYS_bpf, command, attributes, sizeof *attributes);
    return result < 0 ? -errno : result;
}

int ckernel_bpf_load_types(const void *types, uint32_t size) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.btf = (uintptr_t)types;
    attributes.btf_size = size;
    return bpf(BPF_BTF_LOAD, &attributes);
}

int ckernel_bpf_load_iterator(const uint64_t *instructions, uint32_t count, uint32_t function, int types,
                              const uint32_t *functions, uint32_t function_count) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.prog_type = BPF_PROG_TYPE_TRACING;
    attributes.expected_attach_type = BPF_TRACE_ITER;
    attributes.attach_btf_id = function;
    attributes.insns = (uintptr_t)instructions;
    attributes.insn_cnt = count;
    attributes.license = (uintptr_t) "GPL";
    if (function_count) {
        attributes.prog_btf_fd = types;
        attributes.func_info = (uintptr_t)functions;
        attributes.func_info_rec_size = 2 * sizeof *functions;
        attributes.func_info_cnt = function_count;
    }
    return bpf(BPF_PROG_LOAD, &attributes);
}

int ckernel_bpf_load_call(const uint64_t *instructions, uint32_t count) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.prog_type = BPF_PROG_TYPE_SYSCALL;
    attributes.insns = (uintptr_t)instructions;
    attributes.insn_cnt = count;
    attributes.license = (uintptr_t) "GPL";
    attributes.prog_flags = BPF_F_SLEEPABLE;
    return bpf(BPF_PROG_LOAD, &attributes);
}

int ckernel_bpf_run(int program, void *context, uint32_t size) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.test.prog_fd = program;
    attributes.test.ctx_in = (uintptr_t)context;
    attributes.test.ctx_size_in = size;
    return bpf(BPF_PROG_TEST_RUN, &attributes);
}

int ckernel_bpf_make_per_cpu(void) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.map_type = BPF_MAP_TYPE_PERCPU_ARRAY;
    attributes.key_size = 4;
    attributes.value_size = 8;
    attributes.max_entries = 1;
    return bpf(BPF_MAP_CREATE, &attributes);
}

int ckernel_bpf_link_iterator(int program, uint32_t task, uint32_t process) {
    // union bpf_iter_link_info: tid, pid, pid_fd.
    uint32_t which[3] = {task, process, 0};
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.link_create.prog_fd = program;
    attributes.link_create.attach_type = BPF_TRACE_ITER;
    if (task || process) {
        attributes.link_create.iter_info = (uintptr_t)which;
        attributes.link_create.iter_info_len = sizeof which;
    }
    return bpf(BPF_LINK_CREATE, &attributes);
}

int ckernel_bpf_start_iterator(int link) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.iter_create.link_fd = link;
    return bpf(BPF_ITER_CREATE, &attributes);
}
