// Calls that wait for kernel objects: System V and POSIX queues, event descriptors, locks.
#include "calls.h"
#include <linux/aio_abi.h>
#include <mqueue.h>
#include <pty.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

// MARK: System V. The objects are removed when the child ends.

static void make_semaphore(struct trial *t) { t->descriptors[0] = semget(IPC_PRIVATE, 1, 0600); }
static void semaphore_limited(struct trial *t) {
    struct sembuf down = {0, -1, 0};
    struct timespec asked = time_of(ASKED_NS);
    TRY(t, SEMTIMEDOP_CALL(t->descriptors[0], &down, &asked));
    if (ns_of(asked) != ASKED_NS) fail("semtimedop changed the timeout");
    semctl(t->descriptors[0], 0, IPC_RMID);
}
static void semaphore_endless(struct trial *t) {
    struct sembuf down = {0, -1, 0};
    TRY(t, SEMOP_CALL(t->descriptors[0], &down));
    semctl(t->descriptors[0], 0, IPC_RMID);
}
static void raise_semaphore(struct trial *t) {
    struct sembuf up = {0, 1, 0};
    semop(t->descriptors[0], &up, 1);
}
struct message {
    long type;
    char text[8];
};
static void make_queue(struct trial *t) { t->descriptors[0] = msgget(IPC_PRIVATE, 0600); }
static void receive_message(struct trial *t) {
    struct message message = {0};
    TRY(t, SYS_msgrcv, t->descriptors[0], &message, sizeof message.text, 0L, 0);
    snprintf(t->wrote, sizeof t->wrote, "type:%ld,text:%.4s", message.type, *message.text ? message.text : "none");
    msgctl(t->descriptors[0], IPC_RMID, NULL);
}
static void send_message(struct trial *t) {
    struct message message = {9, "abc"};
    msgsnd(t->descriptors[0], &message, 4, 0);
}

// MARK: descriptors of one kind each

static void read_number(struct trial *t) {
    uint64_t number = 0;
    TRY(t, SYS_read, t->descriptors[0], &number, 8);
    snprintf(t->wrote, sizeof t->wrote, "number:%llu", (unsigned long long)number);
}
static void make_event(struct trial *t) { t->descriptors[0] = eventfd(0, 0); }
static void raise_event(struct trial *t) {
    uint64_t three = 3;
    if (write(t->descriptors[0], &three, 8) != 8) fail("eventfd: %s", strerror(errno));
}
static void read_timer(struct trial *t) {
    t->descriptors[0] = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec once = {.it_value = time_of(ASKED_NS)};
    timerfd_settime(t->descriptors[0], 0, &once, NULL);
    read_number(t);
}
static void watch_file(struct trial *t) {
    mkdir(run_path("watched"), 0700);
    t->descriptors[0] = inotify_init();
    inotify_add_watch(t->descriptors[0], run_path("watched"), IN_CREATE);
    char buffer[512];
    TRY(t, SYS_read, t->descriptors[0], buffer, sizeof buffer);
    t->result = t->result > 0 ? 1 : t->result;
}
static void make_file(struct trial *t) {
    (void)t;
    close(open(run_path("watched/file"), O_CREAT | O_WRONLY, 0600));
}
static void read_signal(struct trial *t) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, 0);
    struct signalfd_siginfo info = {0};
    TRY(t, SYS_read, fd, &info, sizeof info);
    snprintf(t->wrote, sizeof t->wrote, "signal:%u", info.ssi_signo);
}
static void send_awaited(struct trial *t) { kill(t->pid, SIGUSR2); }
static void make_terminal(struct trial *t) {
    if (openpty(&t->descriptors[1], &t->descriptors[0], NULL, NULL, NULL)) cannot_prepare("pty");
}
static void read_terminal(struct trial *t) {
    char line[16] = {0};
    TRY(t, SYS_read, t->descriptors[0], line, sizeof line);
    snprintf(t->wrote, sizeof t->wrote, "line:%.1s", *line ? line : "-");
}
static void type_line(struct trial *t) {
    if (write(t->descriptors[1], "y\n", 2) != 2) fail("pty: %s", strerror(errno));
}
static void make_posix_queue(struct trial *t) {
    char name[40];
    snprintf(name, sizeof name, "/treerestore-%d-%p", getpid(), (void *)t);
    struct mq_attr size = {.mq_maxmsg = 2, .mq_msgsize = 16};
    t->descriptors[0] = mq_open(name, O_RDWR | O_CREAT, 0600, &size);
    mq_unlink(name);
}
static void receive_posix(struct trial *t) {
    char text[16] = {0};
    unsigned priority = 0;
    TRY(t, SYS_mq_timedreceive, t->descriptors[0], text, sizeof text, &priority, NULL);
    snprintf(t->wrote, sizeof t->wrote, "priority:%u", priority);
}
static void receive_posix_until(struct trial *t) {
    char text[16] = {0};
    struct timespec end = asked_end(CLOCK_REALTIME);
    TRY(t, SYS_mq_timedreceive, t->descriptors[0], text, sizeof text, NULL, &end);
}
static void send_posix(struct trial *t) { mq_send(t->descriptors[0], "abc", 3, 5); }

// MARK: locks

static const char *lock_name(struct trial *t) {
    static char name[40];
    snprintf(name, sizeof name, "lock-%d", t->descriptors[1]);
    return run_path(name);
}
static void lock_flock(struct trial *t) {
    static int next = 1;
    t->descriptors[1] = next++;
    t->descriptors[0] = open(lock_name(t), O_CREAT | O_RDWR, 0600);
    flock(t->descriptors[0], LOCK_EX);
}
static void want_flock(struct trial *t) { TRY(t, SYS_flock, open(lock_name(t), O_RDWR), LOCK_EX); }
static void unlock_flock(struct trial *t) { flock(t->descriptors[0], LOCK_UN); }
static void lock_record(struct trial *t) {
    static int next = 100;
    t->descriptors[1] = next++;
    t->descriptors[0] = open(lock_name(t), O_CREAT | O_RDWR, 0600);
    struct flock all = {.l_type = F_WRLCK};
    fcntl(t->descriptors[0], F_SETLK, &all);
}
static void want_record(struct trial *t) {
    struct flock all = {.l_type = F_WRLCK};
    TRY(t, SYS_fcntl, open(lock_name(t), O_RDWR), F_SETLKW, &all);
}
static void want_record_of_file(struct trial *t) {
    struct flock64 all = {.l_type = F_WRLCK};
    TRY(t, SYS_FCNTL64, open(lock_name(t), O_RDWR), F_OFD_SETLKW, &all);
}
static void unlock_record(struct trial *t) {
    struct flock all = {.l_type = F_UNLCK};
    fcntl(t->descriptors[0], F_SETLK, &all);
}

// MARK: asynchronous input and output

static void get_events(struct trial *t) {
    aio_context_t context = 0;
    if (syscall(SYS_io_setup, 4, &context)) cannot_prepare("io_setup");
    struct io_event event;
    struct long_time asked = long_time_of(ASKED_NS);
    TRY(t, SYS_io_getevents, context, 1, 1, &event, &asked);
}
static void get_events_masked(struct trial *t) {
    aio_context_t context = 0;
    if (syscall(SYS_io_setup, 4, &context)) cannot_prepare("io_setup");
    struct io_event event;
    struct timespec asked = time_of(ASKED_NS);
    TRY(t, SYS_io_pgetevents, context, 1, 1, &event, &asked, NULL);
}

const struct call object_calls[] = {
    {"semtimedop", RESTARTABLE, make_semaphore, semaphore_limited, NULL},
    {"semop", RESTARTABLE, make_semaphore, semaphore_endless, raise_semaphore},
    {"msgrcv", RESTARTABLE, make_queue, receive_message, send_message},
    {"read-eventfd", RESTARTABLE, make_event, read_number, raise_event},
    {"read-timerfd", RESTARTABLE, NULL, read_timer, NULL},
    {"read-inotify", 0, NULL, watch_file, make_file},
    {"read-signalfd", RESTARTABLE, NULL, read_signal, send_awaited},
    {"read-pty", 0, make_terminal, read_terminal, type_line},
    {"mq_receive", 0, make_posix_queue, receive_posix, send_posix},
    {"mq_timedreceive", WALL, make_posix_queue, receive_posix_until, NULL},
    {"flock", 0, lock_flock, want_flock, unlock_flock},
    {"fcntl-lock", 0, lock_record, want_record, unlock_record},
    {"fcntl-ofd-lock", 0, lock_record, want_record_of_file, unlock_record},
    {"io_getevents", 0, NULL, get_events, NULL},
    {"io_pgetevents", 0, NULL, get_events_masked, NULL},
    {0},
};
