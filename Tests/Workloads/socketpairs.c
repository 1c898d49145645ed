// Property: pairs of unix sockets keep what waits in them, message by message, with descriptors in flight; who is gone, what is
// shut down, options, owners; a call that waits in one goes on.
#include "workload.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
static const char *const kinds[] = {"stream", "datagram", "seqpacket"};

static void pair(int type, int ends[2]) {
    if (socketpair(AF_UNIX, type, 0, ends)) cannot_prepare("a socket pair");
}

static void give(int fd, const char *text) {
    size_t size = strlen(text);
    expect(send(fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size, "cannot send \"%s\": %s", text, strerror(errno));
}

/// The next message is this text; NULL: there is none.
static void gets_text(int fd, const char *text, const char *where) {
    char bytes[100000];
    ssize_t size = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (!text) {
        expect(size < 0 && errno == EAGAIN, "%s: %zd bytes too many", where, size);
        return;
    }
    expect(size == (ssize_t)strlen(text) && !memcmp(bytes, text, (size_t)size), "%s: %zd bytes instead of \"%s\"", where, size, text);
}

static void give_files(int fd, const char *text, const int *files, size_t count) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(8 * sizeof(int))];
    } control = {0};
    struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(count * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), files, count * sizeof(int));
    expect(sendmsg(fd, &message, MSG_DONTWAIT) == (ssize_t)part.iov_len, "cannot send descriptors: %s", strerror(errno));
}

/// Receives a text with `count` descriptors.
static void take_files(int fd, const char *text, int *files, size_t count, const char *where) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(8 * sizeof(int))];
    } control = {0};
    char bytes[100];
    struct iovec part = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    for (size_t i = 0; i < count; i++) files[i] = -1;
    ssize_t size = recvmsg(fd, &message, MSG_DONTWAIT);
    expect(size == (ssize_t)strlen(text) && !memcmp(bytes, text, (size_t)size), "%s: %zd bytes instead of \"%s\"", where, size, text);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    bool right = count ? header && header->cmsg_len == CMSG_LEN(count * sizeof(int)) : !header;
    expect(right, "%s: another number of descriptors than %zu", where, count);
    if (right && count) memcpy(files, CMSG_DATA(header), count * sizeof(int));
}

static _Atomic uint64_t rounds;

static void echo(int fd) {
    for (;;) {
        uint64_t value = 0;
        if (recv(fd, &value, sizeof value, 0) != sizeof value) _exit(0);
        if (send(fd, &value, sizeof value, MSG_NOSIGNAL) != sizeof value) _exit(1);
    }
}

static void *ask(void *argument) {
    int fd = *(int *)argument;
    for (uint64_t value = 1; !finish_wanted(); value++, rounds++) {
        uint64_t answer = 0;
        expect(send(fd, &value, sizeof value, 0) == sizeof value, "cannot ask: %s", strerror(errno));
        ssize_t size = recv(fd, &answer, sizeof answer, 0);
        expect(size == sizeof answer && answer == value, "asked %llu, answered %llu", (unsigned long long)value, (unsigned long long)answer);
        nap_ms(2);
    }
    rounds = 0;
    return NULL;
}

struct waiter {
    int fd;
    _Atomic int state;
};

/// Waits in recv until something comes, at the end only.
static void *wait_for_one(void *argument) {
    struct waiter *waiter = argument;
    char byte = 0;
    ssize_t size = recv(waiter->fd, &byte, 1, 0);
    expect(size == 1 && byte == '!', "the call that waited ended with %zd: %s", size, strerror(errno));
    waiter->state = 1;
    return NULL;
}

static void set(int fd, int option, const void *value, socklen_t size) {
    if (setsockopt(fd, SOL_SOCKET, option, value, size)) cannot_prepare("an option");
}

static void is_set(int fd, int option, const void *value, socklen_t size, const char *name) {
    char now[32] = {0};
    socklen_t length = sizeof now;
    expect(!getsockopt(fd, SOL_SOCKET, option, now, &length) && length == size && !memcmp(now, value, size), "%s is lost", name);
}

static const int numbers[] = {SO_PASSCRED, SO_PASSSEC, SO_PRIORITY, SO_KEEPALIVE, SO_BROADCAST, SO_REUSEADDR, SO_TIMESTAMP, SO_DONTROUTE};

int run_socketpairs(int count, char **arguments) {
    (void)count, (void)arguments;
    static int question[2];
    pair(SOCK_SEQPACKET, question);
    pid_t child = fork();
    if (child == 0) {
        close(question[0]);
        echo(question[1]);
    }
    close(question[1]);

    // What waits, with the limits of messages, an empty one among them.
    int queue[3][2], gone[3][2], half[3][2], reset[2];
    for (int i = 0; i < 3; i++) {
        pair(types[i], queue[i]);
        give(queue[i][0], "first");
        give(queue[i][0], "second");
        give(queue[i][1], "back");
        pair(types[i], gone[i]);
        give(gone[i][1], "last words");
        close(gone[i][1]);
        pair(types[i], half[i]);
        give(half[i][0], "and no more");
        shutdown(half[i][0], SHUT_WR);
    }
    give(queue[2][0], "third");
    pair(SOCK_STREAM, reset);
    give(reset[0], "unread");
    close(reset[1]);

    // More than one page, and a full socket.
    static char large[90000];
    int big[2], full[2];
    pair(SOCK_SEQPACKET, big);
    fill_pattern(large, sizeof large, 3);
    expect(send(big[0], large, sizeof large, MSG_DONTWAIT) == sizeof large, "cannot send a large message");
    pair(SOCK_STREAM, full);
    size_t filled = 0;
    for (ssize_t size; (size = send(full[0], large, 4096, MSG_DONTWAIT)) > 0;) filled += (size_t)size;

    // Descriptors in flight: a pipe that nothing else leads to, a socket over itself, two in one message, between plain bytes.
    int rights[2], itself[2], tube[2];
    pair(SOCK_STREAM, rights);
    pair(SOCK_DGRAM, itself);
    if (pipe(tube)) cannot_prepare("a pipe");
    expect(write(tube[1], "in the pipe", 11) == 11, "cannot write into the pipe");
    give(rights[0], "before");
    give_files(rights[0], "X", (int[]){tube[0], tube[1]}, 2);
    give(rights[0], "between");
    give_files(rights[0], "YZ", (int[]){question[0]}, 1);
    give(rights[0], "after");
    give_files(itself[0], "self", (int[]){itself[0], itself[1]}, 2);
    close(tube[0]);
    close(tube[1]);

    // Options, flags, the owner of signals.
    int options[2], one = 1, seven = 6, offset = 3, low = 5;
    struct timeval wait = {.tv_sec = 7, .tv_usec = 500000};
    struct linger linger = {1, 9};
    pair(SOCK_STREAM, options);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) set(options[0], numbers[i], numbers[i] == SO_PRIORITY ? &seven : &one, sizeof one);
    set(options[0], SO_RCVTIMEO, &wait, sizeof wait);
    set(options[0], SO_SNDTIMEO, &wait, sizeof wait);
    set(options[0], SO_LINGER, &linger, sizeof linger);
    set(options[0], SO_PEEK_OFF, &offset, sizeof offset);
    set(options[0], SO_RCVLOWAT, &low, sizeof low);
    int size = 50000, sizes[2];
    set(options[0], SO_SNDBUF, &size, sizeof size);
    set(options[0], SO_RCVBUF, &size, sizeof size);
    socklen_t length = sizeof size;
    getsockopt(options[0], SOL_SOCKET, SO_SNDBUF, &sizes[0], &length);
    getsockopt(options[0], SOL_SOCKET, SO_RCVBUF, &sizes[1], &length);
    fcntl(options[0], F_SETFL, O_NONBLOCK);
    fcntl(options[0], F_SETOWN, getpid());
    fcntl(options[0], F_SETSIG, SIGRTMIN + 2);
    fcntl(options[1], F_SETFD, FD_CLOEXEC);
    int again = dup(queue[0][1]);
    int watch = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 99};
    expect(!epoll_ctl(watch, EPOLL_CTL_ADD, queue[0][1], &event), "epoll_ctl: %s", strerror(errno));

    static struct waiter waiter;
    int idle[2];
    pair(SOCK_STREAM, idle);
    waiter.fd = idle[1];
    start_thread(wait_for_one, &waiter);
    start_thread(ask, &question[0]);
    expect_progress("the echo", &rounds, 3);
    say_ready();
    wait_for_finish();
    while (rounds) nap_ms(5);

    expect(epoll_wait(watch, &event, 1, 0) == 1 && event.data.u64 == 99, "the epoll does not tell of the socket");
    gets_text(queue[0][1], "firstsecond", "stream");
    expect(epoll_wait(watch, &event, 1, 0) == 0, "the epoll tells of an empty socket");
    give(queue[0][0], "more");
    gets_text(again, "more", "the duplicate");
    for (int i = 1; i < 3; i++) {
        gets_text(queue[i][1], "first", kinds[i]);
        gets_text(queue[i][1], "second", kinds[i]);
    }
    gets_text(queue[2][1], "third", kinds[2]);
    for (int i = 0; i < 3; i++) {
        gets_text(queue[i][1], NULL, kinds[i]);
        gets_text(queue[i][0], "back", kinds[i]);
        give(queue[i][1], "new");
        gets_text(queue[i][0], "new", kinds[i]);

        char byte;
        gets_text(gone[i][0], "last words", "of one that is gone");
        if (types[i] != SOCK_DGRAM) expect(recv(gone[i][0], &byte, 1, MSG_DONTWAIT) == 0, "%s: no end", kinds[i]);
        int error = types[i] == SOCK_DGRAM ? ECONNREFUSED : EPIPE;
        expect(send(gone[i][0], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == error, "%s: sent to one that is gone: %s", kinds[i], strerror(errno));

        gets_text(half[i][1], "and no more", "half shut down");
        if (types[i] != SOCK_DGRAM) expect(recv(half[i][1], &byte, 1, MSG_DONTWAIT) == 0, "%s: half shut down has no end", kinds[i]);
        expect(send(half[i][0], "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE, "%s: sends again", kinds[i]);
        give(half[i][1], "this way");
        gets_text(half[i][0], "this way", kinds[i]);
    }
    char byte;
    expect(recv(reset[0], &byte, 1, MSG_DONTWAIT) < 0 && errno == ECONNRESET, "no ECONNRESET: %s", strerror(errno));
    expect(recv(reset[0], &byte, 1, MSG_DONTWAIT) == 0, "no end after ECONNRESET");

    static char received[sizeof large];
    expect(recv(big[1], received, sizeof received, MSG_DONTWAIT) == sizeof received && wrong_byte(received, sizeof received, 3) < 0, "the large message is another");
    for (ssize_t part; filled && (part = recv(full[1], received, 4096, MSG_DONTWAIT)) > 0; filled -= (size_t)part)
        expect(part == 4096 && !memcmp(received, large, 4096), "what filled the socket is another");
    expect(filled == 0, "%zu bytes of the full socket are missing", filled);

    int files[2];
    char text[20] = {0};
    // Read exactly: the descriptors come with the piece that they were sent with, not with the one before.
    expect(recv(rights[1], text, 6, 0) == 6 && !memcmp(text, "before", 6), "before descriptors: \"%s\"", text);
    memset(text, 0, sizeof text);
    take_files(rights[1], "X", files, 2, "two in flight");
    expect(read(files[0], text, sizeof text) == 11 && !memcmp(text, "in the pipe", 11), "the pipe in flight has lost \"%s\"", text);
    expect(write(files[1], "on", 2) == 2 && read(files[0], text, sizeof text) == 2, "the pipe in flight is no pipe");
    expect(recv(rights[1], text, 7, 0) == 7 && !memcmp(text, "between", 7), "between descriptors: \"%s\"", text);
    take_files(rights[1], "YZ", files, 1, "one in flight");
    expect(send(files[0], &(uint64_t){7}, 8, 0) == 8 && recv(question[0], text, sizeof text, 0) == 8, "the socket in flight is another");
    take_files(rights[1], "after", files, 0, "none in flight");
    take_files(itself[1], "self", files, 2, "a socket in flight over itself");
    give(files[0], "round");
    gets_text(itself[1], "round", "a socket in flight over itself");

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        is_set(options[0], numbers[i], numbers[i] == SO_PRIORITY ? &seven : &one, sizeof one, "an option");
    is_set(options[0], SO_RCVTIMEO, &wait, sizeof wait, "SO_RCVTIMEO");
    is_set(options[0], SO_SNDTIMEO, &wait, sizeof wait, "SO_SNDTIMEO");
    is_set(options[0], SO_LINGER, &linger, sizeof linger, "SO_LINGER");
    is_set(options[0], SO_PEEK_OFF, &offset, sizeof offset, "SO_PEEK_OFF");
    is_set(options[0], SO_RCVLOWAT, &low, sizeof low, "SO_RCVLOWAT");
    is_set(options[0], SO_SNDBUF, &sizes[0], sizeof size, "SO_SNDBUF");
    is_set(options[0], SO_RCVBUF, &sizes[1], sizeof size, "SO_RCVBUF");
    expect(fcntl(options[0], F_GETFL) & O_NONBLOCK && !(fcntl(options[1], F_GETFL) & O_NONBLOCK), "O_NONBLOCK is lost");
    expect(fcntl(options[0], F_GETOWN) == getpid() && fcntl(options[0], F_GETSIG) == SIGRTMIN + 2, "the owner is lost");
    expect(fcntl(options[1], F_GETFD) & FD_CLOEXEC, "close-on-exec is lost");

    expect(!waiter.state, "the call that waits has ended");
    give(idle[0], "!");
    for (int i = 0; i < 2000 && !waiter.state; i++) nap_ms(5);
    expect(waiter.state, "the call that waited does not end");

    shutdown(question[0], SHUT_RDWR);
    int status = -1;
    expect(waitpid(child, &status, 0) == child && status == 0, "the child ended with %x", (unsigned)status);
    return verdict("socketpairs");
}
