// Property: of several sockets that listen at one port (SO_REUSEPORT), each gets the same connections as before: they are in the order in which
// they began to listen, which is not that of their descriptors.
#include "netoptions.h"
#include <poll.h>

enum { MEMBERS = 4, CLIENTS = 24 };

struct group {
    int family, members[MEMBERS];
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

/// Connects from a port (0: any), and looks which member gets it. -1: the port is taken.
static int member_for(struct group *group, in_port_t *from) {
    socklen_t size;
    union address own = loopback(group, *from, &size), server = loopback(group, group->port, &size);
    int fd = socket(group->family, SOCK_STREAM | SOCK_CLOEXEC, 0), found = -1;
    // Its end is a reset: the port is free again at once.
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (void *)&own, size) || connect(fd, (void *)&server, size)) {
        close(fd);
        return -1;
    }
    *from = port_of(fd);
    struct pollfd wait[MEMBERS];
    for (int i = 0; i < MEMBERS; i++) wait[i] = (struct pollfd){group->members[i], POLLIN, 0};
    expect(poll(wait, MEMBERS, 10000) == 1, "a connection comes to no member, or to several");
    for (int i = 0; i < MEMBERS; i++) {
        if (!wait[i].revents) continue;
        found = i;
        close(accept(group->members[i], NULL, NULL));
    }
    close(fd);
    return found;
}

static void make(struct group *group) {
    static const int order[MEMBERS] = {2, 0, 3, 1};
    for (int i = 0; i < MEMBERS; i++) {
        group->members[i] = socket(group->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(group->members[i], SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int));
    }
    for (int i = 0; i < MEMBERS; i++) {
        socklen_t size;
        union address address = loopback(group, group->port, &size);
        int fd = group->members[order[i]];
        if (bind(fd, (void *)&address, size) || listen(fd, 8)) cannot_prepare("a group of sockets");
        group->port = port_of(fd);
    }
    for (int i = 0; i < CLIENTS; i++) {
        group->got[i] = member_for(group, &group->clients[i]);
        if (group->got[i] < 0) cannot_prepare("a connection");
    }
}

static void compare(struct group *group) {
    int compared = 0, others = 0;
    for (int i = 0; i < CLIENTS; i++) {
        int member = member_for(group, &group->clients[i]);
        if (member < 0) continue;
        compared++;
        if (member != group->got[i]) others++;
    }
    expect(compared > CLIENTS / 2, "only %d ports of clients are free", compared);
    expect(others == 0, "%s: %d of %d connections come to another member", group->family == AF_INET ? "IPv4" : "IPv6", others, compared);
}

int run_portgroups(int count, char **arguments) {
    (void)count, (void)arguments;
    struct group groups[] = {{.family = AF_INET}, {.family = AF_INET6}};
    for (int i = 0; i < 2; i++) make(&groups[i]);
    say_ready();
    wait_for_finish();
    for (int i = 0; i < 2; i++) compare(&groups[i]);
    return verdict("portgroups");
}
