#include "relatives.h"

struct family *family;

static struct member self(void) {
    return (struct member){.pid = getpid(), .parent = getppid(), .group = getpgid(0), .session = getsid(0)};
}

void join_family(int number) {
    struct member *member = &family->members[number], me = self();
    member->pid = me.pid;
    member->parent = me.parent;
    member->group = me.group;
    member->session = me.session;
    member->ready = 1;
}

void expect_same_relatives(const char *label, int number, bool parent_too) {
    struct member *was = &family->members[number], is = self();
    expect(is.pid == was->pid, "%s: the pid was %d and is %d", label, was->pid, is.pid);
    expect(is.group == was->group, "%s: the group was %d and is %d", label, was->group, is.group);
    expect(is.session == was->session, "%s: the session was %d and is %d", label, was->session, is.session);
    if (parent_too) expect(is.parent == was->parent, "%s: the parent was %d and is %d", label, was->parent, is.parent);
}

void live(const char *label, int number) {
    if (!family->members[number].ready) join_family(number);
    while (!family->finish) {
        family->members[number].count++;
        nap_ms(5);
    }
    expect_same_relatives(label, number, true);
    _exit(0);
}

char state_of(pid_t pid) {
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    char *end = length > 0 ? strrchr(text, ')') : NULL;
    return end ? end[2] : 0;
}
