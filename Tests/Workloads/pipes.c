// Property: no byte in a pipe is lost, doubled or moved, and the ends stay open or closed.
#include "workload.h"

enum { PACKETS = 5 };
static _Atomic uint64_t received;

static void fill(int fd, uint64_t *seed) {
    // Odd sizes, so that pages of the pipe are only partly used.
    uint8_t bytes[777];
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    for (;;) {
        uint64_t before = *seed;
        for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)next_number(seed);
        ssize_t written = write(fd, bytes, sizeof bytes);
        if (written == (ssize_t)sizeof bytes) continue;
        *seed = before;
        break;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

/// Reads to the end and compares with the sequence that `fill` wrote; gives the number of bytes.
static uint64_t drain(const char *name, int fd, uint64_t seed) {
    uint8_t bytes[4096];
    uint64_t total = 0;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    for (;;) {
        ssize_t count = read(fd, bytes, sizeof bytes);
        if (count <= 0) break;
        for (ssize_t i = 0; i < count; i++)
            if (bytes[i] != (uint8_t)next_number(&seed)) {
                fail("%s: byte %llu is wrong", name, (unsigned long long)total + (uint64_t)i);
                return total;
            }
        total += (uint64_t)count;
    }
    return total;
}

/// A child that writes for ever and is stuck in a full pipe most of the time.
static pid_t start_writer(int ends[2]) {
    pid_t child = fork();
    if (child != 0) return child;
    close(ends[0]);
    signal(SIGPIPE, SIG_IGN);
    uint32_t block[1000];
    for (uint32_t next = 0;;) {
        for (size_t i = 0; i < 1000; i++) block[i] = next++;
        ssize_t written = write(ends[1], block, sizeof block);
        if (written < 0 && errno == EPIPE) _exit(0);
        expect(written == sizeof block, "write gave %zd, errno %d", written, errno);
    }
}

static void *reader(void *argument) {
    int fd = *(int *)argument;
    uint32_t block[250];
    for (uint32_t next = 0;; received++) {
        size_t have = 0;
        while (have < sizeof block) {
            ssize_t count = read(fd, (uint8_t *)block + have, sizeof block - have);
            expect(count > 0, "read gave %zd, errno %d", count, errno);
            if (count > 0) have += (size_t)count;
        }
        for (size_t i = 0; i < 250; i++, next++)
            if (block[i] != next) fail("number %u in the place of %u", block[i], next);
        nap_ms(2);
    }
    return NULL;
}

int run_pipes(int count, char **arguments) {
    (void)count, (void)arguments;
    signal(SIGPIPE, SIG_IGN);
    int full[2], big[2], packets[2], half[2], broken[2], empty[2], ended[2], stream[2];
    // The writer comes first: it must not hold ends of the other pipes.
    if (pipe(stream)) cannot_prepare("stream");
    pid_t writer = start_writer(stream);
    close(stream[1]);
    start_thread(reader, &stream[0]);
    if (pipe(full) || pipe(big) || pipe2(packets, O_DIRECT) || pipe(half) || pipe(broken) ||
        pipe2(empty, O_NONBLOCK) || pipe(ended))
        cannot_prepare("pipes");

    uint64_t full_seed = 11, big_seed = 12;
    fill(full[1], &full_seed);
    int big_size = fcntl(big[1], F_SETPIPE_SZ, 256 * 1024);
    fill(big[1], &big_seed);
    for (int i = 0; i < PACKETS; i++) {
        char packet[200];
        memset(packet, 'a' + i, sizeof packet);
        if (write(packets[1], packet, 20 + 30 * (size_t)i) < 0) cannot_prepare("packets");
    }
    // Read a part, so that the first page of the pipe starts in its middle.
    char bytes[100];
    if (write(half[1], "0123456789", 10) != 10 || read(half[0], bytes, 4) != 4) cannot_prepare("half");
    close(broken[0]);
    if (write(ended[1], "the end", 7) != 7) cannot_prepare("ended");
    close(ended[1]);
    int full_size = fcntl(full[1], F_GETPIPE_SZ);

    expect_progress("the stream", &received, 5);
    say_ready();
    wait_for_finish();

    expect(fcntl(full[1], F_GETPIPE_SZ) == full_size && fcntl(big[1], F_GETPIPE_SZ) == big_size,
           "the size of a pipe changed");
    uint64_t got = drain("full", full[0], 11);
    expect(got >= 60000 && got <= 65536, "the full pipe held %llu bytes", (unsigned long long)got);
    got = drain("big", big[0], 12);
    expect(got >= 240000 && got <= 262144, "the big pipe held %llu bytes", (unsigned long long)got);
    for (int i = 0; i < PACKETS; i++) {
        char packet[400];
        ssize_t length = read(packets[0], packet, sizeof packet);
        expect(length == 20 + 30 * i && packet[0] == 'a' + i && packet[length - 1] == 'a' + i, "packet %d has %zd bytes",
               i, length);
    }
    expect(fcntl(packets[1], F_GETFL) & O_DIRECT, "O_DIRECT is lost");
    expect(read(half[0], bytes, sizeof bytes) == 6 && memcmp(bytes, "456789", 6) == 0, "the half-read pipe is wrong");
    expect(write(broken[1], "x", 1) < 0 && errno == EPIPE, "the pipe without reader is not broken");
    expect(read(empty[0], bytes, 1) < 0 && errno == EAGAIN, "the empty pipe is not empty");
    expect(read(ended[0], bytes, sizeof bytes) == 7 && memcmp(bytes, "the end", 7) == 0, "the last bytes are wrong");
    expect(read(ended[0], bytes, sizeof bytes) == 0, "the pipe without writer has no end");
    expect(write(empty[1], "y", 1) == 1 && read(empty[0], bytes, 1) == 1 && bytes[0] == 'y', "the empty pipe is dead");

    expect_progress("the stream", &received, 20);
    kill(writer, SIGKILL);
    expect(waitpid(writer, NULL, 0) == writer, "the writer is not a child");
    return verdict("pipes");
}
