// Property: what waits in a unix socket keeps the credentials of its sender (SCM_CREDENTIALS), message by message.
#include "workload.h"
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
static _Atomic uint64_t *shared;
enum { SENT, CHILD, LEAVE };

static void give(int fd, const char *text) {
    expect(send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)strlen(text), "cannot send \"%s\": %s", text, strerror(errno));
}

/// The next message: sent by this process, with this user; 0: by none.
static void get(int fd, const char *text, pid_t sender, uid_t user, const char *where) {
    char bytes[100], control[CMSG_SPACE(sizeof(struct ucred))];
    struct iovec part = {bytes, strlen(text)};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t count = recvmsg(fd, &header, MSG_DONTWAIT);
    expect(count == (ssize_t)strlen(text) && memcmp(bytes, text, strlen(text)) == 0, "%s: %zd bytes instead of \"%s\"", where, count, text);
    struct cmsghdr *told = CMSG_FIRSTHDR(&header);
    struct ucred from = {-1, 0, 0};
    if (told) memcpy(&from, CMSG_DATA(told), sizeof from);
    expect(from.pid == sender && (!sender || (from.uid == user && from.gid == user)), "%s: \"%s\" was sent by %d, user %u group %u, instead of %d, user %u",
           where, text, from.pid, from.uid, from.gid, sender, user);
}

static int named(int type, struct sockaddr_un *name, int index) {
    name->sun_family = AF_UNIX;
    snprintf(name->sun_path + 1, sizeof name->sun_path - 1, "treerestore-senders-%d-%d", getpid(), index);
    int fd = socket(AF_UNIX, type, 0);
    if (bind(fd, (void *)name, sizeof *name)) cannot_prepare("bind");
    return fd;
}

static void ask_for_senders(int fd) {
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on)) cannot_prepare("SO_PASSCRED");
}

int run_senders(int count, char **arguments) {
    (void)count, (void)arguments;
    shared = shared_memory(4096);
    int pairs[3][2], gone[2];
    for (int i = 0; i < 3; i++) {
        if (socketpair(AF_UNIX, types[i], 0, pairs[i])) cannot_prepare("a socket pair");
        give(pairs[i][0], "nobody's");
        ask_for_senders(pairs[i][1]);
        give(pairs[i][0], "of the parent");
    }
    // Datagrams to a name: of a socket without a name, and of one with a name that is connected with nothing.
    struct sockaddr_un name, other_name;
    int receiver = named(SOCK_DGRAM, &name, 0), other = named(SOCK_DGRAM, &other_name, 1);
    ask_for_senders(receiver);
    expect(sendto(other, "by name", 7, 0, (void *)&name, sizeof name) == 7, "sendto: %s", strerror(errno));
    // An accepted connection.
    int listener = named(SOCK_STREAM, &other_name, 2), client = socket(AF_UNIX, SOCK_STREAM, 0);
    if (listen(listener, 1) || connect(client, (void *)&other_name, sizeof other_name)) cannot_prepare("connect");
    int accepted = accept(listener, NULL, NULL);
    ask_for_senders(accepted);
    // Its peer is gone, the process that sent is not.
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, gone)) cannot_prepare("a socket pair");
    ask_for_senders(gone[0]);

    pid_t child = fork();
    if (child == 0) {
        // The real user is the one that is told.
        if (getuid() == 0 && (setresgid(65534, 0, 0) || setresuid(65534, 0, 0))) _exit(1);
        for (int i = 0; i < 3; i++) {
            give(pairs[i][0], "of the child");
            give(pairs[i][0], "and more");
        }
        int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
        if (sendto(fd, "of a child", 10, 0, (void *)&name, sizeof name) != 10) _exit(2);
        close(fd);
        give(client, "over a connection");
        give(gone[1], "last words");
        close(gone[1]);
        shared[SENT] = 1;
        while (!shared[LEAVE]) {
            shared[CHILD] = (uint64_t)getpid();
            nap_ms(2);
        }
        for (int i = 0; i < 3; i++) give(pairs[i][0], "new");
        _exit(0);
    }
    close(gone[1]);
    while (!shared[SENT]) nap_ms(2);
    for (int i = 0; i < 3; i++) give(pairs[i][0], "once more");
    say_ready();
    wait_for_finish();

    // The numbers are those of now: the processes may have new ones.
    shared[CHILD] = 0;
    while (!shared[CHILD]) nap_ms(2);
    pid_t sender = (pid_t)shared[CHILD], own = getpid();
    uid_t user = getuid() == 0 ? 65534 : getuid();
    for (int i = 0; i < 3; i++) {
        const char *kind = i == 0 ? "stream" : i == 1 ? "datagram" : "seqpacket";
        get(pairs[i][1], "nobody's", 0, 0, kind);
        get(pairs[i][1], "of the parent", own, getuid(), kind);
        get(pairs[i][1], "of the child", sender, user, kind);
        get(pairs[i][1], "and more", sender, user, kind);
        get(pairs[i][1], "once more", own, getuid(), kind);
        expect(recv(pairs[i][1], &(char){0}, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN, "%s: a message more", kind);
    }
    get(receiver, "by name", own, getuid(), "a named socket");
    get(receiver, "of a child", sender, user, "a named socket");
    get(accepted, "over a connection", sender, user, "an accepted socket");
    get(gone[0], "last words", sender, user, "a socket whose peer is gone");
    expect(recv(gone[0], &(char){0}, 1, MSG_DONTWAIT) == 0, "no end");
    struct sockaddr_un peer;
    socklen_t size = sizeof peer;
    expect(getpeername(other, (void *)&peer, &size) < 0 && errno == ENOTCONN, "a sender is connected");
    shared[LEAVE] = 1;
    int status = -1;
    expect(waitpid(-1, &status, 0) > 0 && status == 0, "the child ended with %x", (unsigned)status);
    for (int i = 0; i < 3; i++) get(pairs[i][1], "new", sender, user, "a new message");
    return verdict("senders");
}
