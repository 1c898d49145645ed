// A thread that ends the process when the time is over, whatever call the other thread is stuck in.
#pragma once
#include <stdint.h>

/// Blocks every signal but those of faults in the calling thread and starts the thread. 0, or minus errno.
/// Called once. Nothing here is freed: the thread lives as long as the process.
int ckernel_watch_start(void);

/// From this point of CLOCK_MONOTONIC on the process is to be ended with `status`; 0: never.
void ckernel_watch_limit(int64_t deadline, int status);

/// What is written to standard error at the deadline, or when a signal was not heeded in time. Cut to 1,000 bytes.
void ckernel_watch_words(int interrupted, const char *bytes, uint32_t count);

/// The signal that asked this process to end; 0: none. SIGHUP, SIGINT, SIGQUIT and SIGTERM count, but not where the
/// kernel sends them to tell of the end of a child or of a traced task.
int ckernel_watch_signal(void);

/// Nanoseconds that a signal may go unheeded before the process is ended; 0: for ever.
void ckernel_watch_grace(int64_t nanoseconds);
