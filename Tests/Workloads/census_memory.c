// The census: mappings and what madvise(2), mlock(2), prctl(2) and the like have said about them.
#include "census.h"
#include <sys/prctl.h>

#define PAGE 4096UL

enum { MAPPINGS = 24 };
static char *mapped[MAPPINGS];
static int used;

static char *map(int protection, int flags) {
    char *memory = mmap(NULL, 4 * PAGE, protection, flags | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    // Neighbours would become one mapping: a page between them keeps them apart.
    mmap(NULL, PAGE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    mapped[used++] = memory;
    return memory;
}

static char *guarded;

void make_mappings(void) {
    static const int advice[] = {
        MADV_RANDOM, MADV_SEQUENTIAL, MADV_DONTFORK, MADV_DONTDUMP, MADV_WIPEONFORK, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_MERGEABLE,
    };
    for (size_t i = 0; i < sizeof advice / sizeof advice[0]; i++) {
        char *memory = map(PROT_READ | PROT_WRITE, MAP_PRIVATE);
        memory[5] = (char)i;
        madvise(memory, 4 * PAGE, advice[i]);
    }
    static const int protections[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_EXEC, PROT_READ | PROT_WRITE | PROT_EXEC, PROT_EXEC};
    for (size_t i = 0; i < sizeof protections / sizeof protections[0]; i++) map(protections[i], MAP_PRIVATE);
    static const int flags[] = {MAP_NORESERVE, MAP_GROWSDOWN, MAP_LOCKED, MAP_STACK};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) map(PROT_READ | PROT_WRITE, MAP_PRIVATE | flags[i]);
    char *droppable = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, 8 /* MAP_DROPPABLE */ | MAP_ANONYMOUS, -1, 0);
    if (droppable != MAP_FAILED) mapped[used++] = droppable;
    map(PROT_READ | PROT_WRITE, MAP_SHARED);
    char *named = map(PROT_READ | PROT_WRITE, MAP_PRIVATE);
    named[0] = 1;
    prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, named, 4 * PAGE, "of the census");
    guarded = map(PROT_READ | PROT_WRITE, MAP_PRIVATE);
    memset(guarded, 7, 4 * PAGE);
    if (madvise(guarded + PAGE, PAGE, 102 /* MADV_GUARD_INSTALL */)) guarded = NULL;
}

void tell_mappings(struct lines *lines) {
    FILE *maps = fopen("/proc/self/smaps", "re");
    char line[512], head[128] = "";
    int current = -1;
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long start, end, offset;
        char permissions[5], name[80] = "";
        line[strcspn(line, "\n")] = 0;
        if (sscanf(line, "%lx-%lx %4s %lx %*s %*s %79[^\n]", &start, &end, permissions, &offset, name) >= 4) {
            current = -1;
            for (int i = 0; i < used; i++)
                if ((unsigned long)mapped[i] == start) current = i;
            // Shared anonymous memory comes back as a file in memory: another name.
            bool isShared = permissions[3] == 's';
            snprintf(head, sizeof head, "%lx pages %s %s", (end - start) / PAGE, permissions, isShared ? "" : name);
        } else if (current >= 0 && strncmp(line, "VmFlags:", 8) == 0) {
            tell(lines, "mapping %d: %s%s", current, head, line + 8);
        } else if (current >= 0 && strncmp(line, "ProtectionKey:", 14) == 0) {
            tell(lines, "mapping %d: %s", current, line);
        }
    }
    if (maps) fclose(maps);
}

void check_guards(void) {
    if (!guarded) return;
    // The kernel reads for us, and says what it met.
    int pair[2];
    if (pipe(pair)) return fail("pipe");
    for (int i = 0; i < 4; i++) {
        ssize_t got = write(pair[1], guarded + (unsigned long)i * PAGE, 1);
        expect(i == 1 ? got < 0 && errno == EFAULT : got == 1, "page %d of those with a guard: %zd", i, got);
    }
    close(pair[0]);
    close(pair[1]);
    expect(guarded[0] == 7 && guarded[3 * PAGE] == 7, "the neighbours of a guard have changed");
}
