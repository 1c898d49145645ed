#include "CKernelFault.h"

uint32_t ckernel_fault_count;

static struct {
    uint32_t left;
    int error;
} points[CKERNEL_FAULT_POINTS];

void ckernel_fault_set(uint32_t point, uint32_t passage, int error) {
    if (point >= CKERNEL_FAULT_POINTS) return;
    points[point].left = passage;
    points[point].error = error;
    ckernel_fault_count++;
}

int ckernel_fault_pass(uint32_t point) {
    if (point >= CKERNEL_FAULT_POINTS || points[point].error == 0) return 0;
    return __atomic_sub_fetch(&points[point].left, 1, __ATOMIC_RELAXED) == 0 ? points[point].error : 0;
}
