// Property: eventfds keep their counts and modes, and are shared by the same processes; signalfds keep their signals.
#include "workload.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

static uint64_t take(int fd) {
    uint64_t value = 0;
    return read(fd, &value, sizeof value) == sizeof value ? value : 0;
}

static void give(int fd, uint64_t value) {
    expect(write(fd, &value, sizeof value) == sizeof value, "an eventfd takes nothing: %s", strerror(errno));
}

/// Answers every count with the same count, until a large one tells it to end.
static void echo(int questions, int answers) {
    for (;;) {
        uint64_t value = take(questions);
        if (value >= 1000000) _exit(0);
        give(answers, value);
    }
}

static _Atomic uint64_t rounds;

static void *ask(void *argument) {
    int *ends = argument;
    for (uint64_t value = 1; !finish_wanted(); value = value % 999 + 1, rounds++) {
        give(ends[0], value);
        uint64_t answer = take(ends[1]);
        expect(answer == value, "asked %llu, answered %llu", (unsigned long long)value, (unsigned long long)answer);
        nap_ms(2);
    }
    rounds = 0;
    return NULL;
}

int run_events(int count, char **arguments) {
    (void)count, (void)arguments;
    int ends[2] = {eventfd(0, 0), eventfd(0, EFD_CLOEXEC)};
    pid_t child = fork();
    if (child == 0) echo(ends[0], ends[1]);

    int counter = eventfd(7, EFD_NONBLOCK), semaphore = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);
    int large = eventfd(0, EFD_NONBLOCK), full = eventfd(0, EFD_NONBLOCK), empty = eventfd(0, EFD_NONBLOCK);
    give(large, 1ULL << 40);
    give(full, 0xfffffffffffffffeULL);
    int again = dup(counter);

    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGRTMIN + 3);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int signal_file = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 4711});

    start_thread(ask, ends);
    expect_progress("the echo", &rounds, 3);
    say_ready();
    wait_for_finish();
    while (rounds) nap_ms(5);

    expect(fcntl(counter, F_GETFL) & O_NONBLOCK, "O_NONBLOCK is lost");
    give(again, 5);
    expect(take(counter) == 12 && take(again) == 0, "the duplicate is another eventfd");
    for (int i = 0; i < 3; i++) expect(take(semaphore) == 1, "the semaphore does not give 1");
    expect(take(semaphore) == 0 && errno == EAGAIN, "the semaphore gives more than 3");
    expect(take(large) == 1ULL << 40, "a count of more than 32 bits is lost");
    uint64_t one = 1;
    expect(write(full, &one, sizeof one) < 0 && errno == EAGAIN, "the full eventfd takes more");
    expect(take(full) == 0xfffffffffffffffeULL, "the full eventfd is not full");
    expect(take(empty) == 0, "the empty eventfd is not empty");

    struct signalfd_siginfo info;
    expect(read(signal_file, &info, sizeof info) == sizeof info && info.ssi_signo == (uint32_t)SIGRTMIN + 3 &&
               info.ssi_int == 4711,
           "the pending signal is not read");
    kill(getpid(), SIGUSR1);
    expect(read(signal_file, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1, "SIGUSR1 is not read");
    expect(read(signal_file, &info, sizeof info) < 0 && errno == EAGAIN, "the signalfd has more to read");
    expect(fcntl(signal_file, F_GETFD) & FD_CLOEXEC, "close-on-exec is lost");

    give(ends[0], 1000000);
    int status = -1;
    expect(waitpid(child, &status, 0) == child && status == 0, "the child ended with %x", (unsigned)status);
    return verdict("events");
}
