// Property: netlink sockets keep their port, groups, peers and options, and the kernel answers them.
#include "netoptions.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

static int opened(int protocol, unsigned wanted, struct sockaddr_nl *name) {
    int fd = made_socket(AF_NETLINK, SOCK_RAW, protocol);
    *name = (struct sockaddr_nl){.nl_family = AF_NETLINK, .nl_pid = wanted};
    if (bind(fd, (void *)name, sizeof *name)) cannot_prepare("bind");
    socklen_t size = sizeof *name;
    if (getsockname(fd, (void *)name, &size)) cannot_prepare("getsockname");
    return fd;
}

static void expect_port(int fd, struct sockaddr_nl old, const char *what) {
    struct sockaddr_nl now;
    socklen_t size = sizeof now;
    expect(!getsockname(fd, (void *)&now, &size) && now.nl_pid == old.nl_pid && now.nl_groups == old.nl_groups,
        "%s: port %u, groups %x, were %u, %x", what, now.nl_pid, now.nl_groups, old.nl_pid, old.nl_groups);
}

/// Asks for the device `lo`.
static void ask(int fd, unsigned port) {
    struct {
        struct nlmsghdr header;
        struct ifinfomsg link;
    } request = {
        {.nlmsg_len = sizeof request, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = 7, .nlmsg_pid = port},
        {.ifi_family = AF_UNSPEC, .ifi_index = (int)if_nametoindex("lo")}};
    expect(send(fd, &request, sizeof request, 0) == sizeof request, "cannot ask: %s", strerror(errno));
    static char answer[16384];
    for (int i = 0; i < 20 && comes(fd); i++) {
        ssize_t size = recv(fd, answer, sizeof answer, 0);
        struct nlmsghdr *header = (void *)answer;
        if (size < (ssize_t)sizeof *header || header->nlmsg_seq != 7) continue;
        expect(header->nlmsg_type == RTM_NEWLINK && header->nlmsg_pid == port, "answer of type %d to port %u", header->nlmsg_type, header->nlmsg_pid);
        return;
    }
    fail("the kernel does not answer");
}

static void add(int fd, int group) { set_number(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group); }

static bool is_member(int fd, int group) {
    uint32_t words[64] = {0};
    socklen_t size = sizeof words;
    if (getsockopt(fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, words, &size)) return false;
    return words[(group - 1) / 32] >> ((group - 1) % 32) & 1;
}

int run_netlink(int count, char **arguments) {
    (void)count, (void)arguments;
    struct sockaddr_nl own, chosen, events, first_name, second_name, now;
    int route = opened(NETLINK_ROUTE, 0, &own), other = opened(NETLINK_ROUTE, 0, &chosen);
    set_number(other, SOL_NETLINK, NETLINK_EXT_ACK, 1);
    set_number(other, SOL_NETLINK, NETLINK_CAP_ACK, 1);
    set_number(other, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
    set_number(other, SOL_NETLINK, NETLINK_NO_ENOBUFS, 1);
    set_number(other, SOL_NETLINK, NETLINK_BROADCAST_ERROR, 1);
    set_number(other, SOL_NETLINK, NETLINK_PKTINFO, 1);
    set_number(other, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1);
    set_number(other, SOL_SOCKET, SO_RCVBUF, 100000);
    set_number(other, SOL_SOCKET, SO_PASSCRED, 1);
    // Groups that the test of another workload does not touch: neighbours' tables, prefixes, bridges.
    add(other, RTNLGRP_ND_USEROPT);
    add(other, 33);
    int uevents = opened(NETLINK_KOBJECT_UEVENT, 0, &events);
    set_filter(uevents, 0, 0x74726565);
    add(uevents, 2);
    // Two that talk with each other.
    int first = opened(NETLINK_USERSOCK, 0, &first_name), second = opened(NETLINK_USERSOCK, 0, &second_name);
    if (connect(first, (void *)&second_name, sizeof second_name)) cannot_prepare("connect");
    int unbound = made_socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK, NETLINK_GENERIC);
    pid_t child = fork();
    if (child == 0) {
        while (!finish_wanted()) nap_ms(20);
        _exit(0);
    }
    socklen_t size = sizeof now;
    getsockname(other, (void *)&chosen, &size);
    size = sizeof events;
    getsockname(uevents, (void *)&events, &size);
    int watch = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = second};
    if (epoll_ctl(watch, EPOLL_CTL_ADD, second, &event)) cannot_prepare("epoll_ctl");
    int sockets[] = {route, other, uevents, first, second, unbound};
    const char *names[] = {"route", "other", "uevents", "first", "second", "unbound"};
    for (int i = 0; i < 6; i++) remember(sockets[i], names[i]);
    say_ready();
    wait_for_finish();
    compare_all();
    expect_port(route, own, "route");
    expect_port(other, chosen, "other");
    expect_port(uevents, events, "uevents");
    expect_port(second, second_name, "second");
    expect(is_member(other, RTNLGRP_ND_USEROPT) && is_member(other, 33) && !is_member(other, 32), "other is in other groups");
    expect(is_member(uevents, 2) && !is_member(uevents, 1), "uevents is in other groups");
    size = sizeof now;
    expect(!getpeername(first, (void *)&now, &size) && now.nl_pid == second_name.nl_pid, "another peer");
    ask(route, own.nl_pid);
    struct nlmsghdr message = {.nlmsg_len = sizeof message, .nlmsg_type = 99};
    expect(send(first, &message, sizeof message, 0) == sizeof message, "cannot send to the peer: %s", strerror(errno));
    expect(epoll_wait(watch, &event, 1, 5000) == 1 && event.data.fd == second, "the epoll does not see it");
    struct sockaddr_nl from;
    size = sizeof from;
    expect(recvfrom(second, &message, sizeof message, MSG_DONTWAIT, (void *)&from, &size) == sizeof message && from.nl_pid == first_name.nl_pid, "from another port");
    waitpid(child, NULL, 0);
    return verdict("netlink");
}
