// Property: POSIX message queues tell a process of the next message as before; queues without a name are the same, with what is in them.
#include "workload.h"
#include <mqueue.h>
#include <poll.h>

static _Atomic uint64_t told, told_value, *shared;
enum { READY, LEAVE };

static void handle(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    told_value = (uint64_t)(uintptr_t)info->si_value.sival_ptr;
    told = info->si_code == SI_MESGQ ? 1 : 2;
}

static void run_told(union sigval value) { told_value = (uint64_t)(uintptr_t)value.sival_ptr, told = 3; }

static mqd_t queue(const char *suffix, long size, bool keeps_name, char *name) {
    struct mq_attr attributes = {.mq_maxmsg = 7, .mq_msgsize = size};
    snprintf(name, 80, "/treerestore-%d-%lld-%s", getpid(), (long long)now_ns(), suffix);
    mqd_t made = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0640, &attributes);
    if (made < 0) cannot_prepare("mq_open");
    if (!keeps_name) mq_unlink(name);
    return made;
}

static void is_told(mqd_t queue, uint64_t how, uint64_t value, const char *what) {
    struct sigevent none = {.sigev_notify = SIGEV_NONE};
    told = told_value = 0;
    expect(mq_notify(queue, &none) < 0 && errno == EBUSY, "%s: no process is to be told: %s", what, strerror(errno));
    expect(mq_send(queue, "x", 1, 3) == 0, "%s: mq_send: %s", what, strerror(errno));
    for (int i = 0; i < 4000 && how && !told; i++) nap_ms(2);
    expect(told == how && told_value == value, "%s: told %d with %llx", what, (int)told, (unsigned long long)told_value);
    // It is told once.
    expect(mq_notify(queue, &none) == 0, "%s: a process is to be told still", what);
    char text[8192];
    expect(mq_receive(queue, text, sizeof text, NULL) == 1, "%s: no message", what);
}

int run_queuenotices(int count, char **arguments) {
    (void)count, (void)arguments;
    shared = shared_memory(4096);
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    sigaction(SIGRTMIN + 1, &action, NULL);
    char names[5][80], text[8192];
    mqd_t by_signal = queue("signal", 100, true, names[0]), by_thread = queue("thread", 8192, false, names[1]);
    mqd_t by_none = queue("none", 50, true, names[2]), of_child = queue("child", 60, true, names[3]);
    mqd_t unnamed = queue("unnamed", 6000, false, names[4]);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_ptr = (void *)0x123456789abc};
    if (mq_notify(by_signal, &event)) cannot_prepare("mq_notify");
    event = (struct sigevent){.sigev_notify = SIGEV_THREAD, .sigev_notify_function = run_told, .sigev_value.sival_ptr = (void *)0xabcdef};
    if (mq_notify(by_thread, &event)) cannot_prepare("mq_notify by a thread");
    event = (struct sigevent){.sigev_notify = SIGEV_NONE};
    if (mq_notify(by_none, &event)) cannot_prepare("mq_notify by nothing");
    // Without a name: priorities, an empty message, one of more than a page, two open files.
    static char large[6000];
    fill_pattern(large, sizeof large, 7);
    if (mq_send(unnamed, "low", 3, 0) || mq_send(unnamed, "first", 5, 9) || mq_send(unnamed, large, sizeof large, 9) || mq_send(unnamed, "", 0, 32767)) cannot_prepare("mq_send");
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", unnamed);
    mqd_t reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (reader < 0) cannot_prepare("the queue once more");
    pid_t child = fork();
    if (child == 0) {
        event = (struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 77};
        if (mq_notify(of_child, &event)) _exit(1);
        shared[READY] = 1;
        while (!shared[LEAVE]) nap_ms(2);
        for (int i = 0; i < 4000 && !told; i++) nap_ms(2);
        expect(told == 1 && (int)told_value == 77, "the child was told %d with %d", (int)told, (int)told_value);
        _exit(0);
    }
    while (!shared[READY]) nap_ms(2);
    say_ready();
    wait_for_finish();

    is_told(by_signal, 1, 0x123456789abc, "by signal");
    is_told(by_thread, 3, 0xabcdef, "by thread");
    is_told(by_none, 0, 0, "by nothing");
    told = 0;
    shared[LEAVE] = 1;
    expect(mq_send(of_child, "x", 1, 0) == 0, "mq_send: %s", strerror(errno));
    int status = -1;
    expect(waitpid(-1, &status, 0) > 0 && status == 0 && !told, "the child ended with %x", (unsigned)status);

    struct mq_attr attributes;
    expect(mq_getattr(reader, &attributes) == 0 && attributes.mq_maxmsg == 7 && attributes.mq_msgsize == 6000 && attributes.mq_curmsgs == 4 && attributes.mq_flags == O_NONBLOCK,
           "another queue: %ld of %ld bytes, %ld there", attributes.mq_maxmsg, attributes.mq_msgsize, attributes.mq_curmsgs);
    struct stat state;
    expect(fstat(unnamed, &state) == 0 && (state.st_mode & 0777) == 0640 && state.st_nlink == 0, "mode %o, %u names", state.st_mode, (unsigned)state.st_nlink);
    unsigned priority;
    expect(mq_receive(unnamed, text, sizeof text, &priority) == 0 && priority == 32767, "not the empty message");
    expect(mq_receive(reader, text, sizeof text, &priority) == 5 && priority == 9 && !memcmp(text, "first", 5), "not the first message");
    expect(mq_receive(reader, text, sizeof text, &priority) == sizeof large && priority == 9 && wrong_byte(text, sizeof large, 7) < 0, "not the large message");
    expect(mq_receive(reader, text, sizeof text, &priority) == 3 && priority == 0, "not the last message");
    expect(mq_receive(reader, text, sizeof text, &priority) < 0 && errno == EAGAIN, "a message more");
    expect(mq_send(reader, "x", 1, 0) < 0 && errno == EBADF, "the reader can write");
    for (int i = 0; i < 5; i++) mq_unlink(names[i]);
    return verdict("queuenotices");
}
