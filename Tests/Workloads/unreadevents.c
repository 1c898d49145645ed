// Property: events that an inotify holds and that have not been read are there afterwards, in their order, and nothing besides.
#include "workload.h"
#include <dirent.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

static char room[1 << 16], watched[4096];

static const char *in(const char *directory, const char *name) {
    static char paths[4][4096];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static int watch(int fd, const char *path, uint32_t mask) {
    int number = inotify_add_watch(fd, path, mask);
    if (number < 0) cannot_prepare("inotify_add_watch");
    return number;
}

static void use(const char *path, int flags) {
    int fd = open(path, flags, 0600);
    if (fd < 0) cannot_prepare(path);
    char byte = 'x';
    if ((flags & O_ACCMODE) != O_RDONLY && write(fd, &byte, 1) != 1) cannot_prepare("write");
    if ((flags & O_ACCMODE) == O_RDONLY && read(fd, &byte, 1) < 0) cannot_prepare("read");
    close(fd);
}

static void list(const char *path) {
    DIR *directory = opendir(path);
    while (directory && readdir(directory)) {}
    if (directory) closedir(directory);
}

/// What read(2) gives, without the cookies: equal ones are 1, 2, ... in the order in which they come.
static size_t take(int fd, char *into, size_t size) {
    size_t used = 0;
    ssize_t got;
    while (used < size && (got = read(fd, into + used, size - used)) > 0) used += got;
    uint32_t known[64] = {0};
    for (size_t at = 0; at < used;) {
        struct inotify_event *event = (struct inotify_event *)(into + at);
        uint32_t place = 0;
        while (event->cookie && place < 63 && known[place] && known[place] != event->cookie) place++;
        if (event->cookie) {
            known[place] = event->cookie;
            event->cookie = place + 1;
        }
        at += sizeof *event + event->len;
    }
    return used;
}

/// Everything that can happen, each once at least, seen by two inotify instances in the same way.
static void make_happen(int fds[2]) {
    char own[4096], lost[4096], other[4096], away[4096];
    snprintf(own, sizeof own, "%s", in(watched, "own"));
    snprintf(lost, sizeof lost, "%s", in(watched, "lost"));
    snprintf(other, sizeof other, "%s", in(watched, "inner"));
    snprintf(away, sizeof away, "%s", run_path("outer"));
    mkdir(other, 0700);
    mkdir(away, 0700);
    use(own, O_CREAT | O_WRONLY);
    use(lost, O_CREAT | O_WRONLY);
    int short_lived = 0;
    for (int place = 0; place < 2; place++) {
        watch(fds[place], watched, IN_ALL_EVENTS);
        watch(fds[place], other, IN_ALL_EVENTS);
        short_lived = watch(fds[place], away, IN_CREATE);
        watch(fds[place], own, IN_ALL_EVENTS);
        watch(fds[place], lost, IN_ALL_EVENTS);
    }
    use(in(away, "first"), O_CREAT | O_WRONLY);
    for (int place = 0; place < 2; place++) inotify_rm_watch(fds[place], short_lived);
    use(in(watched, "a name of 16 byt"), O_CREAT | O_WRONLY);
    use(in(watched, "a name of 16 byt"), O_RDONLY);
    rename(in(watched, "a name of 16 byt"), in(watched, "new \n"));
    rename(in(watched, "new \n"), in(other, "inside"));
    rename(in(other, "inside"), in(away, "gone"));
    mkdir(in(watched, "sub"), 0700);
    chmod(in(watched, "sub"), 0755);
    list(in(watched, "sub"));
    rename(in(watched, "sub"), in(other, "sub"));
    rmdir(in(other, "sub"));
    rename(in(away, "gone"), in(watched, "back"));
    unlink(in(watched, "back"));
    use(own, O_WRONLY);
    use(own, O_RDONLY);
    chmod(own, 0640);
    rename(own, in(other, "own"));
    rename(in(other, "own"), own);
    list(watched);
    chmod(watched, 0755);
    unlink(lost);
}

int run_unreadevents(int arguments_count, char **arguments) {
    (void)arguments_count, (void)arguments;
    snprintf(watched, sizeof watched, "%s", run_path("watched"));
    mkdir(watched, 0700);
    // What the second one holds is read now, and what the first one holds when everything is over.
    int fds[2] = {inotify_init1(IN_NONBLOCK | IN_CLOEXEC), inotify_init1(IN_NONBLOCK)};
    make_happen(fds);
    static char want[1 << 16];
    size_t wanted = take(fds[1], want, sizeof want);
    if (wanted < 1000) cannot_prepare("the events");
    char busy[4096];
    snprintf(busy, sizeof busy, "%s", run_path("busy"));
    mkdir(busy, 0700);
    // A queue that has run over: it holds as many events as it can, then says so. Later there is room again.
    int full = inotify_init1(IN_NONBLOCK), waiting = 0, before = -1;
    watch(full, busy, IN_OPEN | IN_CLOSE_NOWRITE);
    while (waiting != before && waiting < 1 << 24) {
        before = waiting;
        for (int round = 0; round < 2000; round++) close(open(busy, O_RDONLY));
        ioctl(full, FIONREAD, &waiting);
    }
    for (;;) {
        ioctl(full, FIONREAD, &waiting);
        if (waiting <= 160) break;
        if (read(full, room, waiting - 160 < (int)sizeof room ? waiting - 160 : (int)sizeof room) <= 0) cannot_prepare("read");
    }
    int late = open(in(busy, "late"), O_CREAT | O_RDONLY, 0600);
    ioctl(full, FIONREAD, &waiting);
    static char before_restart[4096];
    say_ready();
    wait_for_finish();

    int now = 0;
    ioctl(full, FIONREAD, &now);
    expect(now == waiting, "%d bytes of events wait in the full queue, not %d", now, waiting);
    ssize_t got = read(full, before_restart, sizeof before_restart);
    int overflows = 0;
    struct inotify_event *event = NULL;
    for (ssize_t at = 0; at < got; at += sizeof *event + event->len) {
        event = (struct inotify_event *)(before_restart + at);
        if (event->mask == IN_Q_OVERFLOW) overflows = at == 144 ? 1 : 2;
    }
    expect(overflows == 1, "the overflow is not where it was");
    expect(event && event->mask == IN_OPEN && event->len && !strcmp(event->name, "late"), "the last event is another one");
    size_t count = take(fds[0], room, sizeof room);
    expect(count == wanted && !memcmp(room, want, wanted), "%zu bytes of events are not the %zu that there were", count, wanted);
    rename(in(busy, "late"), in(busy, "later"));
    count = take(full, room, sizeof room);
    expect(count == 0, "an event that was not asked for");
    close(open(in(busy, "later"), O_RDONLY));
    count = take(full, room, sizeof room);
    event = (struct inotify_event *)room;
    expect(count == 64 && event->wd == 1 && event->mask == IN_OPEN && !strcmp(event->name, "later"), "what happens now is not told");
    close(late);
    return verdict("unreadevents");
}
