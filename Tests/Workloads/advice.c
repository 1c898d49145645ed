// Property: guard pages, locks, seals, and what holds for the whole memory of a process, are as before.
#include "workload.h"
#include <setjmp.h>
#include <sys/prctl.h>

#define PAGE 4096UL
enum { ADVICE_GUARD_INSTALL = 102, CALL_MSEAL = 462, GET_MDWE = 66, SET_MDWE = 65, SET_MERGE = 67, GET_MERGE = 68 };

static sigjmp_buf back;

static void on_fault(int number) {
    (void)number;
    siglongjmp(back, 1);
}

static bool faults(volatile uint8_t *byte) {
    struct sigaction action = {.sa_handler = on_fault}, before;
    sigaction(SIGSEGV, &action, &before);
    bool fault = true;
    if (sigsetjmp(back, 1) == 0) {
        (void)*byte;
        fault = false;
    }
    sigaction(SIGSEGV, &before, NULL);
    return fault;
}

/// Eight pages with a pattern, the third and the last two of them guards. NULL: this kernel has none for such memory.
static uint8_t *guarded(int flags, int fd) {
    uint8_t *memory = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (memory == MAP_FAILED) cannot_prepare("memory with guards");
    fill_pattern(memory, 8 * PAGE, 31);
    if (madvise(memory + 2 * PAGE, PAGE, ADVICE_GUARD_INSTALL) != 0) return NULL;
    if (madvise(memory + 6 * PAGE, 2 * PAGE, ADVICE_GUARD_INSTALL) != 0) return NULL;
    return memory;
}

static void verify_guarded(const char *label, uint8_t *memory) {
    if (!memory) return;
    uint8_t wanted[8 * PAGE];
    fill_pattern(wanted, sizeof wanted, 31);
    for (size_t page = 0; page < 8; page++) {
        bool is_guard = page == 2 || page >= 6;
        expect(faults(memory + page * PAGE) == is_guard, "%s: page %zu is %sa guard", label, page, is_guard ? "not " : "");
        if (is_guard || faults(memory + page * PAGE)) continue;
        expect(memcmp(memory + page * PAGE, wanted + page * PAGE, PAGE) == 0, "%s: page %zu is wrong", label, page);
    }
}

/// The line of smaps that begins with `key`, of the mapping that holds `address`.
static void smaps_line(const void *address, const char *key, char *line, int size) {
    FILE *maps = fopen("/proc/self/smaps", "r");
    bool here = false;
    while (maps && fgets(line, size, maps)) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) here = start <= (uintptr_t)address && (uintptr_t)address < end;
        if (here && strncmp(line, key, strlen(key)) == 0) break;
        *line = 0;
    }
    if (maps) fclose(maps);
}

static bool has_flag(const void *address, const char *flag) {
    char line[400], wanted[8];
    smaps_line(address, "VmFlags:", line, sizeof line);
    snprintf(wanted, sizeof wanted, " %s ", flag);
    return strstr(line, wanted) != NULL;
}

/// What a new mapping is like: 0 not locked, 1 locked, 2 locked on fault.
static int lock_of_new_memory(void) {
    uint8_t *memory = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int lock = has_flag(memory, "lo") ? has_flag(memory, "lf") ? 2 : 1 : 0;
    munmap(memory, 3 * PAGE);
    return lock;
}

static unsigned core_filter(void) {
    char text[40] = "";
    int fd = open("/proc/self/coredump_filter", O_RDONLY);
    if (read(fd, text, sizeof text - 1) < 0) return 0;
    close(fd);
    return (unsigned)strtoul(text, NULL, 16);
}

static void set_core_filter(const char *text) {
    int fd = open("/proc/self/coredump_filter", O_WRONLY);
    if (write(fd, text, strlen(text)) < 0) cannot_prepare("coredump_filter");
    close(fd);
}

/// Everything that can be said only once: a child of its own.
static void child(_Atomic int *ready) {
    uint8_t *both = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *later = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *sealed = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *constant = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *both = 0xc3;
    fill_pattern(sealed, 3 * PAGE, 8);
    fill_pattern(constant, 2 * PAGE, 9);
    mprotect(constant, 2 * PAGE, PROT_READ);
    bool seals = syscall(CALL_MSEAL, sealed + PAGE, PAGE, 0L) == 0 && syscall(CALL_MSEAL, constant, 2 * PAGE, 0L) == 0;
    bool mdwe = prctl(SET_MDWE, 1L, 0L, 0L, 0L) == 0;
    bool merges = prctl(SET_MERGE, 1L, 0L, 0L, 0L) == 0;
    mlockall(MCL_FUTURE);
    set_core_filter("0x7f");
    ++*ready;
    wait_for_finish();
    expect(lock_of_new_memory() == 1, "child: MCL_FUTURE is lost");
    expect(core_filter() == 0x7f, "child: coredump_filter is %x", core_filter());
    expect(wrong_byte(sealed, 3 * PAGE, 8) < 0, "child: sealed memory is wrong");
    expect(wrong_byte(constant, 2 * PAGE, 9) < 0, "child: constant sealed memory is wrong");
    if (seals) {
        expect(has_flag(sealed + PAGE, "sl") && !has_flag(sealed, "sl"), "child: a seal of memory is lost, or too large");
        expect(munmap(sealed + PAGE, PAGE) != 0 && errno == EPERM, "child: sealed memory can be unmapped");
        expect(mprotect(constant, PAGE, PROT_READ | PROT_WRITE) != 0, "child: sealed memory can be made writable");
    }
    if (merges) expect(prctl(GET_MERGE, 0L, 0L, 0L, 0L) == 1, "child: PR_SET_MEMORY_MERGE is lost");
    if (mdwe) {
        expect(prctl(GET_MDWE, 0L, 0L, 0L, 0L) == 1, "child: PR_SET_MDWE is lost");
        expect(mprotect(later, PAGE, PROT_READ | PROT_EXEC) != 0, "child: memory can be made executable");
    }
    expect(*both == 0xc3, "child: executable memory is wrong");
    _exit(0);
}

int run_advice(int count, char **arguments) {
    (void)count, (void)arguments;
    int fd = open(run_path("mapped"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (ftruncate(fd, 8 * PAGE) != 0) cannot_prepare("mapped");
    uint8_t *own = guarded(MAP_PRIVATE | MAP_ANONYMOUS, -1), *shared = guarded(MAP_SHARED | MAP_ANONYMOUS, -1);
    uint8_t *file = guarded(MAP_PRIVATE, fd), *locked = guarded(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    // Locks it, and reports that it cannot fill the guards.
    if (locked) mlock(locked, 8 * PAGE);
    uint8_t *sparse = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    syscall(SYS_mlock2, sparse, 64 * PAGE, 1L);
    sparse[9 * PAGE] = 9;
    _Atomic int *ready = shared_memory(sizeof *ready);
    if (fork() == 0) child(ready);
    mlockall(MCL_FUTURE | MCL_ONFAULT);
    prctl(PR_SET_THP_DISABLE, 1L, 0L, 0L, 0L);
    set_core_filter("0x21");
    while (*ready == 0) nap_ms(1);
    say_ready();
    wait_for_finish();
    verify_guarded("private memory", own);
    verify_guarded("shared memory", shared);
    verify_guarded("private mapping of a file", file);
    verify_guarded("locked memory", locked);
    expect(!locked || has_flag(locked, "lo"), "memory with guards is not locked any more");
    expect(has_flag(sparse, "lo") && has_flag(sparse, "lf"), "MLOCK_ONFAULT is lost");
    expect(sparse[9 * PAGE] == 9 && sparse[8 * PAGE] == 0, "memory that is locked on fault is wrong");
    expect(lock_of_new_memory() == 2, "MCL_FUTURE with MCL_ONFAULT is lost");
    expect(prctl(PR_GET_THP_DISABLE, 0L, 0L, 0L, 0L) == 1, "PR_SET_THP_DISABLE is lost");
    expect(core_filter() == 0x21, "coredump_filter is %x", core_filter());
    expect(prctl(GET_MDWE, 0L, 0L, 0L, 0L) <= 0, "the parent has PR_SET_MDWE");
    wait(NULL);
    return verdict("advice");
}
