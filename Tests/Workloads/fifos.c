// Property: FIFOs keep what is in them, which ends are held, and who waits for the other side.
#include <poll.h>

#include "workload.h"

static int end_of(const char *name, int flags) {
    int fd = open(run_path(name), flags);
    if (fd < 0) cannot_prepare(name);
    return fd;
}

static const char *opened_by_thread[2];
static _Atomic uint64_t waits;

static void *wait_in_open(void *argument) {
    long side = (long)argument;
    const char *path = opened_by_thread[side];
    int fd = open(path, side ? O_WRONLY : O_RDONLY);
    char byte = 'w';
    if (fd < 0 || (side ? write(fd, &byte, 1) : read(fd, &byte, 1)) != 1) fail("the thread that waited in open got errno %d", errno);
    if (fd >= 0) close(fd);
    waits++;
    return NULL;
}

static short events(int fd) {
    struct pollfd look = {.fd = fd, .events = POLLIN};
    return poll(&look, 1, 0) < 0 ? -1 : look.revents;
}

int run_fifos(int count, char **arguments) {
    (void)count, (void)arguments;
    signal(SIGPIPE, SIG_IGN);
    const char *names[] = {"both", "lone", "ended", "tokens", "gone", "to-read", "to-write", "broken"};
    for (int i = 0; i < 8; i++)
        if (mkfifo(run_path(names[i]), 0600)) cannot_prepare(names[i]);
    int reader = end_of("both", O_RDONLY | O_NONBLOCK), writer = end_of("both", O_WRONLY), second = end_of("both", O_WRONLY | O_APPEND);
    if (fcntl(writer, F_SETPIPE_SZ, 8192) != 8192 || write(writer, "hello", 5) != 5) cannot_prepare("both");
    int lone = end_of("lone", O_RDONLY | O_NONBLOCK);
    int ended = end_of("ended", O_RDONLY | O_NONBLOCK), ending = end_of("ended", O_WRONLY);
    if (write(ending, "end", 3) != 3) cannot_prepare("ended");
    close(ending);
    int tokens = end_of("tokens", O_RDWR), gone = end_of("gone", O_RDWR);
    if (write(tokens, "xx", 2) != 2 || write(gone, "gone", 4) != 4 || unlink(run_path("gone"))) cannot_prepare("tokens");
    int unread = end_of("broken", O_RDONLY | O_NONBLOCK), broken = end_of("broken", O_WRONLY);
    close(unread);
    // A pipe without a name whose two ends are one open file.
    int ends[2];
    char path[64];
    if (pipe(ends)) cannot_prepare("pipe");
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    int both = open(path, O_RDWR);
    if (both < 0 || close(ends[0]) || close(ends[1]) || write(both, "pair", 4) != 4) cannot_prepare("both ends");
    opened_by_thread[0] = strdup(run_path("to-read")), opened_by_thread[1] = strdup(run_path("to-write"));
    for (long i = 0; i < 2; i++) start_thread(wait_in_open, (void *)i);
    say_ready();
    wait_for_finish();

    char bytes[20];
    expect(read(reader, bytes, 20) == 5 && memcmp(bytes, "hello", 5) == 0, "what was in the FIFO is wrong");
    expect(read(reader, bytes, 20) < 0 && errno == EAGAIN, "the FIFO is not empty, or its writers are gone");
    expect(fcntl(reader, F_GETPIPE_SZ) == 8192, "the capacity is %d", fcntl(reader, F_GETPIPE_SZ));
    expect((fcntl(second, F_GETFL) & (O_ACCMODE | O_APPEND)) == (O_WRONLY | O_APPEND), "the flags are wrong");
    close(writer);
    expect(read(reader, bytes, 20) < 0 && errno == EAGAIN, "the second writer is gone");
    close(second);
    expect(read(reader, bytes, 20) == 0, "there is another writer");
    expect(events(lone) == 0 && read(lone, bytes, 1) == 0, "the reader that had no writer is told of an end: %x", events(lone));
    int late = open(run_path("lone"), O_WRONLY | O_NONBLOCK);
    expect(late >= 0 && write(late, "x", 1) == 1 && read(lone, bytes, 1) == 1, "the name leads to another FIFO");
    expect(events(ended) == (POLLIN | POLLHUP), "the reader whose writers are gone sees %x", events(ended));
    expect(read(ended, bytes, 20) == 3 && read(ended, bytes, 20) == 0 && events(ended) == POLLHUP, "the end is lost");
    expect(read(tokens, bytes, 20) == 2 && write(tokens, "y", 1) == 1 && read(tokens, bytes, 20) == 1, "the tokens are wrong");
    expect(read(gone, bytes, 20) == 4 && memcmp(bytes, "gone", 4) == 0, "the FIFO without a name is wrong");
    expect(access(run_path("gone"), F_OK) < 0, "the removed FIFO has its name again");
    expect(write(broken, "x", 1) < 0 && errno == EPIPE, "the FIFO without a reader has one");
    expect(read(both, bytes, 20) == 4 && memcmp(bytes, "pair", 4) == 0 && write(both, "z", 1) == 1 && read(both, bytes, 20) == 1,
           "the pipe with both ends in one is wrong");
    expect(waits == 0, "a thread that waits in open got through");
    int to = open(opened_by_thread[0], O_WRONLY), from = open(opened_by_thread[1], O_RDONLY);
    expect(write(to, "x", 1) == 1 && read(from, bytes, 1) == 1, "no process waits in open");
    expect_progress("the threads that waited in open", &waits, 2 - waits);
    return verdict("fifos");
}
