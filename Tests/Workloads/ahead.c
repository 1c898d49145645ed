// Property: a file is never ahead of the process that writes it. Each of N processes counts in its memory and in a file; one that had
// made a step after its image was taken finds a larger number in the file than it remembers.
#include "workload.h"

static volatile sig_atomic_t is_over;

static void on_end(int number) { (void)number, is_over = 1; }

static void count_on(int file, int number) {
    uint64_t steps = 0, seen = 0;
    off_t place = (off_t)number * 8;
    while (!is_over) {
        if (pread(file, &seen, 8, place) != 8 || seen != steps) _exit(3);
        steps++;
        if (pwrite(file, &steps, 8, place) != 8) _exit(4);
    }
    _exit(0);
}

int run_ahead(int count, char **arguments) {
    int wanted = count > 0 ? atoi(arguments[0]) : 4;
    int file = open(run_path("steps"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, (off_t)wanted * 8) != 0) cannot_prepare("file");
    signal(SIGTERM, on_end);
    pid_t *children = calloc((size_t)wanted, sizeof *children);
    for (int i = 0; i < wanted; i++) {
        children[i] = fork();
        if (children[i] < 0) cannot_prepare("process");
        if (children[i] == 0) count_on(file, i);
    }
    say_ready();
    wait_for_finish();
    for (int i = 0; i < wanted; i++) {
        int status = -1;
        kill(children[i], SIGTERM);
        expect(waitpid(children[i], &status, 0) == children[i] && status == 0, "process %d ended with %x", i, status);
    }
    return verdict("ahead");
}
