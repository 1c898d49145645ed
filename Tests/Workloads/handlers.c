// Property: a signal handler that sleeps returns to where it has interrupted its thread, however often a checkpoint was killed meanwhile.
#include "workload.h"

static volatile sig_atomic_t handled;
static long sleeps_ms;

static void on_signal(int number) {
    (void)number;
    struct timespec left = {sleeps_ms / 1000, sleeps_ms % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0) {}
    handled++;
}

/// Arguments: milliseconds that the handler of SIGUSR1 sleeps, and how often it is to have run in the end.
int run_handlers(int count, char **arguments) {
    sleeps_ms = count > 0 ? atol(arguments[0]) : 700;
    int wanted = count > 1 ? atoi(arguments[1]) : 1;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    say_ready();
    uint64_t sum = 0, steps = 0;
    while (!finish_wanted()) {
        // Something in registers, and a call that a signal interrupts.
        for (int i = 0; i < 1000; i++) sum += (uint64_t)i ^ steps;
        steps++;
        struct timespec nap = {0, 2000000};
        nanosleep(&nap, NULL);
    }
    uint64_t right = 0;
    for (uint64_t step = 0; step < steps; step++)
        for (int i = 0; i < 1000; i++) right += (uint64_t)i ^ step;
    expect(sum == right, "the sum is wrong");
    expect(handled >= wanted, "the handler has run %d times, not %d", (int)handled, wanted);
    return verdict("handlers");
}
