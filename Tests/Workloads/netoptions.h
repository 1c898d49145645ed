// What workloads with sockets of the network share.
#pragma once
#include "workload.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { LEVELS = 10, NUMBERS = 112 };

/// Every option that getsockopt(2) tells of a socket.
struct snapshot {
    int fd;
    char name[40];
    unsigned char size[LEVELS][NUMBERS];
    unsigned char value[LEVELS][NUMBERS][48];
};

/// Up to 64 sockets of a process, compared at the end.
void remember(int fd, const char *name);
void compare_all(void);

struct sockaddr_in v4(const char *host, int port);
struct sockaddr_in6 v6(const char *host, int port);
int made_socket(int family, int type, int protocol);
/// Bound, with a port that the kernel chooses; its address comes back in `address`.
int bound_socket(int family, int type, int protocol, void *address, socklen_t size);
void set_number(int fd, int level, int option, int value);
/// Accepts only packets whose 4 bytes at `place` are `word` (0: everything).
void set_filter(int fd, unsigned place, unsigned word);
/// Something comes within 5 s.
bool comes(int fd);
bool nothing_comes(int fd);
