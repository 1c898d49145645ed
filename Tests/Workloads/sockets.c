// Property: unix sockets with names: they listen, have connections accepted and not accepted, receive datagrams from several
// senders, know who is at the other end. Names are paths, relative ones, abstract, chosen by the kernel, removed, replaced.
#include "workload.h"
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

struct name {
    struct sockaddr_un address;
    socklen_t size;
};

static struct name named(const char *path) {
    struct name name = {.address.sun_family = AF_UNIX, .size = sizeof(struct sockaddr_un)};
    if (strlen(path) >= sizeof name.address.sun_path) cannot_prepare("a short directory");
    strcpy(name.address.sun_path, path);
    return name;
}

/// With a zero byte inside.
static struct name abstract(const char *text) {
    struct name name = {.address.sun_family = AF_UNIX};
    int size = snprintf(name.address.sun_path + 1, sizeof name.address.sun_path - 1, "treerestore-%d-%s", getpid(), text);
    name.address.sun_path[1 + size] = 0;
    name.address.sun_path[2 + size] = 'x';
    name.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)size + 3);
    return name;
}

static int made(int type) {
    int fd = socket(AF_UNIX, type, 0);
    if (fd < 0) cannot_prepare("a socket");
    return fd;
}

static int bound(int type, struct name name) {
    int fd = made(type);
    if (bind(fd, (void *)&name.address, name.size)) cannot_prepare("bind");
    return fd;
}

static int listening(int type, struct name name, int backlog) {
    int fd = bound(type, name);
    if (listen(fd, backlog)) cannot_prepare("listen");
    return fd;
}

static bool joins(int fd, struct name name) { return connect(fd, (void *)&name.address, name.size) == 0; }

static int connected(int type, struct name name) {
    int fd = made(type);
    if (!joins(fd, name)) cannot_prepare("connect");
    return fd;
}

static void give(int fd, const char *text) {
    expect(send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)strlen(text), "cannot send \"%s\": %s", text, strerror(errno));
}

static void give_to(int fd, struct name name, const char *text) {
    expect(sendto(fd, text, strlen(text), MSG_DONTWAIT, (void *)&name.address, name.size) == (ssize_t)strlen(text), "cannot send \"%s\": %s", text, strerror(errno));
}

static void gets_text(int fd, const char *text, const char *where) {
    char bytes[200];
    ssize_t size = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    expect(size == (ssize_t)strlen(text) && !memcmp(bytes, text, (size_t)size), "%s: %zd bytes instead of \"%s\" (%s)", where, size, text, strerror(errno));
}

static bool is_name(const struct sockaddr_un *address, socklen_t size, struct name name) {
    if (name.address.sun_path[0]) return size > 2 && !strcmp(address->sun_path, name.address.sun_path);
    return size == name.size && !memcmp(address, &name.address, size);
}

/// Receives a datagram and looks at who has sent it.
static void gets_from(int fd, const char *text, const struct name *name, const char *where) {
    char bytes[200];
    struct sockaddr_un from;
    socklen_t length = sizeof from;
    ssize_t size = recvfrom(fd, bytes, sizeof bytes, MSG_DONTWAIT, (void *)&from, &length);
    expect(size == (ssize_t)strlen(text) && !memcmp(bytes, text, (size_t)size), "%s: %zd bytes instead of \"%s\"", where, size, text);
    expect(name ? is_name(&from, length, *name) : length <= 2, "%s: from another socket", where);
}

static void has_names(int fd, const struct name *own, const struct name *peer, const char *where) {
    struct sockaddr_un address;
    socklen_t size = sizeof address;
    expect(!getsockname(fd, (void *)&address, &size) && (own ? is_name(&address, size, *own) : size == 2), "%s: another name", where);
    size = sizeof address;
    if (peer) expect(!getpeername(fd, (void *)&address, &size) && is_name(&address, size, *peer), "%s: the peer has another name", where);
}

static void has_peer(int fd, pid_t pid, const char *where) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    expect(!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size), "SO_PEERCRED: %s", strerror(errno));
    expect(peer.pid == pid && peer.uid == geteuid() && peer.gid == getegid(), "%s: the peer is %d (user %u), not %d", where, peer.pid, peer.uid, pid);
}

static void *answer(void *argument) {
    int server = *(int *)argument;
    for (;;) {
        int fd = accept(server, NULL, NULL);
        if (fd < 0) return NULL;
        uint64_t value;
        while (recv(fd, &value, sizeof value, 0) == sizeof value && send(fd, &value, sizeof value, MSG_NOSIGNAL) == sizeof value)
            ;
        close(fd);
    }
}

int run_sockets(int count, char **arguments) {
    (void)count, (void)arguments;
    char place[200];
    snprintf(place, sizeof place, "%s", run_path("service"));
    *strrchr(place, '/') = 0;
    if (chdir(place)) cannot_prepare("chdir");
    umask(027);

    // A path, a relative one, an abstract name; accepted and not accepted; each by a child, too.
    struct name path = named(run_path("listen")), relative = named("here"), hidden = abstract("a");
    struct name *all[] = {&path, &relative, &hidden};
    int server[3], client[3], accepted[3], waiting[3], child_waits[3];
    int tell[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, tell)) cannot_prepare("a pair");
    for (int i = 0; i < 3; i++) server[i] = listening(i == 1 ? SOCK_SEQPACKET : SOCK_STREAM, *all[i], 5);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 3; i++) child_waits[i] = connected(i == 1 ? SOCK_SEQPACKET : SOCK_STREAM, *all[i]);
        char byte = 0;
        if (write(tell[1], &byte, 1) != 1 || read(tell[1], &byte, 1) != 1) _exit(1);
        for (int i = 0; i < 3; i++) {
            has_names(child_waits[i], NULL, all[i], "the child's");
            has_peer(child_waits[i], getppid(), "the child's");
            give(child_waits[i], "child");
        }
        _exit(read(tell[1], &byte, 1) == 1 ? 7 : 1);
    }
    char byte;
    if (read(tell[0], &byte, 1) != 1) cannot_prepare("a child");
    for (int i = 0; i < 3; i++) accepted[i] = accept(server[i], NULL, NULL);
    for (int i = 0; i < 3; i++) {
        client[i] = connected(i == 1 ? SOCK_SEQPACKET : SOCK_STREAM, *all[i]);
        waiting[i] = connected(i == 1 ? SOCK_SEQPACKET : SOCK_STREAM, *all[i]);
        give(accepted[i], "to the child");
    }

    // Names that are removed or replaced.
    struct name old = named(run_path("old"));
    int gone = listening(SOCK_STREAM, old, 3), gone_client = connected(SOCK_STREAM, old), gone_server = accept(gone, NULL, NULL);
    give(gone_client, "over the old name");
    unlink(old.address.sun_path);
    int again = listening(SOCK_STREAM, old, 3), closed = connected(SOCK_STREAM, old);
    close(closed);
    closed = accept(again, NULL, NULL);
    int last = connected(SOCK_STREAM, old), last_server = accept(again, NULL, NULL);
    give(last_server, "good bye");
    close(last_server);

    // Datagrams from several senders, with names, without, and from one that is closed.
    struct name mail = named("mail"), first = abstract("first"), second = named(run_path("second"));
    int box = bound(SOCK_DGRAM, mail), one = bound(SOCK_DGRAM, first), two = bound(SOCK_DGRAM, second), three = made(SOCK_DGRAM);
    give_to(one, mail, "one");
    if (!joins(two, mail)) cannot_prepare("connect");
    give(two, "two");
    give_to(three, mail, "three");
    struct name last_name = abstract("last");
    int four = bound(SOCK_DGRAM, last_name);
    give_to(four, mail, "four");
    close(four);
    give_to(one, mail, "five");
    struct name lost = named(run_path("lost"));
    int unreachable = bound(SOCK_DGRAM, lost), faithful = connected(SOCK_DGRAM, lost);
    give(faithful, "before");
    unlink(lost.address.sun_path);
    int chosen = made(SOCK_DGRAM);
    if (bind(chosen, (void *)&path.address, sizeof(sa_family_t))) cannot_prepare("autobind");
    struct name chosen_name = {.size = sizeof chosen_name.address};
    getsockname(chosen, (void *)&chosen_name.address, &chosen_name.size);
    int self = bound(SOCK_DGRAM, abstract("self"));
    if (!joins(self, abstract("self"))) cannot_prepare("connect");
    give(self, "to myself");
    chmod("mail", 0620);

    // Two threads wait in accept and recv.
    static int service;
    struct name service_name = named(run_path("service"));
    service = listening(SOCK_STREAM, service_name, 20);
    start_thread(answer, &service);
    start_thread(answer, &service);
    int fixed = connected(SOCK_STREAM, service_name);
    nap_ms(20);
    say_ready();
    wait_for_finish();
    uint64_t value = 4711, back = 0;
    expect(send(fixed, &value, 8, 0) == 8 && recv(fixed, &back, 8, 0) == 8 && back == value, "the service does not answer");
    int fresh = made(SOCK_STREAM);
    expect(joins(fresh, service_name), "cannot connect to the service: %s", strerror(errno));
    expect(send(fresh, &value, 8, 0) == 8 && recv(fresh, &back, 8, 0) == 8 && back == value, "the service does not answer a new client");

    for (int i = 0; i < 3; i++) {
        has_names(server[i], all[i], NULL, "listening");
        has_names(accepted[i], all[i], NULL, "accepted");
        has_names(client[i], NULL, all[i], "a client");
        has_peer(server[i], getpid(), "listening");
        has_peer(accepted[i], child, "accepted");
        has_peer(client[i], getpid(), "a client");
        give(waiting[i], "patience");
        int accepts = accept(server[i], NULL, NULL);
        give(client[i], "first in the row");
        gets_text(accepts, "first in the row", "the first that waits");
        has_peer(accepts, getpid(), "the first that waits");
        accepts = accept(server[i], NULL, NULL);
        gets_text(accepts, "patience", "the second that waits");
        struct pollfd more = {server[i], POLLIN, 0};
        expect(poll(&more, 1, 0) == 0, "more wait than there were");
        int another = made(i == 1 ? SOCK_SEQPACKET : SOCK_STREAM);
        expect(joins(another, *all[i]), "a new connection: %s", strerror(errno));
    }
    struct stat file;
    expect(!stat(path.address.sun_path, &file) && S_ISSOCK(file.st_mode) && (file.st_mode & 0777) == 0750, "the file of the socket has other permissions");
    expect(!stat("mail", &file) && (file.st_mode & 0777) == 0620, "the changed file has other permissions");

    gets_text(gone_server, "over the old name", "removed");
    give(gone_server, "and back");
    gets_text(gone_client, "and back", "removed");
    has_names(gone_client, NULL, &old, "removed");
    has_names(gone_server, &old, NULL, "removed");
    has_names(closed, &old, NULL, "one whose client is gone");
    expect(recv(closed, &byte, 1, MSG_DONTWAIT) == 0, "one whose client is gone has no end");
    gets_text(last, "good bye", "one whose server is gone");
    expect(recv(last, &byte, 1, MSG_DONTWAIT) == 0, "one whose server is gone has no end");
    int newest = made(SOCK_STREAM);
    expect(joins(newest, old), "the new one does not have the old name");
    struct pollfd both[2] = {{gone, POLLIN, 0}, {again, POLLIN, 0}};
    expect(poll(both, 2, 0) == 1 && both[1].revents == POLLIN, "the old one has its name again");

    gets_from(box, "one", &first, "datagrams");
    gets_from(box, "two", &second, "datagrams");
    gets_from(box, "three", NULL, "datagrams");
    gets_from(box, "four", &last_name, "datagrams");
    gets_from(box, "five", &first, "datagrams");
    give(two, "again");
    gets_from(box, "again", &second, "datagrams");
    give_to(box, first, "answer");
    gets_from(one, "answer", &mail, "an answer");
    gets_from(unreachable, "before", NULL, "a removed name");
    give(faithful, "after");
    gets_from(unreachable, "after", NULL, "a removed name");
    expect(access(lost.address.sun_path, F_OK) && errno == ENOENT, "the removed name is there again");
    has_names(chosen, &chosen_name, NULL, "autobind");
    gets_text(self, "to myself", "connected with itself");
    give(self, "once more");
    gets_text(self, "once more", "connected with itself");

    int status = -1;
    byte = 1;
    expect(write(tell[0], &byte, 1) == 1, "the child is gone");
    for (int i = 0; i < 3; i++) {
        struct pollfd comes = {accepted[i], POLLIN, 0};
        poll(&comes, 1, 5000);
        gets_text(accepted[i], "child", "from the child");
    }
    expect(write(tell[0], &byte, 1) == 1, "the child is gone");
    expect(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7, "the child ended with %x", (unsigned)status);
    return verdict("sockets");
}
