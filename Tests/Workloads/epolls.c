// Property: epolls watch the same files under the same numbers, with the same events and data.
#include "workload.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

static void watch(int epoll, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = {.events = events, .data.u64 = data};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) cannot_prepare("epoll_ctl");
}

/// The data of the one file that is ready, or 0.
static uint64_t only_ready(int epoll) {
    struct epoll_event events[8];
    int count = epoll_wait(epoll, events, 8, 0);
    return count == 1 ? events[0].data.u64 : 0;
}

static void give(int fd) {
    uint64_t one = 1;
    expect(write(fd, &one, sizeof one) == sizeof one, "an eventfd takes nothing");
}

static void take(int fd) {
    uint64_t value;
    expect(read(fd, &value, sizeof value) == sizeof value, "an eventfd gives nothing");
}

static _Atomic uint64_t events_seen;

/// A server loop: waits without and with a time limit, and answers requests.
static void *serve(void *argument) {
    int *fds = argument;
    while (!finish_wanted()) {
        struct epoll_event event;
        int count = epoll_wait(fds[0], &event, 1, 20);
        expect(count >= 0, "epoll_wait: %s", strerror(errno));
        if (count == 1 && event.data.u64 == 77) {
            take(fds[1]);
            events_seen++;
        }
    }
    events_seen = 0;
    return NULL;
}

int run_epolls(int count, char **arguments) {
    (void)count, (void)arguments;
    // A child inherits an epoll and what it watches, and feeds it.
    int served[2] = {epoll_create1(EPOLL_CLOEXEC), eventfd(0, EFD_SEMAPHORE)};
    watch(served[0], served[1], EPOLLIN, 77);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec far = {{0, 0}, {3600, 0}};
    timerfd_settime(timer, 0, &far, NULL);
    watch(served[0], timer, EPOLLIN | EPOLLET, 78);
    pid_t child = fork();
    if (child == 0) {
        while (!finish_wanted()) {
            uint64_t one = 1;
            if (write(served[1], &one, sizeof one) < 0) _exit(1);
            nap_ms(10);
        }
        _exit(0);
    }

    int ends[2], level = eventfd(0, 0), shot = eventfd(1, 0), moved = eventfd(0, 0), lonely = eventfd(0, 0);
    if (pipe(ends)) cannot_prepare("pipe");
    int epoll = epoll_create1(0), outer = epoll_create1(0), other = epoll_create1(0);
    watch(epoll, level, EPOLLIN, 0x1122334455667788ULL);
    watch(epoll, ends[0], EPOLLIN | EPOLLRDHUP | EPOLLET, 2);
    watch(outer, epoll, EPOLLIN, 3);
    watch(outer, served[0], EPOLLIN | EPOLLONESHOT, 33);
    // A one-shot registration that has fired, so it reports nothing any more.
    watch(other, shot, EPOLLIN | EPOLLONESHOT, 4);
    if (only_ready(other) != 4 || only_ready(other) != 0) cannot_prepare("one-shot registration");
    // Files registered by a descriptor that is another file's by now, and by one that is closed.
    int busy = dup(moved), closed = dup(lonely);
    watch(other, busy, EPOLLIN, 5);
    watch(other, closed, EPOLLIN | EPOLLEXCLUSIVE, 6);
    if (dup2(level, busy) != busy) cannot_prepare("dup2");
    close(closed);
    watch(other, busy, EPOLLIN, 7);

    start_thread(serve, served);
    expect_progress("the server", &events_seen, 3);
    say_ready();
    wait_for_finish();
    while (events_seen) nap_ms(5);

    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 99};
    expect(epoll_ctl(outer, EPOLL_CTL_MOD, served[0], &event) == 0, "the one-shot registration is gone");
    expect(epoll_ctl(outer, EPOLL_CTL_DEL, served[0], NULL) == 0, "the registration cannot be removed");
    expect(only_ready(epoll) == 0, "something is ready too early");
    give(level);
    expect(only_ready(epoll) == 0x1122334455667788ULL, "the level-triggered file is not ready");
    expect(only_ready(outer) == 3, "the outer epoll sees nothing");
    expect(only_ready(other) == 7, "the file behind the number is not ready");
    take(level);
    expect(only_ready(epoll) == 0 && only_ready(outer) == 0, "the level-triggered file is ready for ever");
    expect(write(ends[1], "x", 1) == 1 && only_ready(epoll) == 2 && only_ready(epoll) == 0, "the edge is not seen once");
    close(ends[1]);
    expect(only_ready(epoll) == 2, "the end of the pipe is not seen");
    expect(only_ready(other) == 0, "the one-shot registration that had fired fires again");
    give(moved);
    expect(only_ready(other) == 5, "the file that left its number is not watched");
    take(moved);
    give(lonely);
    expect(only_ready(other) == 6, "the file whose number is closed is not watched");
    take(lonely);
    event = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 8};
    expect(epoll_ctl(other, EPOLL_CTL_MOD, shot, &event) == 0 && only_ready(other) == 8,
           "the one-shot registration cannot be renewed");
    expect(epoll_ctl(other, EPOLL_CTL_ADD, shot, &event) < 0 && errno == EEXIST, "it can be registered twice");
    int status = -1;
    expect(waitpid(child, &status, 0) == child && status == 0, "the child ended with %x", (unsigned)status);
    return verdict("epolls");
}
