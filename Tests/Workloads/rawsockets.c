// Property: raw sockets of IPv4 and IPv6 keep protocol, address, peer, filters and options.
#include "netoptions.h"
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>

static uint16_t checksum(const void *data, size_t size) {
    const uint16_t *words = data;
    uint32_t sum = 0;
    for (size_t i = 0; i < size / 2; i++) sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~(sum + (sum >> 16));
}

/// Sends an echo request to itself and waits for the answer.
static void ping(int fd, int number) {
    struct icmphdr request = {.type = ICMP_ECHO, .un.echo.id = htons(0x7117), .un.echo.sequence = htons((uint16_t)number)};
    request.checksum = checksum(&request, sizeof request);
    expect(send(fd, &request, sizeof request, 0) == sizeof request, "cannot ping: %s", strerror(errno));
    for (int i = 0; i < 50 && comes(fd); i++) {
        unsigned char answer[256];
        ssize_t size = recv(fd, answer, sizeof answer, 0);
        struct icmphdr *header = (void *)(answer + 20);
        if (size < 28 || header->un.echo.id != request.un.echo.id || header->un.echo.sequence != request.un.echo.sequence) continue;
        expect(header->type == ICMP_ECHOREPLY, "the filter lets %d through", header->type);
        return;
    }
    fail("no answer to ping %d", number);
}

int run_rawsockets(int count, char **arguments) {
    (void)count, (void)arguments;
    struct sockaddr_in here = v4("127.0.0.1", 0), other = v4("127.0.0.7", 0);
    struct sockaddr_in6 here6 = v6("::1", 0);
    int icmp = made_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), icmp6 = made_socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
    // linux/icmp.h, which cannot be included beside netinet/ip_icmp.h
    uint32_t filter = ~(1u << ICMP_ECHOREPLY);
    if (setsockopt(icmp, SOL_RAW, 1 /* ICMP_FILTER */, &filter, sizeof filter)) cannot_prepare("ICMP_FILTER");
    struct icmp6_filter filter6;
    ICMP6_FILTER_SETBLOCKALL(&filter6);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter6);
    if (setsockopt(icmp6, IPPROTO_ICMPV6, ICMP6_FILTER, &filter6, sizeof filter6)) cannot_prepare("ICMP6_FILTER");
    set_number(icmp, 0, IP_TTL, 33);
    set_number(icmp, 0, IP_RECVERR, 1);
    set_number(icmp, SOL_SOCKET, SO_RCVBUF, 150000);
    // Port 0: getpeername(2) does not show it.
    if (connect(icmp, (void *)&here, sizeof here)) cannot_prepare("connect");
    int mine = made_socket(AF_INET, SOCK_RAW, 253), written = made_socket(AF_INET, SOCK_RAW, IPPROTO_RAW), six = made_socket(AF_INET6, SOCK_RAW, 253);
    if (bind(mine, (void *)&other, sizeof other) || bind(six, (void *)&here6, sizeof here6)) cannot_prepare("bind");
    set_number(mine, 0, IP_HDRINCL, 0);
    set_number(mine, 0, IP_NODEFRAG, 1);
    set_number(six, IPPROTO_IPV6, IPV6_CHECKSUM, 2);
    set_number(six, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
    int headers = made_socket(AF_INET, SOCK_RAW, 252);
    set_number(headers, 0, IP_HDRINCL, 1);
    pid_t child = fork();
    if (child == 0) {
        while (!finish_wanted()) nap_ms(20);
        _exit(0);
    }
    int sockets[] = {icmp, icmp6, mine, written, six, headers};
    const char *names[] = {"icmp", "icmp6", "mine", "written", "six", "headers"};
    for (int i = 0; i < 6; i++) remember(sockets[i], names[i]);
    ping(icmp, 1);
    say_ready();
    for (int i = 2; !finish_wanted(); i++) {
        ping(icmp, i & 0x7fff);
        nap_ms(20);
    }
    compare_all();
    ping(icmp, 0x7fff);
    int sender = made_socket(AF_INET, SOCK_RAW, 253);
    expect(sendto(sender, "to you", 6, 0, (void *)&other, sizeof other) == 6 && comes(mine), "it does not get its protocol");
    expect(sendto(sender, "to others", 9, 0, (void *)&here, sizeof here) == 9, "cannot send");
    char buffer[64];
    ssize_t size = recv(mine, buffer, sizeof buffer, MSG_DONTWAIT);
    expect(size == 26 && !memcmp(buffer + 20, "to you", 6), "%zd bytes came", size);
    expect(nothing_comes(mine), "it gets what is for another address");
    struct iphdr header = {.version = 4, .ihl = 5, .ttl = 9, .protocol = 253, .daddr = other.sin_addr.s_addr};
    expect(sendto(written, &header, sizeof header, 0, (void *)&other, sizeof other) == sizeof header && comes(mine), "its own header does not come");
    waitpid(child, NULL, 0);
    return verdict("rawsockets");
}
