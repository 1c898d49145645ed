// Property: memory that is changed at full speed is saved as it was at one moment, and the program notices nothing of it.
//
// Each thread writes the number of the round into every page of its memory, round after round, and before that finds there the number of
// the round before. A page of another moment has another number. The main thread looks for children, of which it has none, and for signals.
#include <sys/shm.h>

#include "workload.h"

#define MIB (1UL << 20)
#define PAGE 4096UL

/// Memory of one thread. Not each kind is inherited by a child as it is.
struct range {
    uint8_t *start;
    size_t bytes;
};

enum { RANGES = 8 };

struct writer {
    struct range ranges[RANGES];
    _Atomic uint64_t rounds;
    int number;
};

static _Atomic int signals_seen;
static _Atomic bool ending;

static void on_child(int number) { (void)number, signals_seen++; }

static struct range anonymous(size_t bytes, int flags, int advice) {
    struct range range = {mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0), bytes};
    if (range.start == MAP_FAILED) cannot_prepare("memory");
    if (advice >= 0 && madvise(range.start, bytes, advice) != 0) cannot_prepare("madvise");
    return range;
}

/// A memfd, or a file, mapped in one of two ways.
static struct range of_file(size_t bytes, bool is_shared, bool has_name) {
    int file = has_name ? open(run_path("pages"), O_RDWR | O_CREAT, 0600) : memfd_create("pages", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, (off_t)bytes) != 0) cannot_prepare("file");
    struct range range = {mmap(NULL, bytes, PROT_READ | PROT_WRITE, is_shared ? MAP_SHARED : MAP_PRIVATE, file, 0), bytes};
    if (range.start == MAP_FAILED) cannot_prepare("mapping");
    close(file);
    return range;
}

static struct range segment(size_t bytes) {
    int number = shmget(IPC_PRIVATE, bytes, 0600);
    struct range range = {shmat(number, NULL, 0), bytes};
    if (number < 0 || range.start == (void *)-1) cannot_prepare("segment");
    shmctl(number, IPC_RMID, NULL);
    return range;
}

static void write_round(struct writer *writer) {
    uint64_t round = writer->rounds + 1;
    for (int i = 0; i < RANGES; i++) {
        struct range *range = &writer->ranges[i];
        for (size_t at = 0; at < range->bytes; at += PAGE) {
            volatile uint64_t *word = (volatile uint64_t *)(range->start + at);
            expect(*word == round - 1, "thread %d: range %d +%zu has %lu in round %lu", writer->number, i, at, (unsigned long)*word,
                   (unsigned long)round);
            *word = round;
        }
    }
    writer->rounds = round;
}

static void *write_rounds(void *argument) {
    struct writer *writer = argument;
    while (!ending) write_round(writer);
    // One more, in which every page is looked at that was there when the end was asked for.
    write_round(writer);
    write_round(writer);
    writer->number = -1;
    return NULL;
}

/// [MEBIBYTES THREADS]: of private memory in all.
int run_generations(int count, char **arguments) {
    size_t bytes = (count > 0 ? (size_t)atol(arguments[0]) : 32) * MIB;
    int threads = count > 1 ? atoi(arguments[1]) : 2;
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_RESTART};
    sigaction(SIGCHLD, &action, NULL);
    struct writer *writers = calloc((size_t)threads, sizeof *writers);
    for (int i = 0; i < threads; i++) {
        struct writer *writer = &writers[i];
        writer->number = i;
        struct range ranges[RANGES] = {
            anonymous(bytes / (size_t)threads, MAP_PRIVATE, MADV_NOHUGEPAGE), anonymous(MIB, MAP_PRIVATE, MADV_DONTFORK),
            anonymous(MIB, MAP_PRIVATE, MADV_WIPEONFORK), anonymous(MIB, MAP_SHARED, -1),
            of_file(MIB, true, false), of_file(MIB, false, false), of_file(MIB, false, true), segment(MIB),
        };
        memcpy(writer->ranges, ranges, sizeof ranges);
        start_thread(write_rounds, writer);
    }
    for (int i = 0; i < threads; i++) expect_progress("rounds", &writers[i].rounds, 2);
    say_ready();
    while (!finish_wanted()) {
        int status;
        pid_t found = waitpid(-1, &status, WNOHANG | __WALL);
        expect(found == -1 && errno == ECHILD, "waitpid gives %d", found);
        expect(signals_seen == 0, "SIGCHLD came");
        char children[64] = "";
        FILE *file = fopen("/proc/thread-self/children", "r");
        if (file) {
            if (fgets(children, sizeof children, file)) expect(children[0] == 0, "there are children: %s", children);
            fclose(file);
        }
        nap_ms(1);
    }
    for (int i = 0; i < threads; i++) expect_progress("rounds", &writers[i].rounds, 2);
    ending = true;
    for (int i = 0; i < threads; i++)
        for (int tries = 0; *(volatile int *)&writers[i].number != -1 && tries < 20000; tries++) nap_ms(1);
    return verdict("generations");
}
