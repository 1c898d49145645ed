// Property: inotify instances watch the same files under the same numbers, for the same events, and nothing else has happened there.
#include "workload.h"
#include <sys/epoll.h>
#include <sys/inotify.h>

static int watch(int fd, const char *path, uint32_t mask) {
    int number = inotify_add_watch(fd, path, mask);
    if (number < 0) cannot_prepare("inotify_add_watch");
    return number;
}

/// Uses up a number.
static void skip_number(int fd, const char *path) {
    char event[64];
    if (inotify_rm_watch(fd, watch(fd, path, IN_DELETE_SELF)) || read(fd, event, sizeof event) < 16) cannot_prepare("inotify_rm_watch");
}

/// The watches of an inotify, as the kernel tells them.
static void describe(int fd, char *text, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *file = fopen(path, "r");
    size_t used = 0;
    char line[512];
    text[0] = 0;
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, "inotify", 7) && strncmp(line, "flags", 5)) continue;
        // The file without a name is another one after a restart.
        char *inode = strstr(line, " ino:"), *mask = strstr(line, " mask:"), *rest = strstr(line, " ignored_mask:");
        if (inode && mask && rest) {
            *rest = 0;
            memmove(inode, mask, strlen(mask) + 1);
        }
        used += snprintf(text + used, size - used, "%s\n", line);
    }
    if (file) fclose(file);
}

static void touch(const char *path, int flags) {
    int fd = open(path, flags, 0600);
    expect(fd >= 0, "%s: %s", path, strerror(errno));
    if (flags & O_WRONLY) expect(write(fd, "x", 1) == 1, "%s takes nothing", path);
    close(fd);
}

/// The next event has to be this one.
static void expect_event(int fd, int number, uint32_t mask, const char *name) {
    static char room[4096];
    static ssize_t left;
    static char *next;
    if (left <= 0) left = read(fd, next = room, sizeof room);
    if (left < (ssize_t)sizeof(struct inotify_event)) {
        fail("no event, watch %d ought to have %x %s", number, mask, name);
        return;
    }
    struct inotify_event *event = (struct inotify_event *)next;
    expect(event->wd == number && event->mask == mask && !strcmp(event->len ? event->name : "", name),
           "event %x %s of watch %d, not %x %s of %d", event->mask, event->len ? event->name : "", event->wd, mask, name, number);
    next += sizeof *event + event->len;
    left -= sizeof *event + event->len;
}

static void *read_one(void *argument) {
    // A reader that waits.
    int *fds = argument;
    char room[4096];
    ssize_t count = read(fds[0], room, sizeof room);
    struct inotify_event *event = (struct inotify_event *)room;
    expect(count > 0 && event->wd == fds[1] && event->mask == IN_ATTRIB, "the waiting reader got %zd bytes, %x", count, event->mask);
    fds[2] = 1;
    return NULL;
}

int run_watchers(int count, char **arguments) {
    (void)count, (void)arguments;
    char directory[4096], inner[4096], file[4096], gone[4096], once[4096];
    snprintf(directory, sizeof directory, "%s", run_path("watched"));
    mkdir(directory, 0700);
    snprintf(inner, sizeof inner, "%s/inner", directory);
    mkdir(inner, 0700);
    snprintf(file, sizeof file, "%s/a file\n", inner);
    snprintf(once, sizeof once, "%s/once", inner);
    snprintf(gone, sizeof gone, "%s/gone", inner);
    touch(file, O_CREAT | O_WRONLY);
    touch(once, O_CREAT | O_WRONLY);
    int unlinked = open(gone, O_CREAT | O_RDWR, 0600);
    unlink(gone);

    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), waiting = inotify_init1(0), empty = inotify_init1(IN_NONBLOCK);
    int outer = watch(fd, directory, IN_ALL_EVENTS);
    for (int skipped = 0; skipped < 40; skipped++) skip_number(fd, directory[0] ? "/" : "");
    int content = watch(fd, file, IN_MODIFY | IN_ACCESS | IN_DELETE_SELF);
    skip_number(fd, "/");
    int single = watch(fd, once, IN_MODIFY | IN_ONESHOT);
    int removed = watch(fd, inner, IN_CREATE | IN_DELETE | IN_MOVE | IN_EXCL_UNLINK);
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", unlinked);
    int nameless = watch(fd, name, IN_MODIFY);
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 12};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) cannot_prepare("epoll_ctl");
    int reader[3] = {waiting, watch(waiting, file, IN_ATTRIB), 0};
    start_thread(read_one, reader);
    int copy = dup(fd);
    char before[3][4096], after[4096];
    describe(fd, before[0], sizeof before[0]);
    describe(waiting, before[1], sizeof before[1]);
    describe(empty, before[2], sizeof before[2]);
    pid_t child = fork();
    if (child == 0) {
        wait_for_finish();
        describe(fd, after, sizeof after);
        expect(!strcmp(after, before[0]), "in the child: %s, not %s", after, before[0]);
        _exit(0);
    }
    say_ready();
    wait_for_finish();
    int status;
    expect(waitpid(child, &status, 0) == child && status == 0, "the child ended with %x", status);

    describe(fd, after, sizeof after);
    expect(!strcmp(after, before[0]), "%s, not %s", after, before[0]);
    describe(copy, after, sizeof after);
    describe(waiting, after, sizeof after);
    expect(!strcmp(after, before[1]), "%s, not %s", after, before[1]);
    describe(empty, after, sizeof after);
    expect(!strcmp(after, before[2]), "%s, not %s", after, before[2]);
    char room[4096];
    expect(read(fd, room, sizeof room) < 0 && errno == EAGAIN, "an event although nothing has happened");
    expect(epoll_wait(epoll, &event, 1, 0) == 0, "the epoll sees an event");

    char other[4096];
    snprintf(other, sizeof other, "%s/new", directory);
    mkdir(other, 0700);
    expect(epoll_wait(epoll, &event, 1, 5000) == 1 && event.data.u64 == 12, "the epoll sees nothing");
    expect_event(fd, outer, IN_CREATE | IN_ISDIR, "new");
    touch(file, O_WRONLY);
    expect_event(fd, content, IN_MODIFY, "");
    touch(once, O_WRONLY);
    expect_event(fd, single, IN_MODIFY, "");
    expect_event(fd, single, IN_IGNORED, "");
    expect(write(unlinked, "x", 1) == 1, "the file without a name takes nothing");
    expect_event(copy, nameless, IN_MODIFY, "");
    unlink(once);
    expect_event(fd, removed, IN_DELETE, "once");
    // The next number is above all that there were.
    expect(inotify_add_watch(fd, "/", IN_DELETE_SELF) > nameless, "a number has come again");
    chmod(file, 0640);
    for (int round = 0; round < 200 && !reader[2]; round++) nap_ms(10);
    expect(reader[2], "the reader waits on");
    return verdict("watchers");
}
