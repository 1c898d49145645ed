// Property: a thread with directories of its own (unshare(CLONE_FS)) shares them with the threads that it created, and with
// no others.
#include "workload.h"
#include <sched.h>

enum { GROUPS = 3, EACH = 3 };
static char root_path[3000];
static _Atomic uint64_t rounds[GROUPS];
static _Atomic int here;

struct wanderer {
    int group, number;
};

static void expect_place(int group) {
    char path[3100], wanted[3100];
    snprintf(wanted, sizeof wanted, "%s/g%d", root_path, group);
    if (!getcwd(path, sizeof path)) path[0] = 0;
    expect(strcmp(path, wanted) == 0, "group %d is in %s", group, path);
}

/// The first thread of each group changes its umask for ever; all threads compare their directory and umask.
static void *wander(void *argument) {
    struct wanderer *own = argument;
    char path[3100];
    if (own->number == 0 && own->group > 0) {
        if (unshare(CLONE_FS)) cannot_prepare("unshare");
        snprintf(path, sizeof path, "%s/g%d", root_path, own->group);
        if (chdir(path)) cannot_prepare(path);
        umask((mode_t)own->group);
        static struct wanderer others[GROUPS][EACH];
        for (int i = 1; i < EACH; i++) {
            others[own->group][i] = (struct wanderer){own->group, i};
            start_thread(wander, &others[own->group][i]);
        }
    }
    here++;
    for (;; rounds[own->group]++) {
        expect_place(own->group);
        if (own->number == 0) {
            mode_t mask = umask((mode_t)own->group);
            expect(mask == (mode_t)own->group, "the umask of group %d is %o", own->group, mask);
        }
        nap_ms(3);
    }
    return NULL;
}

int run_wanderers(int count, char **arguments) {
    (void)count, (void)arguments;
    char path[3100];
    if (!realpath(run_path("."), root_path)) cannot_prepare("path");
    for (int group = 0; group < GROUPS; group++) {
        snprintf(path, sizeof path, "%s/g%d", root_path, group);
        mkdir(path, 0777);
    }
    snprintf(path, sizeof path, "%s/g0", root_path);
    if (chdir(path)) cannot_prepare(path);
    umask(0);
    static struct wanderer firsts[GROUPS];
    for (int group = 0; group < GROUPS; group++) {
        firsts[group] = (struct wanderer){group, 0};
        start_thread(wander, &firsts[group]);
    }
    while (here < (GROUPS - 1) * EACH + 1) nap_ms(1);
    say_ready();
    while (!finish_wanted()) {
        expect_place(0);
        nap_ms(5);
    }
    for (int group = 0; group < GROUPS; group++) expect_progress("a group", &rounds[group], 3);
    return verdict("wanderers");
}
