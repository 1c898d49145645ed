// Property: every mapping has the same place, protection, sharing and contents as before.
#include "workload.h"
#include <setjmp.h>

#define PAGE 4096UL
#define MIB (1UL << 20)
// The distance between used pages of the sparse mapping: less where addresses have 32 bits.
#define GAP ((sizeof(size_t) > 4 ? 512 : 64) * MIB)

struct shared_state {
    _Atomic uint64_t steps[3];   // one for each child and the parent, written by all in turn
    _Atomic uint64_t turn;
};

static uint8_t *writable, *hidden, *guarded, *shared, *file_private, *file_shared, *sparse, *unforked, *read_only;
static uint8_t *executable, *shared_hidden;
static struct shared_state *state;
enum { FILE_PAGES = 64, CHILDREN = 2 };

static void *map(size_t bytes, int protection, int flags) {
    void *memory = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    if (memory == MAP_FAILED) cannot_prepare("mapping");
    return memory;
}

/// Byte of page `page` in the mapped file as it is on disk.
static uint64_t file_seed(size_t page) { return 7000 + page; }

static void make_mapped_file(const char *name) {
    uint8_t page[PAGE];
    int fd = open(run_path(name), O_RDWR | O_CREAT | O_TRUNC, 0644);
    for (size_t i = 0; i < FILE_PAGES; i++) {
        fill_pattern(page, PAGE, file_seed(i));
        if (write(fd, page, PAGE) != (ssize_t)PAGE) cannot_prepare(name);
    }
    close(fd);
}

static void *map_file(const char *name, int flags) {
    int fd = open(run_path(name), O_RDWR | O_CLOEXEC);
    void *memory = mmap(NULL, FILE_PAGES * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (fd < 0 || memory == MAP_FAILED) cannot_prepare(name);
    close(fd);
    return memory;
}

static sigjmp_buf back;
static volatile uintptr_t fault_address;

static void on_fault(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    fault_address = (uintptr_t)info->si_addr;
    siglongjmp(back, 1);
}

/// Whether reading (or writing) the byte raises SIGSEGV at its address.
static bool faults(volatile uint8_t *byte, bool write) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO}, before;
    sigaction(SIGSEGV, &action, &before);
    bool fault = false;
    fault_address = 0;
    if (sigsetjmp(back, 1) == 0) {
        uint8_t value = *byte;
        if (write) *byte = value;
    } else {
        fault = fault_address == (uintptr_t)byte;
    }
    sigaction(SIGSEGV, &before, NULL);
    return fault;
}

static void verify_private(const char *label) {
    long at = wrong_byte(writable, 8 * MIB, 1);
    expect(at < 0, "%s: private memory is wrong at +%ld", label, at);
    expect(faults(hidden, false), "%s: the PROT_NONE area can be read", label);
    expect(faults(guarded, false) && faults(guarded + 3 * PAGE, false), "%s: a guard page is gone", label);
    expect(!faults(guarded + PAGE, true), "%s: memory between the guard pages is gone", label);
    expect(guarded[PAGE] == 0x5a && guarded[3 * PAGE - 1] == 0xa5, "%s: memory between the guard pages is wrong", label);
    expect(!faults(read_only, false) && faults(read_only, true), "%s: read-only memory changed its protection", label);
    at = wrong_byte(read_only, PAGE, 2);
    expect(at < 0, "%s: read-only memory is wrong at +%ld", label, at);

    mprotect(hidden, 16 * PAGE, PROT_READ);
    at = wrong_byte(hidden, 16 * PAGE, 3);
    expect(at < 0, "%s: the PROT_NONE area is wrong at +%ld", label, at);
    mprotect(hidden, 16 * PAGE, PROT_NONE);

    for (size_t i = 0; i < FILE_PAGES; i++) {
        uint64_t seed = i % 5 == 2 ? 9000 + i : file_seed(i);
        at = wrong_byte(file_private + i * PAGE, PAGE, seed);
        expect(at < 0, "%s: page %zu of the private file mapping is wrong at +%ld", label, i, at);
    }
    for (size_t gap = 0; gap < 8; gap++) {
        expect(sparse[gap * GAP] == 0x10 + gap, "%s: sparse memory is wrong at gap %zu", label, gap);
        expect(sparse[gap * GAP + GAP / 5] == 0, "%s: a hole is not zero", label);
    }
#if defined(__x86_64__)
    expect(((int (*)(void))(uintptr_t)executable)() == 4711, "%s: made code returns something else", label);
#endif
}

static void verify_shared(const char *label) {
    for (size_t i = 0; i < FILE_PAGES; i++) {
        uint64_t seed = i % 7 == 3 ? 11000 + i : file_seed(i);
        long at = wrong_byte(file_shared + i * PAGE, PAGE, seed);
        expect(at < 0, "%s: page %zu of the shared file mapping is wrong at +%ld", label, i, at);
    }
    long at = wrong_byte(shared + PAGE, 2 * MIB, 5);
    expect(at < 0, "%s: shared memory is wrong at +%ld", label, at);
    mprotect(shared_hidden, 4 * PAGE, PROT_READ);
    at = wrong_byte(shared_hidden, 4 * PAGE, 6);
    expect(at < 0, "%s: shared memory without permissions is wrong at +%ld", label, at);
    mprotect(shared_hidden, 4 * PAGE, PROT_NONE);
}

/// Processes take turns in shared memory, so it must stay one memory; each then verifies its own.
static void take_turns(uint64_t number, const char *label) {
    while (!finish_wanted()) {
        if (state->turn % (CHILDREN + 1) == number) {
            state->steps[number]++;
            state->turn++;
        } else {
            nap_ms(1);
        }
    }
    verify_private(label);
    verify_shared(label);
}

/// The value that frame `depth` of `deep` writes to its element `i`.
static uint64_t frame_value(int depth, int i) { return (uint64_t)depth * 31 + (uint64_t)i; }

/// Takes turns below 400 frames of 2 KiB, which grew the stack, and verifies each on the way back.
static __attribute__((noinline)) void deep(int depth, uint64_t number) {
    volatile uint64_t frame[256];
    for (int i = 0; i < 256; i += 16) frame[i] = frame_value(depth, i);
    if (depth < 400)
        deep(depth + 1, number);
    else
        take_turns(number, number == 1 ? "child 1" : "child 2");
    for (int i = 0; i < 256; i += 16)
        if (frame[i] != frame_value(depth, i)) fail("child %d: frame %d of the stack is wrong", (int)number, depth);
}

static void child(uint64_t number) {
    expect(faults(unforked, false), "child %d: MADV_DONTFORK memory is here", (int)number);
    deep(0, number);
    _exit(0);
}

int run_memory(int count, char **arguments) {
    (void)count, (void)arguments;
    writable = map(8 * MIB, PROT_READ | PROT_WRITE, 0);
    fill_pattern(writable, 8 * MIB, 1);
    read_only = map(PAGE, PROT_READ | PROT_WRITE, 0);
    fill_pattern(read_only, PAGE, 2);
    mprotect(read_only, PAGE, PROT_READ);
    hidden = map(16 * PAGE, PROT_READ | PROT_WRITE, 0);
    fill_pattern(hidden, 16 * PAGE, 3);
    mprotect(hidden, 16 * PAGE, PROT_NONE);
    guarded = map(4 * PAGE, PROT_NONE, 0);
    mprotect(guarded + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE);
    guarded[PAGE] = 0x5a;
    guarded[3 * PAGE - 1] = 0xa5;
    sparse = map(8 * GAP, PROT_READ | PROT_WRITE, MAP_NORESERVE);
    for (size_t gap = 0; gap < 8; gap++) sparse[gap * GAP] = (uint8_t)(0x10 + gap);
    unforked = map(PAGE, PROT_READ | PROT_WRITE, 0);
    fill_pattern(unforked, PAGE, 4);
    madvise(unforked, PAGE, MADV_DONTFORK);

    // mov $4711, %eax; ret
    static const uint8_t code[] = {0xb8, 0x67, 0x12, 0x00, 0x00, 0xc3};
    executable = map(PAGE, PROT_READ | PROT_WRITE, 0);
    memcpy(executable, code, sizeof code);
    mprotect(executable, PAGE, PROT_READ | PROT_EXEC);

    make_mapped_file("mapped-private");
    file_private = map_file("mapped-private", MAP_PRIVATE);
    for (size_t i = 2; i < FILE_PAGES; i += 5) fill_pattern(file_private + i * PAGE, PAGE, 9000 + i);
    make_mapped_file("mapped-shared");
    file_shared = map_file("mapped-shared", MAP_SHARED);
    for (size_t i = 3; i < FILE_PAGES; i += 7) fill_pattern(file_shared + i * PAGE, PAGE, 11000 + i);

    shared = shared_memory(PAGE + 2 * MIB);
    state = (struct shared_state *)shared;
    fill_pattern(shared + PAGE, 2 * MIB, 5);
    shared_hidden = shared_memory(4 * PAGE);
    fill_pattern(shared_hidden, 4 * PAGE, 6);
    mprotect(shared_hidden, 4 * PAGE, PROT_NONE);

    pid_t children[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        if (children[i] == 0) child((uint64_t)i + 1);
    }
    verify_private("before");
    say_ready();
    take_turns(0, "parent");

    for (int i = 0; i < CHILDREN; i++) {
        int status;
        expect(waitpid(children[i], &status, 0) == children[i] && status == 0, "child %d is lost", children[i]);
    }
    for (int i = 0; i <= CHILDREN; i++) expect(state->steps[i] > 0, "process %d had no turn", i);
    expect(wrong_byte(unforked, PAGE, 4) < 0, "MADV_DONTFORK memory is wrong");
    pid_t last = fork();
    if (last == 0) _exit(faults(unforked, false) ? 0 : 1);
    int status = -1;
    expect(waitpid(last, &status, 0) == last && status == 0, "MADV_DONTFORK is forgotten");
    return verdict("memory");
}
