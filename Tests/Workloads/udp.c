// Property: UDP and UDP-Lite sockets keep address, peer, options, what waits in them, and what is shut down; shared by fork,
// watched by an epoll, used all the time.
#include "netoptions.h"
#include <netinet/udp.h>

static _Atomic uint64_t rounds;

static void echo(int fd) {
    for (;;) {
        uint64_t value = 0;
        struct sockaddr_storage from;
        socklen_t size = sizeof from;
        if (recvfrom(fd, &value, sizeof value, 0, (void *)&from, &size) != sizeof value) continue;
        if (value == 0) _exit(0);
        sendto(fd, &value, sizeof value, 0, (void *)&from, size);
    }
}

/// Nothing is lost: both sockets are of this tree, and what waits is saved.
static void *ask(void *argument) {
    int fd = *(int *)argument;
    for (uint64_t value = 1; !finish_wanted(); value++, rounds++) {
        uint64_t answer = 0;
        expect(send(fd, &value, sizeof value, 0) == sizeof value, "cannot ask: %s", strerror(errno));
        if (!comes(fd)) {
            fail("no answer to %llu", (unsigned long long)value);
            continue;
        }
        ssize_t size = recv(fd, &answer, sizeof answer, 0);
        expect(size == sizeof answer && answer == value, "asked %llu, answered %llu", (unsigned long long)value, (unsigned long long)answer);
        nap_ms(2);
    }
    return NULL;
}

static void give(int fd, const void *address, socklen_t size, const char *text) {
    if (sendto(fd, text, strlen(text), 0, address, size) != (ssize_t)strlen(text)) cannot_prepare("sendto");
}

static void expect_from(int fd, const char *text, const void *address, socklen_t size) {
    static char buffer[70000];
    struct sockaddr_storage from = {0};
    socklen_t length = sizeof from;
    ssize_t count = recvfrom(fd, buffer, sizeof buffer, MSG_DONTWAIT, (void *)&from, &length);
    expect(count == (ssize_t)strlen(text) && !memcmp(buffer, text, strlen(text)), "\"%.20s\" is lost: %zd", text, count);
    expect(length == size && !memcmp(&from, address, size), "\"%.20s\" comes from another address", text);
}

static void expect_name(int fd, const void *address, socklen_t size, const char *what) {
    struct sockaddr_storage now = {0};
    socklen_t length = sizeof now;
    expect(!getsockname(fd, (void *)&now, &length) && length == size && !memcmp(&now, address, size), "%s: another address", what);
}

static void expect_peer(int fd, const void *address, socklen_t size, const char *what) {
    struct sockaddr_storage now = {0};
    socklen_t length = sizeof now;
    expect(!getpeername(fd, (void *)&now, &length) && length == size && !memcmp(&now, address, size), "%s: another peer", what);
}

static void set_all(int fd) {
    static const int numbers[][3] = {
        {0, IP_TOS, 0x28}, {0, IP_TTL, 17}, {0, IP_RECVTTL, 1}, {0, IP_RECVTOS, 1}, {0, IP_PKTINFO, 1}, {0, IP_RECVERR, 1},
        {0, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE}, {0, IP_FREEBIND, 1}, {0, IP_MULTICAST_TTL, 9}, {0, IP_MULTICAST_LOOP, 0}, {0, IP_MULTICAST_ALL, 0},
        {0, IP_MINTTL, 3}, {0, IP_CHECKSUM, 1}, {0, IP_ORIGDSTADDR, 1}, {0, IP_TRANSPARENT, 1}, {0, IP_RECVOPTS, 1},
        {0, IP_BIND_ADDRESS_NO_PORT, 1}, {1, SO_PRIORITY, 5}, {1, SO_BROADCAST, 1}, {1, SO_REUSEADDR, 1}, {1, SO_REUSEPORT, 1}, {1, SO_MARK, 77},
        {1, SO_TIMESTAMPNS, 1}, {1, SO_RCVBUF, 99000}, {1, SO_SNDBUF, 77000}, {1, SO_RXQ_OVFL, 1}, {1, SO_NO_CHECK, 1}, {1, SO_DONTROUTE, 1},
        {1, SO_KEEPALIVE, 1}, {1, SO_RCVLOWAT, 3}, {1, SO_TIMESTAMPING, 24}, {1, SO_SELECT_ERR_QUEUE, 1}, {1, SO_PEEK_OFF, 4}, {17, UDP_GRO, 1}, {17, UDP_SEGMENT, 900},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) set_number(fd, numbers[i][0], numbers[i][1], numbers[i][2]);
    struct timeval wait = {3, 5000};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait)) cannot_prepare("SO_RCVTIMEO");
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait)) cannot_prepare("SO_SNDTIMEO");
    struct linger linger = {1, 7};
    if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger)) cannot_prepare("SO_LINGER");
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2)) cannot_prepare("SO_BINDTODEVICE");
    static const unsigned char options[] = {1, 1, 1, 0};
    if (setsockopt(fd, 0, IP_OPTIONS, options, sizeof options)) cannot_prepare("IP_OPTIONS");
    struct in_addr device = {htonl(INADDR_LOOPBACK)};
    if (setsockopt(fd, 0, IP_MULTICAST_IF, &device, sizeof device)) cannot_prepare("IP_MULTICAST_IF");
    set_filter(fd, 0, 0);
}

static void set_all_6(int fd) {
    static const int numbers[][2] = {
        {IPV6_TCLASS, 0x48}, {IPV6_RECVTCLASS, 1}, {IPV6_RECVPKTINFO, 1}, {IPV6_RECVHOPLIMIT, 1}, {IPV6_RECVERR, 1}, {IPV6_MULTICAST_HOPS, 7},
        {IPV6_MULTICAST_LOOP, 0}, {IPV6_MULTICAST_ALL, 0}, {IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO}, {IPV6_DONTFRAG, 1}, {IPV6_RECVDSTOPTS, 1},
        {IPV6_FREEBIND, 1}, {IPV6_TRANSPARENT, 1}, {IPV6_AUTOFLOWLABEL, 0}, {IPV6_MINHOPCOUNT, 2}, {IPV6_RECVPATHMTU, 1}, {33, 1}, {IPV6_UNICAST_HOPS, 44},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) set_number(fd, IPPROTO_IPV6, numbers[i][0], numbers[i][1]);
    set_number(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, (int)if_nametoindex("lo"));
    set_number(fd, IPPROTO_UDP, 101, 1);
    set_number(fd, IPPROTO_UDP, 102, 1);
}

int run_udp(int count, char **arguments) {
    (void)count, (void)arguments;
    // A server in a child, asked by a thread.
    struct sockaddr_in server = v4("127.0.0.1", 0);
    int serving = bound_socket(AF_INET, SOCK_DGRAM, 0, &server, sizeof server);
    pid_t child = fork();
    if (child == 0) echo(serving);
    static int question;
    question = made_socket(AF_INET, SOCK_DGRAM, 0);
    if (connect(question, (void *)&server, sizeof server)) cannot_prepare("connect");

    struct sockaddr_in rich_name = v4("127.0.0.1", 0), any = v4("0.0.0.0", 0), sender_name = v4("127.0.0.5", 0), lite_name = v4("127.0.0.1", 0), lone_name = v4("127.0.0.1", 0);
    struct sockaddr_in6 rich6_name = v6("::1", 0), dual_name = v6("::", 0), only_name = v6("::", 0), sender6_name = v6("::1", 0);
    int rich = made_socket(AF_INET, SOCK_DGRAM, 0);
    set_all(rich);
    if (bind(rich, (void *)&rich_name, sizeof rich_name)) cannot_prepare("bind");
    socklen_t size = sizeof rich_name;
    getsockname(rich, (void *)&rich_name, &size);
    int rich6 = made_socket(AF_INET6, SOCK_DGRAM, 0);
    set_all_6(rich6);
    if (bind(rich6, (void *)&rich6_name, sizeof rich6_name)) cannot_prepare("bind");
    size = sizeof rich6_name;
    getsockname(rich6, (void *)&rich6_name, &size);
    int wild = bound_socket(AF_INET, SOCK_DGRAM, 0, &any, sizeof any);
    int dual = bound_socket(AF_INET6, SOCK_DGRAM, 0, &dual_name, sizeof dual_name);
    int only = made_socket(AF_INET6, SOCK_DGRAM, 0);
    set_number(only, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    only_name.sin6_port = dual_name.sin6_port;
    set_number(dual, SOL_SOCKET, SO_REUSEADDR, 1);
    set_number(only, SOL_SOCKET, SO_REUSEADDR, 1);
    if (bind(only, (void *)&only_name, sizeof only_name)) cannot_prepare("bind");
    int plain = made_socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int lite = bound_socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, &lite_name, sizeof lite_name);
    set_number(lite, 136, 10, 12);
    set_number(lite, 136, 11, 8);
    int sender = bound_socket(AF_INET, SOCK_DGRAM, 0, &sender_name, sizeof sender_name);
    int sender6 = bound_socket(AF_INET6, SOCK_DGRAM, 0, &sender6_name, sizeof sender6_name);

    // Two of one port.
    struct sockaddr_in port = v4("127.0.0.2", 0);
    int twins[2];
    for (int i = 0; i < 2; i++) {
        twins[i] = made_socket(AF_INET, SOCK_DGRAM, 0);
        set_number(twins[i], SOL_SOCKET, SO_REUSEPORT, 1);
        if (bind(twins[i], (void *)&port, sizeof port)) cannot_prepare("bind");
        size = sizeof port;
        getsockname(twins[i], (void *)&port, &size);
    }
    // Connected ones: of IPv4 by a socket of IPv6, shut down.
    struct sockaddr_in6 mapped = v6("::ffff:127.0.0.5", ntohs(sender_name.sin_port));
    int through = made_socket(AF_INET6, SOCK_DGRAM, 0), deaf = made_socket(AF_INET, SOCK_DGRAM, 0), dumb = made_socket(AF_INET, SOCK_DGRAM, 0);
    if (connect(through, (void *)&mapped, sizeof mapped)) cannot_prepare("connect");
    if (connect(deaf, (void *)&sender_name, sizeof sender_name) || connect(dumb, (void *)&sender_name, sizeof sender_name)) cannot_prepare("connect");
    shutdown(deaf, SHUT_RD);
    shutdown(dumb, SHUT_WR);
    // The kernel says ENOTCONN, and does it.
    int lone = bound_socket(AF_INET, SOCK_DGRAM, 0, &lone_name, sizeof lone_name);
    shutdown(lone, SHUT_RDWR);
    struct sockaddr_in6 through_name = {0};
    size = sizeof through_name;
    getsockname(through, (void *)&through_name, &size);

    // What waits.
    static char large[60001];
    memset(large, 'x', sizeof large - 1);
    struct sockaddr_in wild_here = v4("127.0.0.1", ntohs(any.sin_port));
    struct sockaddr_in6 dual_here = v6("::1", ntohs(dual_name.sin6_port));
    give(sender, &wild_here, sizeof wild_here, "first");
    give(sender, &wild_here, sizeof wild_here, large);
    give(sender, &wild_here, sizeof wild_here, "");
    give(sender, &wild_here, sizeof wild_here, "last");
    give(sender6, &dual_here, sizeof dual_here, "six");
    struct sockaddr_in dual_four = v4("127.0.0.1", ntohs(dual_name.sin6_port));
    give(sender, &dual_four, sizeof dual_four, "four");
    struct sockaddr_in6 waits_name = v6("::1", 0);
    int waits = bound_socket(AF_INET6, SOCK_DGRAM, 0, &waits_name, sizeof waits_name);
    give(sender6, &waits_name, sizeof waits_name, "connected later");
    if (connect(waits, (void *)&sender6_name, sizeof sender6_name)) cannot_prepare("connect");

    int watch = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = plain};
    if (epoll_ctl(watch, EPOLL_CTL_ADD, plain, &event)) cannot_prepare("epoll_ctl");

    int sockets[] = {rich, rich6, wild, dual, only, plain, lite, sender, twins[0], through, deaf, dumb};
    const char *names[] = {"rich", "rich6", "wild", "dual", "only", "plain", "lite", "sender", "twin", "through", "deaf", "dumb"};
    for (size_t i = 0; i < sizeof sockets / sizeof *sockets; i++) remember(sockets[i], names[i]);
    start_thread(ask, &question);
    say_ready();
    wait_for_finish();
    nap_ms(20);
    expect(rounds > 0, "nothing was asked");
    compare_all();
    expect_name(rich, &rich_name, sizeof rich_name, "rich");
    expect_name(rich6, &rich6_name, sizeof rich6_name, "rich6");
    expect_name(wild, &any, sizeof any, "wild");
    expect_name(dual, &dual_name, sizeof dual_name, "dual");
    expect_name(twins[1], &port, sizeof port, "twin");
    expect_name(through, &through_name, sizeof through_name, "through");
    expect_peer(through, &mapped, sizeof mapped, "through");
    expect_peer(deaf, &sender_name, sizeof sender_name, "deaf");
    expect_from(wild, "first", &sender_name, sizeof sender_name);
    expect_from(wild, large, &sender_name, sizeof sender_name);
    expect_from(wild, "", &sender_name, sizeof sender_name);
    expect_from(wild, "last", &sender_name, sizeof sender_name);
    expect_from(waits, "connected later", &sender6_name, sizeof sender6_name);
    expect(nothing_comes(wild), "something comes twice");
    // Which of the two sockets of this port got them is the kernel's choice.
    int got = 0;
    char word[8];
    while (recv(dual, word, sizeof word, MSG_DONTWAIT) > 0) got++;
    while (recv(only, word, sizeof word, MSG_DONTWAIT) > 0) got++;
    expect(got == 2, "%d of 2 datagrams came", got);
    struct pollfd shut = {.fd = deaf, .events = POLLRDHUP};
    expect(poll(&shut, 1, 0) == 1 && shut.revents & POLLRDHUP, "it is not shut any more");
    shut.fd = lone;
    expect(poll(&shut, 1, 0) == 1 && shut.revents & POLLHUP, "the socket without a peer is not shut any more");
    expect(send(dumb, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE, "it sends again");
    expect(send(through, "mapped", 6, 0) == 6 && comes(sender), "through: %s", strerror(errno));
    recv(sender, word, sizeof word, 0);
    struct sockaddr_in own = v4("127.0.0.1", 0);
    if (bind(plain, (void *)&own, sizeof own)) fail("bind: %s", strerror(errno));
    size = sizeof own;
    getsockname(plain, (void *)&own, &size);
    give(sender, &own, sizeof own, "watched");
    expect(epoll_wait(watch, &event, 1, 5000) == 1 && event.data.fd == plain, "the epoll does not see it");
    struct sockaddr_in lite_sender = v4("127.0.0.1", 0);
    int from = bound_socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, &lite_sender, sizeof lite_sender);
    give(from, &lite_name, sizeof lite_name, "lite");
    expect(comes(lite), "UDP-Lite does not come");
    uint64_t end = 0;
    sendto(sender, &end, sizeof end, 0, (void *)&server, sizeof server);
    int status = -1;
    waitpid(child, &status, 0);
    expect(status == 0, "the server ended with %d", status);
    return verdict("udp");
}
