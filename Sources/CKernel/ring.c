#define _GNU_SOURCE
#include "CKernelRing.h"
#include "CKernel.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>

// linux/io_uring.h of Linux 6.7: the one of 6.1 lacks them.
enum { socketSetOption = 3, setupSubmitAll = 1 << 7 };

// struct io_uring_sqe of Linux 6.7, as IORING_OP_URING_CMD and IORING_OP_RECV read it.
struct request {
    uint8_t operation, flags;
    uint16_t priority;
    int32_t descriptor;
    uint32_t command, padding;
    union {
        struct {
            uint32_t level, option;
        };
        uint64_t address;
    };
    uint32_t size, receiveFlags;
    uint64_t data;
    uint32_t buffer, optionSize;
    uint64_t option_value, rest;
};
_Static_assert(sizeof(struct request) == 64 && sizeof(struct io_uring_sqe) == 64, "struct io_uring_sqe");

static uint32_t *word(struct ckernel_ring *ring, uint32_t offset) { return (uint32_t *)(ring->rings + offset); }

int ckernel_ring_open(struct ckernel_ring *ring) {
    struct io_uring_params parameters = {.flags = setupSubmitAll};
    *ring = (struct ckernel_ring){.descriptor = -1};
    long made = ckernel_syscall(SYS_io_uring_setup, CKERNEL_RING_CALLS, (long)&parameters, 0, 0, 0, 0);
    if (made < 0) return (int)made;
    ring->descriptor = (int)made;
    if (!(parameters.features & IORING_FEAT_SINGLE_MMAP)) {
        ckernel_ring_close(ring);
        return -EOPNOTSUPP;
    }
    size_t requests = parameters.sq_off.array + parameters.sq_entries * sizeof(uint32_t);
    size_t answers = parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe);
    ring->rings_size = requests > answers ? requests : answers;
    ring->requests_size = parameters.sq_entries * sizeof(struct request);
    void *rings = mmap(NULL, ring->rings_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->descriptor, IORING_OFF_SQ_RING);
    if (rings != MAP_FAILED) ring->rings = rings;
    void *list = mmap(NULL, ring->requests_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->descriptor, IORING_OFF_SQES);
    if (list != MAP_FAILED) ring->requests = list;
    if (!ring->rings || !ring->requests) {
        ckernel_ring_close(ring);
        return -ENOMEM;
    }
    ring->request_tail = parameters.sq_off.tail;
    ring->request_mask = parameters.sq_off.ring_mask;
    ring->request_array = parameters.sq_off.array;
    ring->answer_head = parameters.cq_off.head;
    ring->answer_tail = parameters.cq_off.tail;
    ring->answer_mask = parameters.cq_off.ring_mask;
    ring->answers = parameters.cq_off.cqes;
    return 0;
}

int ckernel_ring_run(struct ckernel_ring *ring, int socket, struct ckernel_ring_call *calls, uint32_t count) {
    if (count > CKERNEL_RING_CALLS) return -EINVAL;
    uint32_t tail = *word(ring, ring->request_tail), mask = *word(ring, ring->request_mask);
    for (uint32_t index = 0; index < count; index++) {
        struct ckernel_ring_call *call = &calls[index];
        call->result = INT32_MIN;
        struct request request = {.descriptor = socket, .data = index};
        if (call->level) {
            request.operation = IORING_OP_URING_CMD;
            request.command = socketSetOption;
            request.level = call->level;
            request.option = call->option;
            request.optionSize = call->size;
            request.option_value = (uintptr_t)call->memory;
        } else {
            request.operation = IORING_OP_RECV;
            request.address = (uintptr_t)call->memory;
            request.size = call->size;
            request.receiveFlags = call->option;
        }
        uint32_t place = (tail + index) & mask;
        memcpy(ring->requests + place * sizeof request, &request, sizeof request);
        word(ring, ring->request_array)[place] = place;
    }
    __atomic_store_n(word(ring, ring->request_tail), tail + count, __ATOMIC_RELEASE);
    long entered = ckernel_syscall(SYS_io_uring_enter, ring->descriptor, count, 0, 0, 0, 0);
    uint32_t head = *word(ring, ring->answer_head);
    uint32_t end = __atomic_load_n(word(ring, ring->answer_tail), __ATOMIC_ACQUIRE);
    for (; head != end; head++) {
        struct io_uring_cqe answer;
        memcpy(&answer, ring->rings + ring->answers + (head & *word(ring, ring->answer_mask)) * sizeof answer, sizeof answer);
        if (answer.user_data < count) calls[answer.user_data].result = answer.res;
    }
    __atomic_store_n(word(ring, ring->answer_head), head, __ATOMIC_RELEASE);
    return entered < 0 ? (int)entered : entered < count ? -EAGAIN : 0;
}

void ckernel_ring_close(struct ckernel_ring *ring) {
    if (ring->rings) munmap(ring->rings, ring->rings_size);
    if (ring->requests) munmap(ring->requests, ring->requests_size);
    if (ring->descriptor >= 0) ckernel_syscall(SYS_close, ring->descriptor, 0, 0, 0, 0, 0);
    *ring = (struct ckernel_ring){.descriptor = -1};
}
