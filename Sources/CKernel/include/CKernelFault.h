// Named fault points, switched on by an environment variable: see Sources/Kernel/FaultPoint.swift.
#pragma once
#include <stdint.h>

enum { CKERNEL_FAULT_POINTS = 256 };

/// Whether any point is set. Written once, before there are threads; a forked child has a copy.
extern uint32_t ckernel_fault_count;

static inline uint32_t ckernel_faults_set(void) { return ckernel_fault_count; }

/// The passage with this number through a point, counted from 1, fails with `error`, a positive errno.
void ckernel_fault_set(uint32_t point, uint32_t passage, int error);

/// Counts one passage: 0, or the errno it is to fail with. Any thread.
int ckernel_fault_pass(uint32_t point);
