// Property: processes that share memory copy-on-write since forks, in any pattern, keep their own contents, go on sharing,
// and what one of them writes none of the others sees.
#include "workload.h"
#include <sys/prctl.h>

#define PAGE 4096UL
enum { PAGES = 3072, MOST = 16, DEPTH = 4 };

struct family {
    _Atomic int born, prepared, measured, written, done;
    _Atomic int phase;             // 1: measure, 2: measure again, 3: write, 4: verify
    _Atomic long before, after;    // KiB of all together
};

static struct family *family;
// What this process has: for each page its address, or nothing, and the seed of its contents.
static uint8_t *place[PAGES];
static uint32_t seed[PAGES];
static bool is_read_only[PAGES];
static uint64_t numbers;
// With the pages that children have from before their parent wrote again, and siblings through a dead parent, a restart
// shares less than before: no process can load two versions of a page before it forks.
static bool parents_die;

static uint32_t below(uint32_t limit) { return (uint32_t)(next_number(&numbers) % limit); }

static long own_anonymous(void) {
    char text[8192];
    int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0) return 0;
    text[length] = 0;
    char *line = strstr(text, "\nPss_Anon:");
    return line ? atol(line + 10) : 0;
}

static void write_page(size_t page) {
    if (!place[page] || is_read_only[page]) return;
    seed[page] = (uint32_t)next_number(&numbers);
    fill_pattern(place[page], PAGE, seed[page]);
}

static void write_some(void) {
    // Single pages, and a stretch.
    for (int i = 0; i < 40; i++) write_page(below(PAGES));
    size_t start = below(PAGES - 200), count = 50 + below(150);
    for (size_t page = start; page < start + count; page++) write_page(page);
}

static void rearrange(void) {
    size_t start = below(PAGES - 64), count = 1 + below(32);
    switch (below(4)) {
    case 0:
        for (size_t page = start; page < start + count; page++) {
            if (place[page]) munmap(place[page], PAGE);
            place[page] = NULL;
        }
        break;
    case 1:
        for (size_t page = start; page < start + count; page++) {
            if (place[page] && mprotect(place[page], PAGE, PROT_READ) == 0) is_read_only[page] = true;
        }
        break;
    case 2: {
        // Moved as one where it is one.
        for (size_t page = start; page < start + count; page++)
            if (!place[page] || is_read_only[page] || place[page] != place[start] + (page - start) * PAGE) return;
        uint8_t *moved = mremap(place[start], count * PAGE, count * PAGE + PAGE, MREMAP_MAYMOVE);
        if (moved == MAP_FAILED) return;
        for (size_t page = start; page < start + count; page++) place[page] = moved + (page - start) * PAGE;
        break;
    }
    default:
        // Never touched again: zero.
        for (size_t page = start; page < start + count; page++) {
            if (!place[page] || is_read_only[page]) continue;
            madvise(place[page], PAGE, MADV_DONTNEED);
            memset(place[page], 0, 1);
            seed[page] = 0;
        }
    }
}

static void verify(const char *when) {
    static const uint8_t zero[PAGE];
    for (size_t page = 0; page < PAGES; page++) {
        if (!place[page]) continue;
        bool is_wrong = seed[page] ? wrong_byte(place[page], PAGE, seed[page]) >= 0 : memcmp(place[page], zero, PAGE) != 0;
        if (is_wrong) {
            fail("%s: page %zu of %d is wrong", when, page, getpid());
            return;
        }
    }
}

static void await(_Atomic int *counter, int value) { while (*counter < value) nap_ms(2); }

static void live(void) {
    ++family->prepared;
    await(&family->phase, 1);
    family->before += own_anonymous();
    ++family->measured;
    await(&family->phase, 2);
    family->after += own_anonymous();
    verify("after a restart");
    ++family->done;
    await(&family->phase, 3);
    write_some();
    ++family->written;
    await(&family->phase, 4);
    verify("when all had written");
}

static void *hold(void *argument) {
    (void)argument;
    wait_for_finish();
    return NULL;
}

/// A process of the family: writes, has children, some of which are born before it writes more. Ends early at times.
static void grow(int depth) {
    write_some();
    rearrange();
    int children = depth < DEPTH ? 1 + (int)below(3) : 0;
    bool dies = parents_die && depth > 0 && children > 0 && below(3) == 0;
    for (int child = 0; child < children; child++) {
        if (++family->born > MOST) {
            --family->born;
            break;
        }
        uint64_t other = next_number(&numbers);
        pid_t pid = fork();
        if (pid < 0) cannot_prepare("fork");
        if (pid == 0) {
            numbers = other;
            grow(depth + 1);
            _exit(0);
        }
        if (below(2)) write_some();
        rearrange();
    }
    if (depth == 0) return;
    if (dies) {
        --family->born;
        return;
    }
    if (below(3) == 0) start_thread(hold, NULL);
    live();
}

/// [SEED [ksm]]: with an even one some parents die.
int run_family(int count, char **arguments) {
    numbers = count > 0 ? strtoull(arguments[0], NULL, 10) : 1;
    parents_die = numbers % 2 == 0;
    family = shared_memory(sizeof *family);
    // Children of those that end come to it, and stay in the tree.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    uint8_t *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    // The last third: a private mapping of a file.
    int fd = open(run_path("mapped"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (memory == MAP_FAILED || ftruncate(fd, PAGES * PAGE) != 0) cannot_prepare("memory");
    size_t file_from = PAGES / 3 * 2;
    if (mmap(memory + file_from * PAGE, (PAGES - file_from) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED)
        cannot_prepare("mapping");
    close(fd);
    if (count > 1 && madvise(memory, file_from * PAGE, MADV_MERGEABLE) != 0) cannot_prepare("MADV_MERGEABLE");
    for (size_t page = 0; page < PAGES; page++) {
        place[page] = memory + page * PAGE;
        write_page(page);
        // Equal pages, for KSM.
        if (count > 1 && page % 3 == 0) fill_pattern(place[page], PAGE, seed[page] = 5);
    }
    family->born = 1;
    grow(0);
    // Those that end are not counted any more, in the end.
    int64_t begin = now_ns();
    int stable = 0;
    for (int last = -1; stable < 20; nap_ms(10)) {
        int now = family->born - 1;
        stable = now == last && family->prepared == now ? stable + 1 : 0;
        last = now;
        if (now_ns() - begin > 60000000000LL) cannot_prepare("family");
    }
    int others = family->born - 1;
    while (waitpid(-1, NULL, WNOHANG) > 0) {}
    family->phase = 1;
    await(&family->measured, others);
    family->before += own_anonymous();
    say_ready();
    wait_for_finish();
    family->phase = 2;
    family->after += own_anonymous();
    verify("the first process");
    await(&family->done, others);
    if (count < 2)
        expect(family->after <= family->before + family->before / 2 + 2048, "%d processes have %ld KiB, they had %ld",
            others + 1, family->after, family->before);
    family->phase = 3;
    write_some();
    await(&family->written, others);
    family->phase = 4;
    verify("the first process, when all had written");
    while (wait(NULL) > 0) {}
    return verdict("family");
}
