// Property: a thread that has a descriptor table of its own (unshare(CLONE_FILES)) keeps it, and shares it with the threads
// that it created: a descriptor is another file in each table, and files of one table only keep working.
#include "workload.h"
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

enum { GROUPS = 3, EACH = 3, FILE_NUMBER = 50, SHARED_NUMBER = 51, TIMER_NUMBER = 52, PERIOD_MS = 5 };
static _Atomic uint64_t rounds[GROUPS], expirations[GROUPS];
static _Atomic int here;

struct holder {
    int group, number;
};

/// Each group's file holds the number of the group; the eventfd is one for all of them; the timer is the group's own.
static void expect_table(int group, bool takes) {
    char text[8] = "";
    expect(pread(FILE_NUMBER, text, 1, 0) == 1 && text[0] == '0' + group, "group %d reads '%s' at %d", group, text, FILE_NUMBER);
    for (int other = 0; other < GROUPS; other++) {
        int own = fcntl(60 + other, F_GETFD);
        expect((own >= 0) == (other == group), "group %d: descriptor %d is %s", group, 60 + other, own >= 0 ? "open" : "closed");
    }
    if (!takes) return;
    uint64_t count;
    if (read(TIMER_NUMBER, &count, sizeof count) == sizeof count) expirations[group] += count;
}

static void fill_table(int group) {
    char path[32];
    snprintf(path, sizeof path, "g%d", group);
    int file = open(run_path(path), O_RDWR | O_CREAT, 0600);
    char digit = (char)('0' + group);
    if (file < 0 || pwrite(file, &digit, 1, 0) != 1 || dup2(file, FILE_NUMBER) < 0) cannot_prepare("file");
    close(file);
    for (int other = 0; other < GROUPS; other++) close(60 + other);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec period = {{0, PERIOD_MS * 1000000}, {0, PERIOD_MS * 1000000}};
    if (timer < 0 || timerfd_settime(timer, 0, &period, NULL) || dup2(timer, TIMER_NUMBER) < 0) cannot_prepare("timer");
    close(timer);
    if (dup2(FILE_NUMBER, 60 + group) < 0) cannot_prepare("dup2");
}

static void *hold(void *argument) {
    struct holder *own = argument;
    if (own->number == 0 && own->group > 0) {
        if (unshare(CLONE_FILES)) cannot_prepare("unshare");
        fill_table(own->group);
        static struct holder others[GROUPS][EACH];
        for (int i = 1; i < EACH; i++) {
            others[own->group][i] = (struct holder){own->group, i};
            start_thread(hold, &others[own->group][i]);
        }
    }
    here++;
    for (;; rounds[own->group]++) {
        expect_table(own->group, own->number == 0);
        uint64_t one = 1;
        expect(write(SHARED_NUMBER, &one, sizeof one) == sizeof one, "group %d cannot count", own->group);
        nap_ms(3);
    }
    return NULL;
}

int run_tables(int count, char **arguments) {
    (void)count, (void)arguments;
    int event = eventfd(0, EFD_NONBLOCK);
    if (event < 0 || dup2(event, SHARED_NUMBER) < 0) cannot_prepare("eventfd");
    close(event);
    fill_table(0);
    static struct holder firsts[GROUPS];
    for (int group = 0; group < GROUPS; group++) {
        firsts[group] = (struct holder){group, 0};
        start_thread(hold, &firsts[group]);
    }
    while (here < (GROUPS - 1) * EACH + 1) nap_ms(1);
    say_ready();
    while (!finish_wanted()) {
        expect_table(0, false);
        nap_ms(5);
    }
    uint64_t counted = 0;
    for (int group = 0; group < GROUPS; group++) {
        expect_progress("a group", &rounds[group], 3);
        expect_progress("a timer", &expirations[group], 3);
    }
    expect(read(SHARED_NUMBER, &counted, sizeof counted) == sizeof counted && counted >= rounds[0] + rounds[1] + rounds[2],
           "the eventfd that all groups have counted %llu", (unsigned long long)counted);
    return verdict("tables");
}
