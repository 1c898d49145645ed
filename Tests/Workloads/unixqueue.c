// Property: connections of unix sockets that wait to be accepted keep their order, what was sent before, and the process that connected.
#include "workload.h"
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { KINDS = 2, CLIENTS = 4, LARGE = 60000 };
static const int types[KINDS] = {SOCK_STREAM, SOCK_SEQPACKET};
static struct sockaddr_un names[KINDS];
static int listeners[KINDS], own[KINDS][3];
static _Atomic uint64_t *shared;
enum { CONNECTED, LEAVE };

static int join(int kind) {
    int fd = socket(AF_UNIX, types[kind], 0);
    if (fd < 0 || connect(fd, (void *)&names[kind], sizeof names[kind])) cannot_prepare("connect");
    return fd;
}

static void give(int fd, const char *text) {
    expect(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text), "send: %s", strerror(errno));
}

/// What the next messages are, and that the process `sender` has sent them.
static void get(int fd, const char *text, pid_t sender) {
    char bytes[4096] = "";
    char control[CMSG_SPACE(sizeof(struct ucred))];
    struct iovec part = {bytes, strlen(text)};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t count = recvmsg(fd, &header, MSG_DONTWAIT);
    expect(count == (ssize_t)strlen(text) && memcmp(bytes, text, strlen(text)) == 0, "%zd bytes \"%s\" instead of \"%s\"", count, bytes, text);
    struct cmsghdr *told = CMSG_FIRSTHDR(&header);
    struct ucred from = {0};
    if (told) memcpy(&from, CMSG_DATA(told), sizeof from);
    expect(from.pid == sender, "sent by %d instead of %d", from.pid, sender);
}

/// Sends something short, a descriptor, and more than one piece of the kernel's memory holds.
static void give_much(int fd, int file) {
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {"with a file", 11};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *one = CMSG_FIRSTHDR(&header);
    *one = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(one), &file, sizeof file);
    give(fd, "plain");
    expect(sendmsg(fd, &header, MSG_NOSIGNAL) == 11, "sendmsg: %s", strerror(errno));
    static char bytes[LARGE];
    for (int i = 0; i < LARGE; i++) bytes[i] = (char)(i * 7 ^ i >> 8);
    expect(send(fd, bytes, LARGE, MSG_NOSIGNAL) == LARGE, "send: %s", strerror(errno));
}

/// The same, received. The descriptor leads to the pipe of which `write_end` is the other end.
static void get_much(int fd, int write_end) {
    static char bytes[LARGE];
    char control[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))], byte = 0;
    struct iovec part = {bytes, 11};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    get(fd, "plain", getpid());
    expect(recvmsg(fd, &header, MSG_DONTWAIT) == 11 && memcmp(bytes, "with a file", 11) == 0, "another message than that with a file");
    int file = -1;
    for (struct cmsghdr *one = CMSG_FIRSTHDR(&header); one; one = CMSG_NXTHDR(&header, one))
        if (one->cmsg_type == SCM_RIGHTS) memcpy(&file, CMSG_DATA(one), sizeof file);
    expect(write(write_end, "x", 1) == 1 && read(file, &byte, 1) == 1 && byte == 'x', "the descriptor does not lead to the pipe");
    close(file);
    ssize_t count = recv(fd, bytes, LARGE, MSG_DONTWAIT | MSG_WAITALL);
    int wrong = 0;
    for (int i = 0; i < LARGE; i++) wrong += bytes[i] != (char)(i * 7 ^ i >> 8);
    expect(count == LARGE && wrong == 0, "%zd of %d bytes, %d wrong", count, LARGE, wrong);
}

static void expect_peer(int fd, pid_t pid) {
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    expect(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0, "SO_PEERCRED: %s", strerror(errno));
    expect(peer.pid == pid && peer.uid == geteuid() && peer.gid == getegid(), "connected by %d (user %u) instead of %d", peer.pid, peer.uid, pid);
}

static int accepted(int kind) {
    int fd = accept(listeners[kind], NULL, NULL);
    expect(fd >= 0, "accept: %s", strerror(errno));
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    return fd;
}

int run_unixqueue(int count, char **arguments) {
    (void)count, (void)arguments;
    int ends_of_pipe[2];
    if (pipe(ends_of_pipe)) cannot_prepare("pipe");
    shared = shared_memory(4096);
    for (int kind = 0; kind < KINDS; kind++) {
        names[kind].sun_family = AF_UNIX;
        snprintf(names[kind].sun_path + 1, sizeof names[kind].sun_path - 1, "treerestore-unaccepted-%d-%d", getpid(), kind);
        listeners[kind] = socket(AF_UNIX, types[kind], 0);
        if (bind(listeners[kind], (void *)&names[kind], sizeof names[kind]) || listen(listeners[kind], 5)) cannot_prepare("listen");
        own[kind][0] = join(kind);
        give(own[kind][0], "first");
        give(own[kind][0], "second, and more");
    }
    // In the middle a connection of another process.
    pid_t child = fork();
    if (child == 0) {
        int fds[KINDS];
        for (int kind = 0; kind < KINDS; kind++) {
            fds[kind] = join(kind);
            give(fds[kind], "of a child");
        }
        shared[CONNECTED] = 1;
        while (!shared[LEAVE]) nap_ms(2);
        for (int kind = 0; kind < KINDS; kind++) {
            char byte;
            give(fds[kind], "later");
            if (recv(fds[kind], &byte, 1, 0) != 1 || byte != '!') _exit(1);
        }
        _exit(0);
    }
    while (!shared[CONNECTED]) nap_ms(1);
    char large[3000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        own[kind][1] = join(kind);
        give(own[kind][1], large);
        own[kind][2] = join(kind);
        give_much(own[kind][2], ends_of_pipe[0]);
    }
    say_ready();
    wait_for_finish();
    for (int kind = 0; kind < KINDS; kind++) {
        int ends[CLIENTS];
        for (int client = 0; client < CLIENTS; client++) ends[client] = accepted(kind);
        expect_peer(ends[0], getpid());
        expect_peer(ends[1], child);
        expect_peer(ends[2], getpid());
        get(ends[0], "first", getpid());
        get(ends[0], "second, and more", getpid());
        get(ends[1], "of a child", child);
        get(ends[2], large, getpid());
        expect_peer(ends[3], getpid());
        get_much(ends[3], ends_of_pipe[1]);
        give(own[kind][0], "again");
        get(ends[0], "again", getpid());
        give(ends[1], "!");
        close(ends[2]);
        char byte;
        expect(recv(own[kind][1], &byte, 1, 0) == 0, "the end does not come");
        expect(fcntl(listeners[kind], F_SETFL, O_NONBLOCK) == 0 && accept(listeners[kind], NULL, NULL) < 0, "one connection too many");
        own[kind][1] = ends[1];
    }
    shared[LEAVE] = 1;
    int status;
    for (int kind = 0; kind < KINDS; kind++) {
        char bytes[5];
        expect(recv(own[kind][1], bytes, 5, 0) == 5 && memcmp(bytes, "later", 5) == 0, "the child does not go on");
    }
    expect(waitpid(child, &status, 0) == child && status == 0, "the child ended with %x", status);
    return verdict("unixqueue");
}
