// Property: TCP sockets of every state, both ends in the tree: what waits and what is on the way arrives, in order and once; ends that were
// sent or received, options, ports and names stay; and all go on.
#include "workload.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

/// IPv4, IPv6, and IPv4 seen as IPv6 by the server.
enum { V4, V6, DUAL, KINDS };

struct name {
    struct sockaddr_storage address;
    socklen_t size;
};

static struct name own(int fd) {
    struct name name = {.size = sizeof name.address};
    if (getsockname(fd, (void *)&name.address, &name.size)) cannot_prepare("getsockname");
    return name;
}

static struct name peer_of(int fd) {
    struct name name = {.size = sizeof name.address};
    if (getpeername(fd, (void *)&name.address, &name.size)) name.size = 0;
    return name;
}

static bool same(struct name one, struct name two) { return one.size == two.size && !memcmp(&one.address, &two.address, one.size); }

static struct name loopback(int kind, in_port_t port) {
    struct name name = {.size = sizeof(struct sockaddr_in)};
    if (kind == V4) {
        *(struct sockaddr_in *)&name.address = (struct sockaddr_in){AF_INET, port, {htonl(INADDR_LOOPBACK)}, {0}};
    } else {
        struct sockaddr_in6 *six = (void *)&name.address;
        *six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port, .sin6_addr = kind == V6 ? in6addr_loopback : in6addr_any};
        name.size = sizeof *six;
    }
    return name;
}

static int made(int kind) {
    int fd = socket(kind == V4 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
    if (fd < 0) cannot_prepare("a socket");
    return fd;
}

static int bound(int kind, in_port_t port) {
    int fd = made(kind);
    struct name name = loopback(kind, port);
    if (kind == V6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int));
    if (bind(fd, (void *)&name.address, name.size)) cannot_prepare("bind");
    return fd;
}

static int listening(int kind) {
    int fd = bound(kind, 0);
    if (listen(fd, 16)) cannot_prepare("listen");
    return fd;
}

static in_port_t port_of(int fd) {
    struct name name = own(fd);
    return name.address.ss_family == AF_INET ? ((struct sockaddr_in *)&name.address)->sin_port : ((struct sockaddr_in6 *)&name.address)->sin6_port;
}

static int connected(int kind, int listener) {
    int fd = made(kind == DUAL ? V4 : kind);
    struct name name = loopback(kind == DUAL ? V4 : kind, port_of(listener));
    if (connect(fd, (void *)&name.address, name.size)) cannot_prepare("connect");
    return fd;
}

struct connection {
    int client, server;
    struct name names[4];
};

static struct connection pair(int kind, int listener) {
    struct connection one = {.client = connected(kind, listener)};
    one.server = accept(listener, NULL, NULL);
    if (one.server < 0) cannot_prepare("accept");
    one.names[0] = own(one.client), one.names[1] = peer_of(one.client), one.names[2] = own(one.server), one.names[3] = peer_of(one.server);
    return one;
}

static void has_names(struct connection *one, const char *where) {
    expect(same(own(one->client), one->names[0]) && same(peer_of(one->client), one->names[1]), "%s: the client has another name", where);
    expect(same(own(one->server), one->names[2]) && same(peer_of(one->server), one->names[3]), "%s: the server has another name", where);
}

static void give(int fd, const char *text) {
    expect(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text), "cannot send \"%s\": %s", text, strerror(errno));
}

/// Receives a text within 10 s; an empty one: the end.
static void gets_text(int fd, const char *text, const char *where) {
    char bytes[200];
    size_t size = 0, wanted = strlen(text);
    do {
        struct pollfd comes = {fd, POLLIN, 0};
        ssize_t part = poll(&comes, 1, 10000) == 1 ? recv(fd, bytes + size, (wanted ? wanted - size : 1), MSG_DONTWAIT) : -2;
        if (part <= 0) {
            expect(part == 0 && !wanted, "%s: %zd (%s) after %zu of %zu bytes of \"%s\"", where, part, strerror(errno), size, wanted, text);
            return;
        }
        size += (size_t)part;
    } while (size < wanted);
    expect(!memcmp(bytes, text, wanted), "%s: \"%.*s\" instead of \"%s\"", where, (int)size, bytes, text);
}

static void talk(int one, int two, const char *where) {
    give(one, "a question");
    gets_text(two, "a question", where);
    give(two, "an answer");
    gets_text(one, "an answer", where);
}

enum { PIECE = 1 << 16 };

/// Sends until nothing more is taken: what was read never, what is on the way, what was not sent yet.
static size_t fill(int fd, uint64_t seed) {
    static char bytes[PIECE];
    fill_pattern(bytes, sizeof bytes, seed);
    size_t size = 0;
    ssize_t part;
    while ((part = send(fd, bytes + size % PIECE, PIECE - size % PIECE, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0) size += (size_t)part;
    return size;
}

static void drain(int fd, size_t size, uint64_t seed, const char *where) {
    static char bytes[PIECE], got[PIECE];
    fill_pattern(bytes, sizeof bytes, seed);
    size_t done = 0;
    while (done < size) {
        size_t room = PIECE - done % PIECE;
        struct pollfd comes = {fd, POLLIN, 0};
        ssize_t part = poll(&comes, 1, 20000) == 1 ? recv(fd, got, size - done < room ? size - done : room, MSG_DONTWAIT) : -2;
        if (part <= 0) return fail("%s: %zd (%s) after %zu of %zu bytes", where, part, strerror(errno), done, size);
        if (memcmp(got, bytes + done % PIECE, (size_t)part)) return fail("%s: other bytes within %zd from %zu on", where, part, done);
        done += (size_t)part;
    }
}

static int state(int fd) {
    struct tcp_info info;
    socklen_t size = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) ? -1 : info.tcpi_state;
}

struct option {
    int level, number, value;
    const char *name;
};

static const struct option options[] = {
    {SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE"}, {IPPROTO_TCP, TCP_KEEPIDLE, 4711, "TCP_KEEPIDLE"}, {IPPROTO_TCP, TCP_KEEPINTVL, 47, "TCP_KEEPINTVL"},
    {IPPROTO_TCP, TCP_KEEPCNT, 11, "TCP_KEEPCNT"}, {IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY"}, {IPPROTO_TCP, TCP_USER_TIMEOUT, 471100, "TCP_USER_TIMEOUT"},
    {IPPROTO_TCP, TCP_LINGER2, 17, "TCP_LINGER2"}, {IPPROTO_TCP, TCP_SYNCNT, 3, "TCP_SYNCNT"}, {SOL_SOCKET, SO_PRIORITY, 3, "SO_PRIORITY"},
    {SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"}, {IPPROTO_IP, IP_TTL, 47, "IP_TTL"}, {SOL_SOCKET, SO_RCVLOWAT, 1, "SO_RCVLOWAT"},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 4711, "TCP_NOTSENT_LOWAT"}, {SOL_SOCKET, SO_OOBINLINE, 1, "SO_OOBINLINE"},
};

static void set_all(int fd) {
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (setsockopt(fd, options[i].level, options[i].number, &options[i].value, sizeof(int))) cannot_prepare(options[i].name);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 5}, sizeof(struct linger));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){40000}, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

static void has_all(int fd, const char *where) {
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        int value = -1;
        socklen_t size = sizeof value;
        expect(!getsockopt(fd, options[i].level, options[i].number, &value, &size) && value == options[i].value, "%s: %s is %d", where, options[i].name, value);
    }
    struct linger linger = {0, 0};
    int room = 0;
    char control[16] = "";
    socklen_t size = sizeof linger;
    getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size);
    expect(linger.l_onoff == 1 && linger.l_linger == 5, "%s: SO_LINGER is %d", where, linger.l_linger);
    size = sizeof room;
    getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, &size);
    expect(room == 80000, "%s: SO_RCVBUF is %d", where, room);
    size = sizeof control;
    getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, control, &size);
    expect(!strcmp(control, "reno"), "%s: TCP_CONGESTION is %s", where, control);
}

static void *echo(void *argument) {
    int fd = *(int *)argument;
    uint64_t value;
    while (recv(fd, &value, sizeof value, MSG_WAITALL) == sizeof value && send(fd, &value, sizeof value, MSG_NOSIGNAL) == sizeof value)
        ;
    return NULL;
}

static int closed_port(void) {
    int fd = bound(V4, 0), port = port_of(fd);
    close(fd);
    return port;
}

int run_connections(int count, char **arguments) {
    (void)count, (void)arguments;
    int listener[KINDS];
    struct connection plain[KINDS], full[KINDS], half[KINDS], ended[KINDS], left[KINDS];
    size_t there[KINDS], back[KINDS];
    for (int i = 0; i < KINDS; i++) {
        listener[i] = listening(i);
        plain[i] = pair(i, listener[i]);
        full[i] = pair(i, listener[i]);
        there[i] = fill(full[i].client, 1), back[i] = fill(full[i].server, 2);
        // The client sends no more; what it sent is not read, nor its end.
        half[i] = pair(i, listener[i]);
        give(half[i].client, "the last words");
        shutdown(half[i].client, SHUT_WR);
        // The server has sent its end, and that was received.
        ended[i] = pair(i, listener[i]);
        shutdown(ended[i].server, SHUT_WR);
        gets_text(ended[i].client, "", "the end of a server");
        // The other end is closed, something waits.
        left[i] = pair(i, listener[i]);
        give(left[i].client, "farewell");
        close(left[i].client);
    }
    // More than fits, then the end.
    struct connection large = pair(V4, listener[V4]);
    size_t all = fill(large.client, 3);
    shutdown(large.client, SHUT_WR);
    // Both have sent their end; the server has something that it has not read.
    struct connection over = pair(V4, listener[V4]);
    give(over.client, "over");
    shutdown(over.client, SHUT_WR);
    nap_ms(5);
    shutdown(over.server, SHUT_WR);
    // Reset, with something unread; and the error taken.
    struct connection lost = pair(V4, listener[V4]), told = pair(V6, listener[V6]);
    give(lost.server, "unread"), give(told.server, "unread");
    give(lost.client, "before the reset"), give(told.client, "before the reset");
    nap_ms(5);
    close(lost.client), close(told.client);
    nap_ms(5);
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(told.server, SOL_SOCKET, SO_ERROR, &error, &size);
    // Corked bytes.
    struct connection corked = pair(DUAL, listener[DUAL]);
    setsockopt(corked.client, IPPROTO_TCP, TCP_CORK, &(int){1}, sizeof(int));
    give(corked.client, "held back");
    // Options; bound only; nothing at all; a group on one port.
    struct connection set = pair(V4, listener[V4]);
    set_all(set.client);
    int empty = made(V4), only = bound(V6, 0), group[3];
    struct name only_name = own(only);
    for (int i = 0; i < 3; i++) {
        group[i] = made(V4);
        struct name name = loopback(V4, i ? port_of(group[0]) : 0);
        setsockopt(group[i], SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
        if (bind(group[i], (void *)&name.address, name.size) || listen(group[i], 64 + i)) cannot_prepare("a group");
    }
    // A thread waits in recv; a child has both ends, too.
    struct connection busy = pair(V4, listener[V4]), shared = pair(V4, listener[V4]);
    static int served;
    served = busy.server;
    start_thread(echo, &served);
    int refused = closed_port();
    pid_t child = fork();
    if (child == 0) {
        char byte;
        _exit(recv(shared.server, &byte, 1, 0) == 1 && byte == 'q' && send(shared.server, "a", 1, MSG_NOSIGNAL) == 1 ? 7 : 1);
    }
    nap_ms(20);
    say_ready();
    uint64_t value = 0, echoed = 0;
    while (!finish_wanted()) {
        value++;
        if (send(busy.client, &value, 8, MSG_NOSIGNAL) != 8 || recv(busy.client, &echoed, 8, MSG_WAITALL) != 8 || echoed != value) {
            fail("the thread answers %lu instead of %lu (%s)", (unsigned long)echoed, (unsigned long)value, strerror(errno));
            break;
        }
        nap_ms(1);
    }

    static const char *const kinds[] = {"IPv4", "IPv6", "IPv4 as IPv6"};
    for (int i = 0; i < KINDS; i++) {
        has_names(&plain[i], kinds[i]);
        talk(plain[i].client, plain[i].server, kinds[i]);
        has_names(&full[i], kinds[i]);
        drain(full[i].server, there[i], 1, kinds[i]);
        drain(full[i].client, back[i], 2, kinds[i]);
        talk(full[i].server, full[i].client, kinds[i]);
        gets_text(half[i].server, "the last words", "half closed");
        gets_text(half[i].server, "", "half closed");
        give(half[i].server, "the other half");
        gets_text(half[i].client, "the other half", "half closed");
        expect(send(half[i].client, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE, "half closed: it sends again");
        give(ended[i].client, "still");
        gets_text(ended[i].server, "still", "the end received");
        gets_text(ended[i].client, "", "the end received");
        gets_text(left[i].server, "farewell", "a client that is gone");
        gets_text(left[i].server, "", "a client that is gone");
        struct connection fresh = pair(i, listener[i]);
        talk(fresh.client, fresh.server, "a new connection");
    }
    drain(large.server, all, 3, "a large rest");
    gets_text(large.server, "", "a large rest");
    give(large.server, "received");
    gets_text(large.client, "received", "a large rest");
    gets_text(over.server, "over", "both have ended");
    gets_text(over.server, "", "both have ended");
    gets_text(over.client, "", "both have ended");
    gets_text(lost.server, "before the reset", "reset");
    char byte;
    expect(recv(lost.server, &byte, 1, MSG_DONTWAIT) < 0 && errno == ECONNRESET, "a reset connection tells %s", strerror(errno));
    gets_text(told.server, "before the reset", "reset");
    gets_text(told.server, "", "a reset that was told");
    expect(state(told.server) == TCP_CLOSE, "a reset connection has state %d", state(told.server));
    struct pollfd held = {corked.server, POLLIN, 0};
    setsockopt(corked.client, IPPROTO_TCP, TCP_CORK, &(int){0}, sizeof(int));
    gets_text(corked.server, "held back", "corked");
    expect(poll(&held, 1, 0) == 0, "corked: more than there was");
    has_all(set.client, "options");
    talk(set.client, set.server, "options");
    expect(state(empty) == TCP_CLOSE && port_of(empty) == 0, "a new socket has state %d", state(empty));
    expect(same(own(only), only_name) && state(only) == TCP_CLOSE, "one that is only bound has another name");
    int got = 0;
    for (int i = 0; i < 30; i++) connected(V4, group[0]);
    for (int i = 0; i < 3; i++) {
        struct pollfd comes = {group[i], POLLIN, 0};
        fcntl(group[i], F_SETFL, O_NONBLOCK);
        if (poll(&comes, 1, 100) == 1)
            for (got++; accept(group[i], NULL, NULL) >= 0;)
                ;
    }
    expect(got > 1, "one of a group gets all connections");
    struct name nowhere = loopback(V4, (in_port_t)refused);
    expect(connect(empty, (void *)&nowhere.address, nowhere.size) < 0 && errno == ECONNREFUSED, "a port that is closed: %s", strerror(errno));
    give(shared.client, "q");
    gets_text(shared.client, "a", "from the child");
    int status = -1;
    expect(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7, "the child ended with %x", (unsigned)status);
    return verdict("connections");
}
