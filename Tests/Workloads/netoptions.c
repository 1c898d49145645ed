#include "netoptions.h"

static const int levels[LEVELS] = {0, SOL_SOCKET, 6, 17, 41, 58, 136, 255, 263, 270};
static struct snapshot snapshots[64];
static int known;

/// Those that are no state: they count, are cleared by reading, or are different for every socket.
static bool is_state(int level, int number) {
    if (level == SOL_SOCKET)
        return number != 4 && number != 26 && number != 49 && number != 55 && number != 56 && number != 57 && number != 71 && number != 77;
    if (level == 0) return number != 14 && number != 41 && number != 48;
    if (level == 41) return number != 24 && number != 48 && number != 61 && number != 6 && number != 16 && number != 17 && number != 80;
    if (level == 263) return number != 6 && number != 21;
    return true;
}

static void take(struct snapshot *one) {
    for (int level = 0; level < LEVELS; level++)
        for (int number = 0; number < NUMBERS; number++) {
            socklen_t size = sizeof one->value[0][0];
            one->size[level][number] = 255;
            if (!is_state(levels[level], number)) continue;
            memset(one->value[level][number], 0, size);
            if (!getsockopt(one->fd, levels[level], number, one->value[level][number], &size) && size <= sizeof one->value[0][0])
                one->size[level][number] = (unsigned char)size;
        }
}

void remember(int fd, const char *name) {
    if (known == 64) cannot_prepare("so many sockets");
    struct snapshot *one = &snapshots[known++];
    one->fd = fd;
    snprintf(one->name, sizeof one->name, "%s", name);
    take(one);
}

void compare_all(void) {
    static struct snapshot now;
    for (int i = 0; i < known; i++) {
        now.fd = snapshots[i].fd;
        take(&now);
        for (int level = 0; level < LEVELS; level++)
            for (int number = 0; number < NUMBERS; number++) {
                int before = snapshots[i].size[level][number], after = now.size[level][number];
                unsigned char *old = snapshots[i].value[level][number], *new = now.value[level][number];
                expect(before == after && (before == 255 || !memcmp(old, new, (size_t)before)),
                    "%s: option %d of level %d: %d bytes, %02x%02x%02x%02x, were %d, %02x%02x%02x%02x", snapshots[i].name, number, levels[level], after,
                    new[0], new[1], new[2], new[3], before, old[0], old[1], old[2], old[3]);
            }
    }
}

struct sockaddr_in v4(const char *host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    return address;
}

struct sockaddr_in6 v6(const char *host, int port) {
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    inet_pton(AF_INET6, host, &address.sin6_addr);
    return address;
}

int made_socket(int family, int type, int protocol) {
    int fd = socket(family, type, protocol);
    if (fd < 0) cannot_prepare("a socket");
    return fd;
}

int bound_socket(int family, int type, int protocol, void *address, socklen_t size) {
    int fd = made_socket(family, type, protocol);
    if (bind(fd, address, size)) cannot_prepare("bind");
    if (getsockname(fd, address, &size)) cannot_prepare("getsockname");
    return fd;
}

void set_number(int fd, int level, int option, int value) {
    if (setsockopt(fd, level, option, &value, sizeof value)) {
        fprintf(stderr, "option %d of level %d: %s\n", option, level, strerror(errno));
        cannot_prepare("an option");
    }
}

void set_filter(int fd, unsigned place, unsigned word) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, place), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, word, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0x40000),
        BPF_STMT(BPF_RET | BPF_K, word ? 0 : 0x40000)};
    struct sock_fprog program = {.len = 4, .filter = code};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program)) cannot_prepare("a filter");
}

bool comes(int fd) {
    struct pollfd look = {.fd = fd, .events = POLLIN};
    return poll(&look, 1, 5000) == 1 && look.revents & POLLIN;
}

bool nothing_comes(int fd) {
    struct pollfd look = {.fd = fd, .events = POLLIN};
    return poll(&look, 1, 50) == 0;
}
