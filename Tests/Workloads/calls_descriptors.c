// Calls that wait for a pipe.
#include "calls.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

static void make_pipe(struct trial *t) {
    if (pipe(t->descriptors)) cannot_prepare("pipe");
}
static void make_full_pipe(struct trial *t) {
    make_pipe(t);
    fcntl(t->descriptors[1], F_SETFL, O_NONBLOCK);
    char block[4096] = {0};
    while (write(t->descriptors[1], block, sizeof block) > 0) continue;
    fcntl(t->descriptors[1], F_SETFL, 0);
}
static void write_byte(struct trial *t) {
    if (write(t->descriptors[1], "x", 1) != 1) fail("write: %s", strerror(errno));
}
static void make_room(struct trial *t) {
    char block[4096];
    if (read(t->descriptors[0], block, sizeof block) != (ssize_t)sizeof block) fail("read: %s", strerror(errno));
}

static void read_pipe(struct trial *t) {
    char byte = 0;
    TRY(t, SYS_read, t->descriptors[0], &byte, 1);
    snprintf(t->wrote, sizeof t->wrote, "byte:%d", byte);
}
static void write_pipe(struct trial *t) {
    char block[4096] = {1};
    TRY(t, SYS_write, t->descriptors[1], block, sizeof block);
}

static void poll_for(struct trial *t, int milliseconds) {
    struct pollfd entries[2] = {{t->descriptors[0], POLLIN, 0}, {-1, POLLIN, 0}};
    TRY(t, SYS_poll, entries, 2, milliseconds);
    snprintf(t->wrote, sizeof t->wrote, "revents:%x", entries[0].revents);
}
static void poll_limited(struct trial *t) { poll_for(t, ASKED_NS / 1000000); }
static void poll_endless(struct trial *t) { poll_for(t, -1); }
static void poll_event(struct trial *t) { poll_for(t, 5 * ASKED_NS / 1000000); }
static void poll_nothing(struct trial *t) { TRY(t, SYS_poll, NULL, 0, ASKED_NS / 1000000); }

static void ppoll_limited(struct trial *t) {
    struct pollfd entry = {t->descriptors[0], POLLIN, 0};
    struct timespec asked = time_of(ASKED_NS);
    TRY(t, SYS_ppoll, &entry, 1, &asked, NULL, 8);
    t->left_ns = ns_of(asked);
}
static void select_for(struct trial *t, struct long_time *limit) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(t->descriptors[0], &set);
    TRY(t, SYS_SELECT, t->descriptors[0] + 1, &set, NULL, NULL, limit);
    snprintf(t->wrote, sizeof t->wrote, "set:%d", FD_ISSET(t->descriptors[0], &set) != 0);
}
static void select_limited(struct trial *t) {
    struct long_time limit = {ASKED_NS / 1000000000, 0};
    select_for(t, &limit);
    t->left_ns = limit.seconds * 1000000000LL + limit.nanoseconds * 1000;
}
static void select_endless(struct trial *t) { select_for(t, NULL); }
// The kernel cannot write the remaining time here, so it does not restart the call.
static struct long_time *constant_limit;
static void make_constant(struct trial *t) {
    make_pipe(t);
    constant_limit = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    constant_limit->seconds = ASKED_NS / 1000000000;
    mprotect(constant_limit, 4096, PROT_READ);
}
static void select_constant(struct trial *t) { select_for(t, constant_limit); }
static void pselect_limited(struct trial *t) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(t->descriptors[0], &set);
    struct timespec asked = time_of(ASKED_NS);
    uint64_t mask = 0;
    struct {
        void *set;
        size_t size;
    } signals = {&mask, 8};
    TRY(t, SYS_pselect6, t->descriptors[0] + 1, &set, NULL, NULL, &asked, &signals);
    t->left_ns = ns_of(asked);
}

// MARK: epoll, on the pipe

static int polled;
static void make_epoll(struct trial *t) {
    make_pipe(t);
    polled = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 4711};
    if (epoll_ctl(polled, EPOLL_CTL_ADD, t->descriptors[0], &event)) cannot_prepare("epoll");
}
static void say_events(struct trial *t, const struct epoll_event *event) {
    snprintf(t->wrote, sizeof t->wrote, "events:%x,data:%d", event->events, (int)event->data.u64);
}
static void epoll_for(struct trial *t, int milliseconds) {
    struct epoll_event event = {0};
    TRY(t, SYS_epoll_wait, polled, &event, 1, milliseconds);
    say_events(t, &event);
}
static void epoll_limited(struct trial *t) { epoll_for(t, ASKED_NS / 1000000); }
static void epoll_endless(struct trial *t) { epoll_for(t, -1); }
static void epoll_event_comes(struct trial *t) { epoll_for(t, 5 * ASKED_NS / 1000000); }
static void epoll_masked(struct trial *t) {
    struct epoll_event event = {0};
    uint64_t mask = 0;
    TRY(t, SYS_epoll_pwait, polled, &event, 1, ASKED_NS / 1000000, &mask, 8L);
    say_events(t, &event);
}
static void epoll_exact(struct trial *t) {
    struct epoll_event event = {0};
    struct wide_time asked = wide_time_of(ASKED_NS);
    TRY(t, 441, polled, &event, 1, &asked, NULL, 8L);
    say_events(t, &event);
    // The caller's structure is not touched.
    if (asked.seconds != ASKED_NS / 1000000000 || asked.nanoseconds) fail("epoll_pwait2 changed the timeout");
}

const struct call descriptor_calls[] = {
    {"read-pipe", RESTARTABLE, make_pipe, read_pipe, write_byte},
    {"write-pipe", RESTARTABLE, make_full_pipe, write_pipe, make_room},
    {"poll", RESTARTABLE, make_pipe, poll_limited, NULL},
    {"poll-endless", RESTARTABLE, make_pipe, poll_endless, write_byte},
    {"poll-event", RESTARTABLE, make_pipe, poll_event, write_byte},
    {"poll-nothing", RESTARTABLE, NULL, poll_nothing, NULL},
    {"ppoll", RESTARTABLE, make_pipe, ppoll_limited, NULL},
    {"select", RESTARTABLE, make_pipe, select_limited, NULL},
    {"select-endless", RESTARTABLE, make_pipe, select_endless, write_byte},
    {"select-constant", RESTARTABLE, make_constant, select_constant, NULL},
    {"pselect6", RESTARTABLE, make_pipe, pselect_limited, NULL},
    {"epoll_wait", RESTARTABLE, make_epoll, epoll_limited, NULL},
    {"epoll_wait-endless", RESTARTABLE, make_epoll, epoll_endless, write_byte},
    {"epoll_wait-event", RESTARTABLE, make_epoll, epoll_event_comes, write_byte},
    {"epoll_pwait", RESTARTABLE, make_epoll, epoll_masked, NULL},
    {"epoll_pwait2", RESTARTABLE, make_epoll, epoll_exact, NULL},
    {0},
};
