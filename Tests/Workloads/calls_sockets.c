// Calls that wait for sockets, with and without a timeout of the socket's own.
#include "calls.h"
#include <sys/socket.h>
#include <sys/un.h>

static void make_stream(struct trial *t) {
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, t->descriptors)) cannot_prepare("socketpair");
}
static void limit(struct trial *t, int which) {
    struct timeval asked = {ASKED_NS / 1000000000, 0};
    setsockopt(t->descriptors[0], SOL_SOCKET, which, &asked, sizeof asked);
}
static void make_limited_stream(struct trial *t) {
    make_stream(t);
    limit(t, SO_RCVTIMEO);
}
static void make_packets(struct trial *t) {
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, t->descriptors)) cannot_prepare("socketpair");
}
static void fill(struct trial *t) {
    char block[4096] = {0};
    while (send(t->descriptors[0], block, sizeof block, MSG_DONTWAIT) > 0) continue;
}
static void make_full_stream(struct trial *t) {
    make_stream(t);
    fill(t);
}
static void make_limited_full_stream(struct trial *t) {
    make_stream(t);
    fill(t);
    limit(t, SO_SNDTIMEO);
}
static void listen_at(struct trial *t, bool limited) {
    t->descriptors[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    if (bind(t->descriptors[0], (void *)&any, sizeof any.sun_family) || listen(t->descriptors[0], 1))
        cannot_prepare("listen");
    if (limited) limit(t, SO_RCVTIMEO);
}
static void make_listener(struct trial *t) { listen_at(t, false); }
static void make_limited_listener(struct trial *t) { listen_at(t, true); }

static void send_byte(struct trial *t) {
    if (send(t->descriptors[1], "x", 1, 0) != 1) fail("send: %s", strerror(errno));
}
static void drain(struct trial *t) {
    char block[4096];
    while (recv(t->descriptors[1], block, sizeof block, MSG_DONTWAIT) > 0) continue;
}
static void connect_to(struct trial *t) {
    struct sockaddr_un name;
    socklen_t length = sizeof name;
    getsockname(t->descriptors[0], (void *)&name, &length);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (void *)&name, length)) fail("connect: %s", strerror(errno));
}

static void receive(struct trial *t) {
    char byte = 0;
    TRY(t, SYS_recvfrom, t->descriptors[0], &byte, 1, 0, NULL, NULL);
    snprintf(t->wrote, sizeof t->wrote, "byte:%d", byte);
}
static void receive_by_read(struct trial *t) {
    char byte = 0;
    TRY(t, SYS_read, t->descriptors[0], &byte, 1);
    snprintf(t->wrote, sizeof t->wrote, "byte:%d", byte);
}
static void receive_many(struct trial *t) {
    char byte = 0;
    struct iovec vector = {&byte, 1};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &vector, .msg_iovlen = 1}};
    TRY(t, SYS_recvmmsg, t->descriptors[0], &message, 1, 0, NULL);
    snprintf(t->wrote, sizeof t->wrote, "byte:%d", byte);
}
static void send_more(struct trial *t) {
    char byte = 1;
    TRY(t, SYS_sendto, t->descriptors[0], &byte, 1, 0, NULL, 0);
}
static void accept_one(struct trial *t) {
#if defined(__i386__)
    // There is no call of this name: accept by socketcall.
    long arguments[3] = {t->descriptors[0], 0, 0};
    TRY(t, SYS_socketcall, 5, arguments);
#else
    TRY(t, SYS_accept, t->descriptors[0], NULL, NULL);
#endif
    if (t->result > 0) t->result = 1;
}

const struct call socket_calls[] = {
    {"recv", 0, make_stream, receive, send_byte},
    {"recvmmsg", 0, make_packets, receive_many, send_byte},
    {"send", 0, make_full_stream, send_more, drain},
    {"accept", 0, make_listener, accept_one, connect_to},
    // They wait for the whole timeout again after a restart: see docs/limits.md.
    {"recv-limit", PROCESSOR, make_limited_stream, receive, NULL},
    {"read-limit", PROCESSOR, make_limited_stream, receive_by_read, NULL},
    {"send-limit", PROCESSOR, make_limited_full_stream, send_more, NULL},
    {"accept-limit", PROCESSOR, make_limited_listener, accept_one, NULL},
    {0},
};
