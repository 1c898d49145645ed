// Property: of several sockets that listen at one port (SO_REUSEPORT), each gets the same connections as before: they are in the order in which
// they began to listen, which is not that of their descriptors. Likewise of UDP sockets, and each has what waited in it.
#include "netoptions.h"
#include <poll.h>

enum { MEMBERS = 4, CLIENTS = 24 };

struct group {
    int family, type, members[MEMBERS];
    in_port_t port;
    /// Ports of clients, and which member got the connection.
    in_port_t clients[CLIENTS];
    int got[CLIENTS];
};

union address {
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

static union address loopback(const struct group *group, in_port_t port, socklen_t *size) {
    union address address = {0};
    if (group->family == AF_INET) {
        address.four = v4("127.0.0.1", ntohs(port));
        *size = sizeof address.four;
    } else {
        address.six = v6("::1", ntohs(port));
        *size = sizeof address.six;
    }
    return address;
}

static in_port_t port_of(int fd) {
    union address address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (void *)&address, &size)) cannot_prepare("getsockname");
    return address.four.sin_port;
}

/// Connects from a port (0: any), and looks which member gets it (a byte, of UDP). -1: the port is taken.
static int member_for(struct group *group, in_port_t *from) {
    socklen_t size;
    union address own = loopback(group, *from, &size), server = loopback(group, group->port, &size);
    int fd = socket(group->family, group->type | SOCK_CLOEXEC, 0), found = -1;
    // Its end is a reset: the port is free again at once.
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (void *)&own, size) || connect(fd, (void *)&server, size)) {
        close(fd);
        return -1;
    }
    *from = port_of(fd);
    if (group->type == SOCK_DGRAM && send(fd, "", 1, 0) != 1) cannot_prepare("send");
    struct pollfd wait[MEMBERS];
    for (int i = 0; i < MEMBERS; i++) wait[i] = (struct pollfd){group->members[i], POLLIN, 0};
    expect(poll(wait, MEMBERS, 10000) == 1, "a connection comes to no member, or to several");
    for (int i = 0; i < MEMBERS; i++) {
        if (!wait[i].revents) continue;
        found = i;
        char byte;
        if (group->type == SOCK_STREAM) close(accept(group->members[i], NULL, NULL));
        else expect(recv(group->members[i], &byte, 1, MSG_DONTWAIT) == 1 && byte == 0, "a member has got something else");
    }
    close(fd);
    return found;
}

/// Sends a byte that stays unread: the number of the member.
static void leave(struct group *group, in_port_t from, int member) {
    socklen_t size;
    union address own = loopback(group, from, &size), server = loopback(group, group->port, &size);
    int fd = socket(group->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (void *)&own, size) || sendto(fd, &(char){(char)member}, 1, 0, (void *)&server, size) != 1) cannot_prepare("something that waits");
    close(fd);
}

static void make(struct group *group) {
    static const int order[MEMBERS] = {2, 0, 3, 1};
    for (int i = 0; i < MEMBERS; i++) {
        group->members[i] = socket(group->family, group->type | SOCK_CLOEXEC, 0);
        setsockopt(group->members[i], SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
    }
    for (int i = 0; i < MEMBERS; i++) {
        socklen_t size;
        union address address = loopback(group, group->port, &size);
        int fd = group->members[order[i]];
        if (bind(fd, (void *)&address, size) || (group->type == SOCK_STREAM && listen(fd, 8))) cannot_prepare("a group of sockets");
        group->port = port_of(fd);
    }
    for (int i = 0; i < CLIENTS; i++) {
        group->got[i] = member_for(group, &group->clients[i]);
        if (group->got[i] < 0) cannot_prepare("a connection");
    }
    for (int i = 0; i < CLIENTS && group->type == SOCK_DGRAM; i++) leave(group, group->clients[i], group->got[i]);
}

static const char *name(const struct group *group) { return group->family == AF_INET ? "IPv4" : "IPv6"; }

/// What waited in each member, and in no other.
static void read_left(struct group *group) {
    int left = 0;
    for (int i = 0; i < MEMBERS; i++) {
        char byte;
        while (recv(group->members[i], &byte, 1, MSG_DONTWAIT) == 1) {
            expect(byte == i, "%s: something for member %d waits in member %d", name(group), byte, i);
            left++;
        }
    }
    expect(left == CLIENTS, "%s: %d of %d datagrams wait", name(group), left, CLIENTS);
}

static void compare(struct group *group) {
    if (group->type == SOCK_DGRAM) read_left(group);
    int compared = 0, others = 0;
    for (int i = 0; i < CLIENTS; i++) {
        int member = member_for(group, &group->clients[i]);
        if (member < 0) continue;
        compared++;
        if (member != group->got[i]) others++;
    }
    expect(compared > CLIENTS / 2, "only %d ports of clients are free", compared);
    expect(others == 0, "%s: %d of %d clients come to another member", name(group), others, compared);
}

int run_portgroups(int count, char **arguments) {
    (void)count, (void)arguments;
    struct group groups[] = {
        {.family = AF_INET, .type = SOCK_STREAM}, {.family = AF_INET6, .type = SOCK_STREAM},
        {.family = AF_INET, .type = SOCK_DGRAM}, {.family = AF_INET6, .type = SOCK_DGRAM},
    };
    for (int i = 0; i < 4; i++) make(&groups[i]);
    say_ready();
    wait_for_finish();
    for (int i = 0; i < 4; i++) compare(&groups[i]);
    return verdict("portgroups");
}
