// Property: memory from the pool of huge pages stays right: of its own, shared by processes, of a memfd, with protection and holes.
#include "workload.h"

#ifndef MAP_HUGETLB
#define MAP_HUGETLB 0x40000
#endif
#ifndef MFD_HUGETLB
#define MFD_HUGETLB 4U
#endif

#define PAGE (2UL << 20)

static uint8_t *from_pool(size_t pages, int flags, int file) {
    uint8_t *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags | (file < 0 ? MAP_ANONYMOUS | MAP_HUGETLB : 0), file, 0);
    if (memory == MAP_FAILED) cannot_prepare("huge pages from the pool");
    return memory;
}

static void check(const char *name, const uint8_t *memory, size_t bytes, unsigned seed) {
    long at = wrong_byte(memory, bytes, seed);
    expect(at < 0, "%s is wrong at +%ld", name, at);
}

/// Whether the mapping at an address is one of huge pages from the pool, as smaps tells.
static int is_from_pool(const void *memory) {
    FILE *file = fopen("/proc/self/smaps", "r");
    char line[4096];
    int inside = 0, found = 0;
    while (file && fgets(line, sizeof line, file)) {
        unsigned long start, end, size;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) inside = (unsigned long)memory >= start && (unsigned long)memory < end;
        if (inside && sscanf(line, "KernelPageSize: %lu kB", &size) == 1) found = size << 10 == PAGE;
    }
    if (file) fclose(file);
    return found;
}

int run_pool(int count, char **arguments) {
    (void)count, (void)arguments;
    uint8_t *own = from_pool(3, MAP_PRIVATE, -1);
    // The one in the middle is never touched; the last one cannot be written any more.
    fill_pattern(own, PAGE, 11);
    fill_pattern(own + 2 * PAGE, PAGE, 12);
    if (mprotect(own + 2 * PAGE, PAGE, PROT_READ) != 0) cannot_prepare("mprotect");
    uint8_t *shared = from_pool(2, MAP_SHARED, -1);
    fill_pattern(shared + PAGE, PAGE, 13);
    int file = (int)syscall(SYS_memfd_create, "pool", MFD_HUGETLB);
    if (file < 0 || ftruncate(file, 2 * PAGE) != 0) cannot_prepare("a memfd of huge pages");
    uint8_t *part = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, PAGE);
    if (part == MAP_FAILED) cannot_prepare("the second page of a memfd");
    fill_pattern(part, PAGE, 14);
    pid_t child = fork();
    if (child == 0) {
        wait_for_finish();
        check("shared memory in the child", shared + PAGE, PAGE, 13);
        check("memory of its own in the child", own, PAGE, 11);
        shared[0] = 77;
        own[PAGE] = 5;
        _exit(0);
    }
    say_ready();
    wait_for_finish();
    int status = 0;
    expect(waitpid(child, &status, 0) == child && status == 0, "the child ended with %d", status);
    check("memory of its own", own, PAGE, 11);
    check("memory that cannot be written", own + 2 * PAGE, PAGE, 12);
    expect(own[PAGE] == 0 && own[2 * PAGE - 1] == 0, "untouched memory is not zero");
    expect(shared[0] == 77, "what the child wrote is not there");
    check("shared memory", shared + PAGE, PAGE, 13);
    check("a memfd", part, PAGE, 14);
    expect(is_from_pool(own) && is_from_pool(shared) && is_from_pool(part), "some memory is not from the pool any more");
    own[0] ^= 1;
    struct stat now;
    expect(fstat(file, &now) == 0 && now.st_size == (off_t)(2 * PAGE) && (size_t)now.st_blksize == PAGE, "the memfd is another one");
    return verdict("pool");
}
