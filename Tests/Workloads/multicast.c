// Property: sockets stay in their multicast groups, with the sources that they listen to.
#include "netoptions.h"

static struct sockaddr_storage stored(const void *address, size_t size) {
    struct sockaddr_storage storage = {0};
    memcpy(&storage, address, size);
    return storage;
}

static void join(int fd, int level, struct sockaddr_storage group) {
    struct group_req request = {.gr_interface = if_nametoindex("lo"), .gr_group = group};
    if (setsockopt(fd, level, MCAST_JOIN_GROUP, &request, sizeof request)) cannot_prepare("MCAST_JOIN_GROUP");
}

static void source(int fd, int level, int option, struct sockaddr_storage group, struct sockaddr_storage source) {
    struct group_source_req request = {.gsr_interface = if_nametoindex("lo"), .gsr_group = group, .gsr_source = source};
    if (setsockopt(fd, level, option, &request, sizeof request)) cannot_prepare("sources of a group");
}

static void send_to(const char *from, const char *group, int port, const char *text) {
    struct sockaddr_in own = v4(from, 0), target = v4(group, port);
    int fd = bound_socket(AF_INET, SOCK_DGRAM, 0, &own, sizeof own);
    struct ip_mreqn device = {.imr_ifindex = (int)if_nametoindex("lo")};
    setsockopt(fd, 0, IP_MULTICAST_IF, &device, sizeof device);
    expect(sendto(fd, text, strlen(text), 0, (void *)&target, sizeof target) > 0, "cannot send to %s: %s", group, strerror(errno));
    close(fd);
}

/// The sources of a group that the kernel tells.
static void expect_sources(int fd, int level, struct sockaddr_storage group, unsigned mode, unsigned count, const char *what) {
    struct {
        struct group_filter filter;
        struct sockaddr_storage more[8];
    } answer = {.filter = {.gf_interface = if_nametoindex("lo"), .gf_group = group, .gf_numsrc = 8}};
    socklen_t size = sizeof answer;
    if (getsockopt(fd, level, 48 /* MCAST_MSFILTER */, &answer, &size)) {
        fail("%s: not in the group: %s", what, strerror(errno));
        return;
    }
    expect(answer.filter.gf_fmode == mode && answer.filter.gf_numsrc == count, "%s: mode %u, %u sources", what, answer.filter.gf_fmode, answer.filter.gf_numsrc);
}

static void take(int fd, bool wanted, const char *what) {
    char byte[8];
    if (wanted) {
        expect(comes(fd), "%s: nothing comes", what);
    } else {
        expect(nothing_comes(fd), "%s: something comes", what);
    }
    while (recv(fd, byte, sizeof byte, MSG_DONTWAIT) > 0) {}
}

int run_multicast(int count, char **arguments) {
    (void)count, (void)arguments;
    struct sockaddr_in any = v4("0.0.0.0", 0), other = v4("0.0.0.0", 0);
    struct sockaddr_in6 any6 = v6("::", 0);
    int fd = bound_socket(AF_INET, SOCK_DGRAM, 0, &any, sizeof any), lone = bound_socket(AF_INET, SOCK_DGRAM, 0, &other, sizeof other);
    int six = bound_socket(AF_INET6, SOCK_DGRAM, 0, &any6, sizeof any6);
    set_number(fd, 0, IP_MULTICAST_ALL, 0);
    set_number(lone, 0, IP_MULTICAST_ALL, 0);
    set_number(six, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
    struct sockaddr_in groups[] = {v4("239.7.1.1", 0), v4("239.7.1.2", 0), v4("239.7.1.3", 0)}, sources[] = {v4("127.0.0.1", 0), v4("127.0.0.9", 0)};
    struct sockaddr_in6 groups6[] = {v6("ff02::7101", 0), v6("ff05::7102", 0)}, sources6[] = {v6("::1", 0), v6("2001:db8::1", 0)};
#define OF(address) stored(&(address), sizeof(address))
    join(fd, 0, OF(groups[0]));
    source(fd, 0, MCAST_JOIN_SOURCE_GROUP, OF(groups[1]), OF(sources[0]));
    source(fd, 0, MCAST_JOIN_SOURCE_GROUP, OF(groups[1]), OF(sources[1]));
    join(fd, 0, OF(groups[2]));
    source(fd, 0, MCAST_BLOCK_SOURCE, OF(groups[2]), OF(sources[0]));
    join(six, IPPROTO_IPV6, OF(groups6[0]));
    source(six, IPPROTO_IPV6, MCAST_JOIN_SOURCE_GROUP, OF(groups6[1]), OF(sources6[1]));
    pid_t child = fork();
    if (child == 0) {
        while (!finish_wanted()) nap_ms(20);
        _exit(0);
    }
    remember(fd, "four");
    remember(six, "six");
    say_ready();
    wait_for_finish();
    compare_all();
    int port = ntohs(any.sin_port);
    send_to("127.0.0.1", "239.7.1.1", port, "any");
    take(fd, true, "a group");
    send_to("127.0.0.1", "239.7.1.1", ntohs(other.sin_port), "any");
    take(lone, false, "a socket without groups");
    send_to("127.0.0.9", "239.7.1.2", port, "included");
    take(fd, true, "an included source");
    send_to("127.0.0.8", "239.7.1.2", port, "not");
    take(fd, false, "a source that is not included");
    send_to("127.0.0.9", "239.7.1.3", port, "not excluded");
    take(fd, true, "a source that is not excluded");
    send_to("127.0.0.1", "239.7.1.3", port, "excluded");
    take(fd, false, "an excluded source");
    expect_sources(six, IPPROTO_IPV6, OF(groups6[0]), MCAST_EXCLUDE, 0, "a group of IPv6");
    expect_sources(six, IPPROTO_IPV6, OF(groups6[1]), MCAST_INCLUDE, 1, "a source of IPv6");
    expect_sources(fd, 0, OF(groups[1]), MCAST_INCLUDE, 2, "two sources");
    expect_sources(fd, 0, OF(groups[2]), MCAST_EXCLUDE, 1, "one source that is not wanted");
    waitpid(child, NULL, 0);
    return verdict("multicast");
}
