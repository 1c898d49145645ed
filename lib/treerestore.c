#define _GNU_SOURCE
#include "treerestore.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The exit statuses of the command, and the one that its parent sees in a restarted copy. */
enum { DONE = 0, HOST_CANNOT = 3, CANNOT_BE_SAVED = 4, WRONG_USAGE = 64, RESTARTED = 75 };

struct callback {
    void (*before)(void *);
    void (*after)(int, void *);
    void *arg;
    struct callback *next, *previous;
};

/* Held during a checkpoint; in the copy, too, until cr_checkpoint() returns there. */
static pthread_mutex_t at_work = PTHREAD_MUTEX_INITIALIZER;
/* Guards the ends of the list. Links between elements never change, so the list is walked without it. */
static pthread_mutex_t list = PTHREAD_MUTEX_INITIALIZER;
static struct callback *first, *last;

static int add(struct callback one) {
    struct callback *new = malloc(sizeof *new);
    if (!new) return -ENOMEM;
    *new = one;
    pthread_mutex_lock(&list);
    new->previous = last;
    if (last) last->next = new; else first = new;
    last = new;
    pthread_mutex_unlock(&list);
    return 0;
}

int cr_on_checkpoint(void (*fn)(void *), void *arg) { return add((struct callback){ .before = fn, .arg = arg }); }

int cr_on_restart(void (*fn)(int, void *), void *arg) { return add((struct callback){ .after = fn, .arg = arg }); }

/* The pid of the command, or a negative errno. */
static int start(const char *path, unsigned flags) {
    const char *command = getenv("CRCHECKPOINT");
    if (!command || !*command) command = "crcheckpoint";
    char tree[16];
    snprintf(tree, sizeof tree, "%d", (int)getpid());
    const char *arguments[9] = { command, "--tree", tree, "--output", path };
    int count = 5;
    if (flags & CR_KILL) arguments[count++] = "--kill";
    if (flags & CR_FORCE) arguments[count++] = "--force";

    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return -error;
    error = posix_spawnattr_init(&attributes);
    if (error) {
        posix_spawn_file_actions_destroy(&actions);
        return -error;
    }
    /* The command waits for children of its own, and heeds signals. */
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGCHLD);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    error = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    pid_t pid = 0;
    if (!error) error = posix_spawnp(&pid, command, &actions, &attributes, (char *const *)arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error ? -error : pid;
}

static int result(int status) {
    if (WIFSIGNALED(status)) return -EINTR;
    switch (WEXITSTATUS(status)) {
    case DONE: return 0;
    case RESTARTED: return 1;
    case HOST_CANNOT: case CANNOT_BE_SAVED: return -ENOTSUP;
    case WRONG_USAGE: return -EINVAL;
    /* posix_spawn of a C library that cannot tell why. */
    case 127: return -ENOENT;
    default: return -EIO;
    }
}

static int run(const char *path, unsigned flags) {
    int pid = start(path, flags);
    if (pid < 0) return pid;
    int status = 0;
    pid_t found;
    /* Here the copy begins: its child has ended, too. */
    do found = waitpid(pid, &status, 0); while (found < 0 && errno == EINTR);
    return found < 0 ? -errno : result(status);
}

int cr_checkpoint(const char *path, unsigned flags) {
    /* "-" would be the standard output, which is /dev/null here. */
    if (!path || !*path || (path[0] == '-' && !path[1]) || flags & ~(CR_KILL | CR_FORCE)) return -EINVAL;
    if (pthread_mutex_trylock(&at_work)) return -EBUSY;
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);

    /* What is registered meanwhile is called next time: the functions called after are those of before. */
    pthread_mutex_lock(&list);
    struct callback *begin = first, *end = last;
    pthread_mutex_unlock(&list);
    for (struct callback *one = end; one; one = one->previous) if (one->before) one->before(one->arg);
    int outcome = run(path, flags);
    for (struct callback *one = begin; one; one = one == end ? NULL : one->next) if (one->after) one->after(outcome == 1, one->arg);

    pthread_setcancelstate(cancel, NULL);
    pthread_mutex_unlock(&at_work);
    return outcome;
}
