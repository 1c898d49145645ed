// Property: memory whose pages come while the program runs (crrestart --lazy) is right whatever the program does with it meanwhile: it forks, moves,
// drops, unmaps and protects memory, and has the kernel read and write it. In the end nothing of the mechanism is left.
#include "workload.h"
#include <sys/syscall.h>

#define PAGE 4096UL
#define MIB (1UL << 20)

enum { AREA_PAGES = 1024 };

static uint8_t *holed, *moved, *dropped, *forked, *wiped, *guarded, *passed, *sparse;

/// Pages of their own: neighbours do not become one mapping.
static uint8_t *area(uint64_t seed) {
    uint8_t *memory = mmap(NULL, (AREA_PAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory + PAGE, AREA_PAGES * PAGE, PROT_READ | PROT_WRITE) != 0) cannot_prepare("memory");
    madvise(memory + PAGE, AREA_PAGES * PAGE, MADV_NOHUGEPAGE);
    for (size_t page = 0; page < AREA_PAGES; page++) fill_pattern(memory + PAGE + page * PAGE, PAGE, seed * 100000 + page);
    return memory + PAGE;
}

static void verify(const char *what, const uint8_t *memory, uint64_t seed, size_t first, size_t end) {
    for (size_t page = first; page < end; page++) {
        long at = wrong_byte(memory + (page - first) * PAGE, PAGE, seed * 100000 + page);
        if (at >= 0) return fail("%s: page %zu is wrong at +%ld", what, page, at);
    }
}

static void verify_zeros(const char *what, const uint8_t *memory, size_t pages) {
    for (size_t i = 0; i < pages * PAGE; i++)
        if (memory[i] != 0) return fail("%s: a page that should be zeros is not, at +%zu", what, i);
}

static void *read_backwards(void *unused) {
    for (size_t page = AREA_PAGES; page-- > 0;) verify("in another thread", forked + page * PAGE, 4, page, page + 1);
    return unused;
}

static void expect_child(const char *what, pid_t child) {
    int status = -1;
    expect(child > 0 && waitpid(child, &status, 0) == child && status == 0, "%s: the child ended with %x", what, status);
}

static void fork_twice(void) {
    if (madvise(wiped, AREA_PAGES * PAGE, MADV_WIPEONFORK) != 0) fail("MADV_WIPEONFORK is refused");
    if (madvise(guarded, AREA_PAGES * PAGE, MADV_DONTFORK) != 0) fail("MADV_DONTFORK is refused");
    pid_t child = fork();
    if (child == 0) {
        verify_zeros("wiped in the child", wiped, AREA_PAGES);
        pid_t grandchild = fork();
        if (grandchild == 0) {
            verify("in a grandchild", forked, 4, AREA_PAGES / 2, AREA_PAGES / 2);
            verify("in a grandchild", forked, 4, 0, AREA_PAGES);
            _exit(0);
        }
        verify("in a child", forked, 4, 0, AREA_PAGES);
        memset(forked, 0xee, AREA_PAGES * PAGE);
        expect_child("a grandchild", grandchild);
        _exit(0);
    }
    // Not waited for yet: both go on side by side.
    verify("kept out of the child", guarded, 6, 0, AREA_PAGES);
    expect_child("a child", child);
    verify("wiped in a child", wiped, 5, 0, AREA_PAGES);
    child = vfork();
    if (child == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }
    expect_child("another program", child);
}

static void move(void) {
    size_t half = AREA_PAGES / 2;
    uint8_t *target = mmap(NULL, 2 * AREA_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    // The second half goes elsewhere and grows.
    uint8_t *new = mremap(moved + half * PAGE, half * PAGE, AREA_PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target + PAGE);
    if (new != target + PAGE) return fail("mremap: %s", strerror(errno));
    verify("moved", new, 2, half, AREA_PAGES);
    verify_zeros("grown", new + half * PAGE, half);
    // Again, and the rest stays.
    uint8_t *again = mremap(new, AREA_PAGES * PAGE, half * PAGE, MREMAP_MAYMOVE);
    if (again == MAP_FAILED) return fail("mremap: %s", strerror(errno));
    verify("moved again", again, 2, half, AREA_PAGES);
    verify("not moved", moved, 2, 0, half);
}

static void unmap_and_drop(void) {
    // The contents go where a page has come, and where none has.
    verify("before it is dropped", dropped, 3, 0, 1);
    if (madvise(dropped, AREA_PAGES / 4 * PAGE, MADV_DONTNEED) != 0) fail("MADV_DONTNEED is refused");
    verify_zeros("dropped", dropped, AREA_PAGES / 4);
    verify("not dropped", dropped + AREA_PAGES / 4 * PAGE, 3, AREA_PAGES / 4, AREA_PAGES);
    size_t third = AREA_PAGES / 3;
    if (munmap(holed + third * PAGE, third * PAGE) != 0) fail("munmap: %s", strerror(errno));
    uint8_t *fresh = mmap(holed + third * PAGE, third * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (fresh == MAP_FAILED) return fail("mmap: %s", strerror(errno));
    verify_zeros("mapped anew", fresh, third);
    // Parts of a mapping become mappings of their own.
    for (size_t page = 0; page < third; page += 2) mprotect(holed + page * PAGE, PAGE, PROT_READ);
    verify("below a hole", holed, 1, 0, third);
    verify("above a hole", holed + 2 * third * PAGE, 1, 2 * third, AREA_PAGES);
}

/// The kernel touches pages itself.
static void pass_through_kernel(void) {
    int ends[2];
    uint8_t copy[PAGE];
    if (pipe(ends) != 0) return fail("pipe: %s", strerror(errno));
    for (size_t page = 0; page < AREA_PAGES; page++) {
        if (write(ends[1], passed + page * PAGE, PAGE) != (ssize_t)PAGE || read(ends[0], copy, PAGE) != (ssize_t)PAGE)
            return fail("page %zu does not go through a pipe: %s", page, strerror(errno));
        verify("through a pipe", copy, 7, page, page + 1);
        page += page % 64 == 0 ? 31 : 0;
    }
    // Into a page that has not come, which keeps its other half.
    size_t last = AREA_PAGES - 100;
    if (write(ends[1], "text", 4) != 4 || read(ends[0], passed + last * PAGE + 8, 4) != 4) fail("read: %s", strerror(errno));
    expect(memcmp(passed + last * PAGE + 8, "text", 4) == 0, "what was read is not there");
    fill_pattern(copy, PAGE, 7 * 100000 + last);
    memcpy(copy + 8, "text", 4);
    expect(memcmp(copy, passed + last * PAGE, PAGE) == 0, "a page is wrong around what was read into it");
    close(ends[0]), close(ends[1]);
}

/// Whether page faults of this process are answered by another one: `um` in `VmFlags`.
static bool is_served(void) {
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[512];
    bool found = false;
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " um")) found = true;
    if (file) fclose(file);
    return found;
}

int run_late(int count, char **arguments) {
    (void)count, (void)arguments;
    holed = area(1), moved = area(2), dropped = area(3), forked = area(4), wiped = area(5), guarded = area(6), passed = area(7), sparse = area(8);
    madvise(sparse + 16 * PAGE, 512 * PAGE, MADV_DONTNEED);
    say_ready();
    wait_for_finish();
    verify_zeros("never used", sparse + 100 * PAGE, 10);
    pthread_t thread;
    if (pthread_create(&thread, NULL, read_backwards, NULL) != 0) cannot_prepare("thread");
    fork_twice();
    move();
    unmap_and_drop();
    pass_through_kernel();
    pthread_join(thread, NULL);
    verify("beside a hole", sparse, 8, 0, 16);
    verify("beside a hole", sparse + 528 * PAGE, 8, 528, AREA_PAGES);
    verify("of the parent", forked, 4, 0, AREA_PAGES);
    for (size_t page = 0; page < AREA_PAGES; page++) ((volatile uint8_t *)passed)[page * PAGE];
    for (int i = 0; i < 4000 && is_served(); i++) nap_ms(5);
    expect(!is_served(), "page faults are still answered by another process");
    return verdict("late");
}
