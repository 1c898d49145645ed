// Property: memory that processes share copy-on-write since a fork stays right, and stays shared while checkpoints are taken.
#include "workload.h"

#define MIB (1UL << 20)

/// [MEBIBYTES PROCESSES]: as servers do that load everything and fork workers then.
int run_prefork(int count, char **arguments) {
    size_t bytes = (count > 0 ? (size_t)atol(arguments[0]) : 48) * MIB;
    int workers = count > 1 ? atoi(arguments[1]) : 4;
    uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) cannot_prepare("memory");
    fill_pattern(memory, bytes, 77);
    _Atomic int *ready = shared_memory(sizeof *ready);
    for (int worker = 0; worker < workers; worker++) {
        if (fork() != 0) continue;
        // A page of its own between pages that it shares.
        for (size_t page = 0; page < bytes / 4096; page += 1000) memory[page * 4096] ^= (uint8_t)(worker + 1);
        ++*ready;
        wait_for_finish();
        for (size_t page = 0; page < bytes / 4096; page += 1000) memory[page * 4096] ^= (uint8_t)(worker + 1);
        long at = wrong_byte(memory, bytes, 77);
        expect(at < 0, "worker %d: memory is wrong at +%ld", worker, at);
        _exit(0);
    }
    while (*ready < workers) nap_ms(1);
    say_ready();
    wait_for_finish();
    long at = wrong_byte(memory, bytes, 77);
    expect(at < 0, "memory is wrong at +%ld", at);
    for (int worker = 0; worker < workers; worker++) wait(NULL);
    return verdict("prefork");
}
