// Property: many memory objects and open files come back each with its own contents, whatever the numbers of descriptors are:
// N shared anonymous mappings and N eventfds that two processes have, an epoll that watches files under numbers that are
// closed (64 to 76), and files at the highest numbers that the limit allows.
#include "workload.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum { MOST = 1000, PAGE = 4096, FIRST_CLOSED = 64, LAST_CLOSED = 76 };

static unsigned char *objects[MOST];
static int events[MOST];
static int object_count, highest, watcher;
/// The two processes count here in turn: each sees what the other writes.
static _Atomic uint64_t *ticks;

static size_t size_of(int i) { return (size_t)(1 + i % 3) * PAGE; }

/// The first word of an object counts; the rest is its pattern.
static void expect_objects(const char *who) {
    for (int i = 0; i < object_count; i++) {
        long wrong = wrong_byte(objects[i] + 8, size_of(i) - 8, (uint64_t)i + 1);
        expect(wrong < 0, "%s: object %d is wrong at %ld", who, i, wrong);
    }
}

/// Each eventfd holds its own number. Reading takes it, so it is written again.
static void expect_events(void) {
    for (int i = 0; i < object_count; i++) {
        uint64_t count = 0;
        expect(read(events[i], &count, sizeof count) == sizeof count && count == (uint64_t)i + 1,
               "descriptor %d: eventfd %d holds %llu", events[i], i, (unsigned long long)count);
        count = (uint64_t)i + 1;
        expect(write(events[i], &count, sizeof count) == sizeof count, "descriptor %d cannot be written", events[i]);
    }
}

/// All that is watched is ready, each with the number under which it was registered.
static void expect_watched(void) {
    struct epoll_event ready[LAST_CLOSED - FIRST_CLOSED + 2];
    int count = epoll_wait(watcher, ready, LAST_CLOSED - FIRST_CLOSED + 2, 0);
    expect(count == LAST_CLOSED - FIRST_CLOSED + 1, "%d are ready", count);
    uint64_t seen = 0;
    for (int i = 0; i < count; i++) seen += ready[i].data.u64;
    expect(seen == (FIRST_CLOSED + LAST_CLOSED) * (LAST_CLOSED - FIRST_CLOSED + 1) / 2, "ready: %llu", (unsigned long long)seen);
}

static int new_event(int count) {
    int event = eventfd((unsigned)count, EFD_NONBLOCK);
    if (event < 0) cannot_prepare("eventfd");
    return event;
}

/// Moves a descriptor to a number.
static int move(int from, int number) {
    if (from == number) return number;
    if (dup2(from, number) < 0) cannot_prepare("dup2");
    close(from);
    return number;
}

int run_crowd(int count, char **arguments) {
    object_count = count > 0 ? atoi(arguments[0]) : 80;
    highest = count > 1 ? atoi(arguments[1]) : 0;
    if (object_count > MOST) cannot_prepare("so many");
    ticks = shared_memory(PAGE);
    for (int i = 0; i < object_count; i++) {
        objects[i] = shared_memory(size_of(i));
        fill_pattern(objects[i] + 8, size_of(i) - 8, (uint64_t)i + 1);
    }
    watcher = epoll_create1(0);
    // Under numbers that are free again afterwards: the files live on in the other process.
    int kept[LAST_CLOSED - FIRST_CLOSED + 1];
    for (int number = FIRST_CLOSED; number <= LAST_CLOSED; number++) {
        int made = new_event(1);
        kept[number - FIRST_CLOSED] = fcntl(made, F_DUPFD, 100);
        move(made, number);
        struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = (uint64_t)number};
        if (epoll_ctl(watcher, EPOLL_CTL_ADD, number, &wanted)) cannot_prepare("epoll_ctl");
    }
    for (int number = FIRST_CLOSED; number <= LAST_CLOSED; number++) close(number);
    for (int i = 0; i < object_count; i++) {
        int made = new_event(i + 1);
        // Every other one as high as possible.
        events[i] = highest && i % 2 ? move(made, highest - i / 2) : made;
    }
    pid_t child = fork();
    if (child < 0) cannot_prepare("fork");
    if (child == 0) {
        while (!finish_wanted()) {
            expect_objects("child");
            ++*ticks;
            nap_ms(5);
        }
        _exit(0);
    }
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) close(kept[i]);
    // A test that says "finish" at once is to find a child that has counted.
    while (*ticks == 0) nap_ms(1);
    say_ready();
    while (!finish_wanted()) {
        expect_objects("parent");
        expect_events();
        expect_watched();
        nap_ms(5);
    }
    expect_objects("parent");
    expect_events();
    int status = -1;
    waitpid(child, &status, 0);
    expect(status == 0, "the child ended with 0x%x", (unsigned)status);
    expect(*ticks > 0, "the child did not count");
    return verdict("crowd");
}
