// Property: connections within the tree that the program has not accepted yet, and on which nothing was said, are accepted later, under
// their names, and with the options of their clients.
#include "netoptions.h"
#include <netinet/tcp.h>
#include <poll.h>

enum { CLIENTS = 3 };

/// IPv4, IPv6, and IPv4 seen as IPv6 by the server.
struct place {
    const char *name;
    int server, client;
    int listening, clients[CLIENTS];
    in_port_t ports[CLIENTS];
};

union address {
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

static in_port_t port_of(int fd) {
    union address address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (void *)&address, &size)) cannot_prepare("getsockname");
    return address.four.sin_port;
}

static in_port_t peer_port(int fd) {
    union address address = {0};
    socklen_t size = sizeof address;
    expect(!getpeername(fd, (void *)&address, &size), "getpeername: %s", strerror(errno));
    return address.four.sin_port;
}

static void make(struct place *place) {
    union address address = {0};
    socklen_t size = place->server == AF_INET ? sizeof address.four : sizeof address.six;
    if (place->server == AF_INET) address.four = v4("127.0.0.1", 0);
    else address.six = v6(place->client == AF_INET ? "::" : "::1", 0);
    place->listening = socket(place->server, SOCK_STREAM, 0);
    if (bind(place->listening, (void *)&address, size) || listen(place->listening, 8)) cannot_prepare("listen");
    int port = ntohs(port_of(place->listening));
    size = place->client == AF_INET ? sizeof address.four : sizeof address.six;
    if (place->client == AF_INET) address.four = v4("127.0.0.1", port);
    else address.six = v6("::1", port);
    for (int i = 0; i < CLIENTS; i++) {
        place->clients[i] = socket(place->client, SOCK_STREAM, 0);
        if (connect(place->clients[i], (void *)&address, size)) cannot_prepare("connect");
        setsockopt(place->clients[i], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        place->ports[i] = port_of(place->clients[i]);
    }
}

static bool arrives(int from, int to, char byte) {
    char got = 0;
    struct pollfd comes = {to, POLLIN, 0};
    return send(from, &byte, 1, MSG_NOSIGNAL) == 1 && poll(&comes, 1, 10000) == 1 && recv(to, &got, 1, MSG_DONTWAIT) == 1 && got == byte;
}

static void compare(struct place *place) {
    bool seen[CLIENTS] = {false};
    for (int i = 0; i < CLIENTS; i++) {
        struct pollfd comes = {place->listening, POLLIN, 0};
        int end = poll(&comes, 1, 10000) == 1 ? accept(place->listening, NULL, NULL) : -1;
        if (end < 0) return fail("%s: only %d connections are accepted", place->name, i);
        in_port_t port = peer_port(end);
        int who = 0;
        while (who < CLIENTS && place->ports[who] != port) who++;
        if (who == CLIENTS || seen[who]) return fail("%s: a connection of port %d", place->name, ntohs(port));
        seen[who] = true;
        int client = place->clients[who], value = 0;
        socklen_t size = sizeof value;
        expect(port_of(client) == port && peer_port(client) == port_of(place->listening), "%s: a client has other names", place->name);
        expect(!getsockopt(client, IPPROTO_TCP, TCP_NODELAY, &value, &size) && value == 1, "%s: TCP_NODELAY is %d", place->name, value);
        expect(!(fcntl(client, F_GETFL) & O_NONBLOCK), "%s: a client does not wait any more", place->name);
        expect(arrives(client, end, 'a') && arrives(end, client, 'b'), "%s: nothing goes through", place->name);
    }
    struct pollfd more = {place->listening, POLLIN, 0};
    expect(poll(&more, 1, 0) == 0, "%s: there are more connections than clients", place->name);
}

int run_unaccepted(int count, char **arguments) {
    (void)count, (void)arguments;
    struct place places[] = {
        {.name = "IPv4", .server = AF_INET, .client = AF_INET}, {.name = "IPv6", .server = AF_INET6, .client = AF_INET6},
        {.name = "IPv4 seen as IPv6", .server = AF_INET6, .client = AF_INET},
    };
    for (size_t i = 0; i < 3; i++) make(&places[i]);
    say_ready();
    wait_for_finish();
    for (size_t i = 0; i < 3; i++) compare(&places[i]);
    return verdict("unaccepted");
}
