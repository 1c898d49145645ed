// Property: hardware breakpoints that a debugger has left in a process still hit. A parent sets two of them in its
// child (a write to a word, and the execution of a function) and detaches; the child counts the hits.
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include "workload.h"

static volatile uint32_t watched;
static volatile sig_atomic_t hits;
static _Atomic uint64_t *rounds;

static void count_hit(int signal, siginfo_t *info, void *context) {
    (void)signal;
    hits++;
    // An execution breakpoint hits before the instruction: the resume flag lets it pass.
    ucontext_t *state = context;
    if (info->si_code == 4) state->uc_mcontext.gregs[REG_EFL] |= 0x10000;  // TRAP_HWBKPT
}

__attribute__((noinline)) static void marked(void) { __asm__ volatile("nop" ::: "memory"); }

static void child(void) {
    struct sigaction action = {.sa_sigaction = count_hit, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    raise(SIGSTOP);
    // The parent decides when to end: it counts the child's rounds once more before.
    while (rounds[1] == 0) {
        for (int i = 0; i < 1000; i++) {
            sig_atomic_t before = hits;
            watched = (uint32_t)i;
            if (hits != before + 1) fail("a write hit %d times", (int)(hits - before));
            before = hits;
            marked();
            if (hits != before + 1) fail("an execution hit %d times", (int)(hits - before));
            if (hits > 1000000) hits = 0;
        }
        (*rounds)++;
    }
    _exit(0);
}

static void poke(pid_t task, int number, uintptr_t value) {
    if (ptrace(PTRACE_POKEUSER, task, offsetof(struct user, u_debugreg) + (size_t)number * sizeof(long), value) != 0)
        cannot_prepare("hardware breakpoints");
}

int run_breakpoints(int count, char **arguments) {
    (void)count, (void)arguments;
    rounds = shared_memory(4096);
    pid_t task = fork();
    if (task == 0) child();
    waitpid(task, NULL, WUNTRACED);
    if (ptrace(PTRACE_SEIZE, task, 0, 0) != 0 || ptrace(PTRACE_INTERRUPT, task, 0, 0) != 0) cannot_prepare("ptrace");
    int status;
    waitpid(task, &status, __WALL);
    poke(task, 0, (uintptr_t)&watched);
    poke(task, 2, (uintptr_t)marked);
    // Breakpoint 0: local, write, 4 bytes. Breakpoint 2: local, execute.
    poke(task, 7, 1 | 1 << 4 | 0xdul << 16);
    ptrace(PTRACE_DETACH, task, 0, 0);
    kill(task, SIGCONT);
    expect_progress("rounds", rounds, 3);
    say_ready();
    wait_for_finish();
    expect_progress("rounds", rounds, 1);
    rounds[1] = 1;
    waitpid(task, &status, 0);
    expect(status == 0, "the child ended with %x", status);
    return verdict("breakpoints");
}
