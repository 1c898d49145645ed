// Calls on a socket that are made together: one system call makes all of them.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// An io_uring of this process.
struct ckernel_ring {
    int descriptor;
    char *rings;
    size_t rings_size;
    char *requests;
    size_t requests_size;
    uint32_t request_tail, request_mask, request_array, answer_head, answer_tail, answer_mask, answers;
};

enum { CKERNEL_RING_CALLS = 8 };

/// One call: `setsockopt(socket, level, option, memory, size)`, or if `level` is 0 `recv(socket, memory, size, option)`.
struct ckernel_ring_call {
    uint32_t level, option;
    void *memory;
    uint32_t size;
    /// What it returned, or minus errno.
    int32_t result;
};

/// 0, or minus errno; then there is nothing to close.
int ckernel_ring_open(struct ckernel_ring *ring);

/// Makes up to CKERNEL_RING_CALLS calls on one socket, in order, within one system call: SIGKILL takes effect behind it. No call may be
/// one that waits. A call that was not made has the result INT32_MIN. 0, or minus errno.
int ckernel_ring_run(struct ckernel_ring *ring, int socket, struct ckernel_ring_call *calls, uint32_t count);

/// Whether it was opened or not.
void ckernel_ring_close(struct ckernel_ring *ring);
