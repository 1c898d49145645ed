// Property: contexts of asynchronous input and output (io_setup) keep their numbers, their places and the events that were not read.
#include "workload.h"
#include <linux/aio_abi.h>

enum { LAPS = 100, BATCH = 3, LEFT = 5 };
static aio_context_t quiet, full, busy, awaited;
static int file;
static _Atomic uint64_t writes, awaited_events;
static char page[4096];

static void submit(aio_context_t context, uint64_t first, int count) {
    struct iocb requests[LEFT];
    struct iocb *list[LEFT];
    for (int index = 0; index < count; index++) {
        requests[index] = (struct iocb){
            .aio_data = first + (uint64_t)index,
            .aio_lio_opcode = IOCB_CMD_PWRITE,
            .aio_fildes = (unsigned)file,
            .aio_buf = (uintptr_t)page,
            .aio_nbytes = 100 + (uint64_t)index,
        };
        list[index] = &requests[index];
    }
    long result = syscall(SYS_io_submit, context, (long)count, list);
    expect(result == count, "io_submit: %ld %s", result, strerror(errno));
}

static void take(aio_context_t context, uint64_t first, int count) {
    struct io_event events[LEFT] = {{0}};
    long result = syscall(SYS_io_getevents, context, (long)count, (long)LEFT, events, NULL);
    expect(result == count, "io_getevents: %ld instead of %d events", result, count);
    for (int index = 0; index < count; index++) {
        expect(events[index].data == first + (uint64_t)index && events[index].res == 100 + index, "event %d: data %llu, result %lld", index,
               events[index].data, events[index].res);
    }
}

/// As libaio looks at a ring: its magic, and how many events are in it.
static void expect_ring(aio_context_t context, unsigned unread) {
    const volatile unsigned *ring = (const volatile unsigned *)context;
    unsigned events = ring[1];
    expect(ring[4] == 0xa10a10a1, "the ring has the magic %x", ring[4]);
    expect((ring[3] + events - ring[2]) % events == unread, "head %u and tail %u of %u", ring[2], ring[3], events);
}

static void *wait_for_event(void *argument) {
    (void)argument;
    struct io_event event;
    while (syscall(SYS_io_getevents, awaited, 1L, 1L, &event, NULL) != 1 && errno == EINTR) {}
    expect(event.data == 77, "the awaited event has the data %llu", event.data);
    awaited_events++;
    return NULL;
}

int run_rings(int count, char **arguments) {
    (void)count, (void)arguments;
    file = open("/tmp", O_RDWR | O_TMPFILE, 0600);
    if (file < 0) cannot_prepare("a file");
    aio_context_t *all[] = {&quiet, &full, &busy, &awaited};
    int sizes[] = {300, 4, 7, 1};
    for (int index = 0; index < 4; index++) {
        if (syscall(SYS_io_setup, sizes[index], all[index])) cannot_prepare("io_setup");
    }
    // So far on that some of the events lie at the end of the ring and the others at its beginning.
    unsigned end = ((unsigned *)full)[1];
    for (unsigned place = 0; place < end - 2; place++) {
        submit(full, place, 1);
        take(full, place, 1);
    }
    submit(full, 1000, LEFT);
    for (int lap = 0; lap < LAPS; lap++) {
        submit(busy, (uint64_t)lap, BATCH);
        take(busy, (uint64_t)lap, BATCH);
    }
    expect_ring(full, LEFT);
    start_thread(wait_for_event, NULL);
    say_ready();
    while (!finish_wanted()) {
        submit(busy, writes, BATCH);
        take(busy, writes, BATCH);
        expect_ring(full, LEFT);
        expect_ring(quiet, 0);
        writes++;
        nap_ms(3);
    }
    take(full, 1000, LEFT);
    expect_ring(full, 0);
    submit(full, 5, 4);
    take(full, 5, 4);
    submit(quiet, 1, 1);
    take(quiet, 1, 1);
    expect(awaited_events == 0, "an event that has not been came");
    submit(awaited, 77, 1);
    for (int wait = 0; wait < 2000 && !awaited_events; wait++) nap_ms(5);
    expect(awaited_events == 1, "the awaited event did not come");
    for (int index = 0; index < 4; index++) expect(syscall(SYS_io_destroy, *all[index]) == 0, "io_destroy %d: %s", index, strerror(errno));
    return verdict("rings");
}
