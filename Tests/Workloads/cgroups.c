// Property: each task comes back into the control groups that it was in.
//
// Arguments: p:DIRECTORY starts a child that enters a cgroup and becomes another user; t:DIRECTORY starts a thread of
// the child before it, and only the thread enters. The cgroups of all are written to the files `before` and `after`,
// which the test compares.
#include "workload.h"
#include <grp.h>

#define MOST 16

static struct {
    _Atomic int ready;
    char text[2][4096];
} *board;

static _Atomic int *finish;

static void enter(const char *directory, bool alone) {
    char path[4200], number[32];
    snprintf(path, sizeof path, "%s/%s", directory, alone ? "tasks" : "cgroup.procs");
    if (alone && access(path, F_OK)) snprintf(path, sizeof path, "%s/cgroup.threads", directory);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int length = snprintf(number, sizeof number, "%ld", syscall(SYS_gettid));
    if (fd < 0 || write(fd, number, (size_t)length) != length) cannot_prepare(path);
    close(fd);
}

static void note(int place, int when) {
    int fd = open("/proc/thread-self/cgroup", O_RDONLY | O_CLOEXEC);
    ssize_t length = read(fd, board[place].text[when], sizeof board[place].text[when] - 1);
    if (fd < 0 || length < 0) cannot_prepare("/proc/thread-self/cgroup");
    close(fd);
}

static void stay(int place) {
    note(place, 0);
    board[place].ready = 1;
    while (!*finish) nap_ms(20);
    note(place, 1);
    board[place].ready = 2;
}

struct member {
    int place;
    const char *directory;
};

static void *thread(void *argument) {
    struct member *self = argument;
    enter(self->directory, true);
    stay(self->place);
    return NULL;
}

static void child(int count, char **arguments, int first) {
    static struct member members[MOST];
    enter(arguments[first] + 2, false);
    for (int i = first + 1; i < count && arguments[i][0] == 't'; i++) {
        members[i] = (struct member){i, arguments[i] + 2};
        start_thread(thread, &members[i]);
        while (!board[i].ready) nap_ms(1);
    }
    if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)) cannot_prepare("user");
    stay(first);
    for (int i = first + 1; i < count && arguments[i][0] == 't'; i++)
        while (board[i].ready < 2) nap_ms(1);
    _exit(0);
}

static void report(const char *file, int count, int when) {
    FILE *out = fopen(run_path(file), "w");
    if (!out) cannot_prepare(file);
    for (int i = 0; i <= count; i++) fprintf(out, "task %d\n%s", i, board[i].text[when]);
    fclose(out);
}

int run_cgroups(int count, char **arguments) {
    if (count > MOST) return 64;
    board = shared_memory(sizeof *board * (MOST + 1));
    finish = shared_memory(sizeof *finish);
    pid_t children[MOST] = {0};
    for (int i = 0; i < count; i++) {
        if (arguments[i][0] != 'p') continue;
        children[i] = fork();
        if (children[i] < 0) cannot_prepare("process");
        if (children[i] == 0) child(count, arguments, i);
    }
    for (int i = 0; i < count; i++)
        while (!board[i].ready) nap_ms(1);
    note(count, 0);
    report("before", count, 0);
    say_ready();
    wait_for_finish();
    *finish = 1;
    for (int i = 0; i < count; i++) {
        int status = -1;
        if (children[i] > 0)
            expect(waitpid(children[i], &status, 0) == children[i] && status == 0, "child %d ended with %x", i, status);
    }
    note(count, 1);
    report("after", count, 1);
    return verdict("cgroups");
}
