// Property: packet sockets keep device, protocol, filter, memberships, options, and the group that shares packets.
#include "netoptions.h"
#include <linux/if_ether.h>
#include <linux/if_packet.h>

static int bound_packet(int type, int protocol, const char *device) {
    int fd = made_socket(AF_PACKET, type, 0);
    struct sockaddr_ll name = {.sll_family = AF_PACKET, .sll_protocol = htons((uint16_t)protocol), .sll_ifindex = (int)if_nametoindex(device)};
    // What comes: only datagrams to one port of this process.
    set_filter(fd, type == SOCK_RAW ? 14 + 28 : 28, 0x74726565);
    if (bind(fd, (void *)&name, sizeof name)) cannot_prepare("bind");
    return fd;
}

static int port;

static void give(void) {
    struct sockaddr_in target = v4("127.0.0.1", port);
    int fd = made_socket(AF_INET, SOCK_DGRAM, 0);
    expect(sendto(fd, "tree", 4, 0, (void *)&target, sizeof target) == 4, "cannot send: %s", strerror(errno));
    close(fd);
}

static int drain(int fd) {
    char bytes[2048];
    int found = 0;
    while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) >= 0) found++;
    return found;
}

/// Whether the device receives the group's packets, as /proc/net/dev_mcast tells.
static bool is_received(void) {
    FILE *table = fopen("/proc/self/net/dev_mcast", "r");
    char line[256];
    bool found = false;
    while (table && fgets(line, sizeof line, table)) found |= strstr(line, "01005e070707") != NULL;
    if (table) fclose(table);
    return found;
}

static unsigned device_flags(void) {
    FILE *file = fopen("/sys/class/net/lo/flags", "r");
    unsigned flags = 0;
    if (!file || fscanf(file, "%x", &flags) != 1) fail("cannot read the flags of lo");
    if (file) fclose(file);
    return flags;
}

int run_packetsockets(int count, char **arguments) {
    (void)count, (void)arguments;
    struct sockaddr_in here = v4("127.0.0.1", 0);
    int target = bound_socket(AF_INET, SOCK_DGRAM, 0, &here, sizeof here);
    port = ntohs(here.sin_port);
    int raw = bound_packet(SOCK_RAW, ETH_P_IP, "lo"), cooked = bound_packet(SOCK_DGRAM, ETH_P_IP, "lo"), all = bound_packet(SOCK_RAW, ETH_P_ALL, "");
    int none = made_socket(AF_PACKET, SOCK_RAW, 0);
    set_number(raw, SOL_PACKET, PACKET_AUXDATA, 1);
    set_number(raw, SOL_PACKET, PACKET_ORIGDEV, 1);
    set_number(raw, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
    set_number(raw, SOL_SOCKET, SO_RCVBUF, 300000);
    set_number(cooked, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
    set_number(none, SOL_PACKET, PACKET_VERSION, 2);
    set_number(none, SOL_PACKET, PACKET_RESERVE, 16);
    set_number(none, SOL_PACKET, PACKET_COPY_THRESH, 100);
    struct packet_mreq promiscuous = {.mr_ifindex = (int)if_nametoindex("lo"), .mr_type = PACKET_MR_PROMISC};
    struct packet_mreq group = {.mr_ifindex = (int)if_nametoindex("lo"), .mr_type = PACKET_MR_MULTICAST, .mr_alen = 6, .mr_address = {1, 0, 0x5e, 7, 7, 7}};
    if (setsockopt(raw, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) ||
        setsockopt(raw, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &group, sizeof group) || setsockopt(raw, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &group, sizeof group))
        cannot_prepare("PACKET_ADD_MEMBERSHIP");
    int shared[2];
    for (int i = 0; i < 2; i++) {
        shared[i] = bound_packet(SOCK_DGRAM, ETH_P_IP, "lo");
        set_number(shared[i], SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
        set_number(shared[i], SOL_PACKET, PACKET_FANOUT, (getpid() & 0xffff) | PACKET_FANOUT_LB << 16);
    }
    pid_t child = fork();
    if (child == 0) {
        while (!finish_wanted()) nap_ms(20);
        _exit(0);
    }
    int sockets[] = {raw, cooked, all, none, shared[0], shared[1]};
    const char *names[] = {"raw", "cooked", "all", "none", "first of the group", "second of the group"};
    for (int i = 0; i < 6; i++) remember(sockets[i], names[i]);
    say_ready();
    wait_for_finish();
    compare_all();
    for (int i = 0; i < 4; i++) give();
    expect(comes(target) && drain(target) == 4, "the datagrams are lost");
    // What goes out over this device comes in, too; one does not want to see it.
    int found = drain(raw);
    expect(found == 4, "%d of 4 packets", found);
    expect((found = drain(cooked)) >= 4, "%d cooked packets", found);
    expect((found = drain(all)) >= 4, "%d packets of all devices", found);
    expect(drain(none) == 0, "a socket without a protocol gets something");
    int first = drain(shared[0]), second = drain(shared[1]);
    expect(first == 2 && second == 2, "the group shares 4 packets as %d and %d", first, second);
    // Each of the two joins is taken back once.
    expect(is_received(), "a membership is lost");
    setsockopt(raw, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &group, sizeof group);
    expect(is_received(), "a second membership is lost");
    setsockopt(raw, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &group, sizeof group);
    expect(!is_received(), "there are three memberships");
    unsigned flags = device_flags();
    setsockopt(raw, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &promiscuous, sizeof promiscuous);
    expect(flags & IFF_PROMISC && !(device_flags() & IFF_PROMISC), "it is promiscuous no more");
    waitpid(child, NULL, 0);
    return verdict("packetsockets");
}
