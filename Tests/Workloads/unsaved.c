// Property: a tree with state that cannot be saved is refused, and goes on unchanged.
//
//     unsaved watched       an epoll whose file is open outside of the tree alone
//     unsaved threadclock   a timer on the CPU time of a thread that cannot be found out
//     unsaved otherclock    a timer on the CPU time of another process
//     unsaved notify        a directory that is watched by F_NOTIFY
//     unsaved lease         a file with a lease
//     unsaved pair          two unix sockets that are connected
//     unsaved unread        kernel messages of which some have been read
//     unsaved signed        a TCP socket whose segments are signed by a key
//     unsaved multipath     a socket of MPTCP that listens
//     unsaved held          a UDP socket that holds back a datagram
//     unsaved ring          a packet socket with a ring
//     unsaved answer        a netlink socket in which an answer waits
//     unsaved dispatched    a first thread whose calls from outside of the C library become signals
//     unsaved dispatching   another thread that does
//     unsaved filtered      another thread with a filter that kills it for a call it does not make
#include "workload.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static void *idle(void *argument) {
    (void)argument;
    while (!finish_wanted()) nap_ms(5);
    return NULL;
}

/// A child that leaves the tree, because its parent ends. It lives until `result` has been written.
static void hold_outside(void) {
    pid_t child = fork();
    if (child == 0) {
        if (fork() == 0) {
            setsid();
            while (access(run_path("result"), F_OK) != 0) nap_ms(5);
        }
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

static volatile char selector;
static volatile sig_atomic_t dispatched;

static void on_dispatch(int number) {
    (void)number;
    dispatched++;
}

/// Makes calls from outside of the C library become signals.
static void dispatch_calls(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long start = 0, end = 0;
    char line[512];
    while (maps && fgets(line, sizeof line, maps))
        if (strstr(line, " r-xp ") && strstr(line, "/libc")) sscanf(line, "%lx-%lx", &start, &end);
    if (maps) fclose(maps);
    signal(SIGSYS, on_dispatch);
    if (!start || prctl(59 /* PR_SET_SYSCALL_USER_DISPATCH */, 1, start, end - start, &selector)) cannot_prepare("dispatch");
    selector = 1;
}

/// Makes a call from outside of the C library, which must give one signal.
static void expect_dispatch(void) {
#if defined __x86_64__
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "0"((long)SYS_getppid) : "rcx", "r11", "memory");
    expect(dispatched == 1, "%d calls came as signals", (int)dispatched);
#endif
    prctl(59, 0, 0, 0, 0);
}

static void *dispatch_until_finish(void *argument) {
    dispatch_calls();
    idle(argument);
    expect_dispatch();
    return NULL;
}

/// Installs a filter that kills the process for any call that maps or unmaps memory.
static void *filter_until_finish(void *argument) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_munmap, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) cannot_prepare("filter");
    idle(argument);
    return NULL;
}

int run_unsaved(int count, char **arguments) {
    const char *what = count == 1 ? arguments[0] : "";
    int fd = -1, epoll = -1;
    timer_t timer = 0;
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    if (strcmp(what, "watched") == 0) {
        fd = eventfd(1, 0);
        epoll = epoll_create1(0);
        struct epoll_event watched = {.events = EPOLLIN, .data.u64 = 5};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &watched);
        hold_outside();
        close(fd);
    } else if (strcmp(what, "threadclock") == 0) {
        start_thread(idle, NULL);
        if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer)) cannot_prepare("timer");
    } else if (strcmp(what, "otherclock") == 0) {
        if (timer_create((clockid_t)((unsigned)~getppid() << 3 | 2), &event, &timer)) cannot_prepare("timer");
    } else if (strcmp(what, "notify") == 0) {
        fd = open("/tmp", O_RDONLY | O_DIRECTORY);
        signal(SIGIO, SIG_IGN);
        if (fcntl(fd, F_NOTIFY, DN_RENAME | DN_MULTISHOT)) cannot_prepare("F_NOTIFY");
    } else if (strcmp(what, "urgent") == 0) {
        struct sockaddr_in name;
        socklen_t size = sizeof name;
        int listener = socket(AF_INET, SOCK_STREAM, 0);
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (listen(listener, 3) || getsockname(listener, (void *)&name, &size) || connect(fd, (void *)&name, size)) cannot_prepare("a connection");
        if (accept(listener, NULL, NULL) < 0 || send(fd, "!", 1, MSG_OOB) != 1) cannot_prepare("urgent data");
    } else if (strcmp(what, "held") == 0) {
        struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        fd = socket(AF_INET, SOCK_DGRAM, 0);
        if (sendto(fd, "held", 4, MSG_MORE, (void *)&target, sizeof target) != 4) cannot_prepare("MSG_MORE");
    } else if (strcmp(what, "signed") == 0) {
        struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        struct tcp_md5sig key = {.tcpm_keylen = 4, .tcpm_key = "word"};
        memcpy(&key.tcpm_addr, &here, sizeof here);
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof key) || bind(fd, (void *)&here, sizeof here) || listen(fd, 1))
            cannot_prepare("TCP_MD5SIG");
    } else if (strcmp(what, "multipath") == 0) {
        struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        fd = socket(AF_INET, SOCK_STREAM, 262 /* IPPROTO_MPTCP */);
        if (fd < 0 || bind(fd, (void *)&here, sizeof here) || listen(fd, 1)) cannot_prepare("MPTCP");
    } else if (strcmp(what, "ring") == 0) {
        struct tpacket_req ring = {.tp_block_size = 4096, .tp_block_nr = 1, .tp_frame_size = 2048, .tp_frame_nr = 2};
        fd = socket(AF_PACKET, SOCK_RAW, 0);
        if (setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring)) cannot_prepare("PACKET_RX_RING");
    } else if (strcmp(what, "answer") == 0) {
        struct {
            struct nlmsghdr header;
            struct ifinfomsg link;
        } request = {{.nlmsg_len = sizeof request, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST}, {.ifi_family = AF_UNSPEC, .ifi_index = 1}};
        fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
        if (send(fd, &request, sizeof request, 0) != sizeof request) cannot_prepare("a request");
    } else if (strcmp(what, "unread") == 0) {
        char record[8192];
        fd = open("/dev/kmsg", O_RDONLY);
        if (fd < 0 || read(fd, record, sizeof record) <= 0) cannot_prepare("/dev/kmsg");
    } else if (strcmp(what, "dispatched") == 0) {
        dispatch_calls();
    } else if (strcmp(what, "dispatching") == 0) {
        start_thread(dispatch_until_finish, NULL);
        while (!selector) nap_ms(1);
    } else if (strcmp(what, "filtered") == 0) {
        start_thread(filter_until_finish, NULL);
        nap_ms(100);
    } else {
        cannot_prepare("unknown argument");
    }
    say_ready();
    wait_for_finish();
    if (strcmp(what, "dispatched") == 0) expect_dispatch();
    struct epoll_event found;
    if (epoll >= 0) expect(epoll_wait(epoll, &found, 1, 0) == 1 && found.data.u64 == 5, "the registration is gone");
    struct itimerspec value;
    if (strstr(what, "clock")) expect(timer_gettime(timer, &value) == 0, "the timer is gone");
    return verdict("unsaved");
}
