// Property: every byte of a large anonymous memory stays what it was. SIGUSR1 verifies in between and
// adds a line to the file `verified`. With a second argument `plain` nothing is advised about the memory.
#include "workload.h"

static volatile sig_atomic_t verify_wanted;

static void on_user(int number) { (void)number, verify_wanted = 1; }

int run_anon(int count, char **arguments) {
    size_t bytes = (size_t)(count > 0 ? atoi(arguments[0]) : 64) << 20;
    uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) cannot_prepare("memory");
    // Pages of 4 KiB: the slow case, and the same on every host.
    if (count < 2 || strcmp(arguments[1], "plain")) madvise(memory, bytes, MADV_NOHUGEPAGE);
    fill_pattern(memory, bytes, 20);
    signal(SIGUSR1, on_user);
    say_ready();
    while (!finish_wanted()) {
        nap_ms(5);
        if (!verify_wanted) continue;
        verify_wanted = 0;
        long at = wrong_byte(memory, bytes, 20);
        expect(at < 0, "memory is wrong at +%ld", at);
        FILE *file = fopen(run_path("verified"), "a");
        if (file) fputs(at < 0 ? "good\n" : "bad\n", file), fclose(file);
    }
    long at = wrong_byte(memory, bytes, 20);
    expect(at < 0, "memory is wrong at +%ld", at);
    return verdict("anon");
}
