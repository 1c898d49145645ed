// Property: ptys that are full in both directions lose nothing; lines end where they ended; output that was held up is held up.
#include <asm/termbits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include "workload.h"

enum { most = 1 << 15 };

struct pty { int master, slave; };

static struct pty new_pty(tcflag_t local, tcflag_t input) {
    struct pty pty = {open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK), -1};
    int unlocked = 0;
    if (pty.master < 0 || ioctl(pty.master, TIOCSPTLCK, &unlocked)) cannot_prepare("open a pty");
    pty.slave = ioctl(pty.master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK);
    struct termios2 settings;
    if (pty.slave < 0 || ioctl(pty.slave, TCGETS2, &settings)) cannot_prepare("open the slave of a pty");
    settings.c_lflag = local, settings.c_iflag = input, settings.c_oflag = 0;
    settings.c_cc[VMIN] = 1, settings.c_cc[VTIME] = 0, settings.c_cc[VEOL] = ';';
    if (ioctl(pty.slave, TCSETS2, &settings)) cannot_prepare("set up a pty");
    return pty;
}

static bool is_ready(int terminal, short events, int ms) {
    struct pollfd look = {terminal, events, 0};
    return poll(&look, 1, ms) == 1 && look.revents & events;
}

/// Writes bytes of a sequence until there is no room. Gives their number.
static int flood(int terminal, uint64_t seed) {
    int count = 0;
    for (; count < most; count++) {
        unsigned char byte = (unsigned char)next_number(&seed);
        if (write(terminal, &byte, 1) != 1 && (!is_ready(terminal, POLLOUT, 50) || write(terminal, &byte, 1) != 1)) break;
    }
    if (count < 4096 || count == most) cannot_prepare("fill a pty");
    return count;
}

static void expect_flood(const char *what, int terminal, uint64_t seed, int count) {
    unsigned char bytes[4096];
    int have = 0;
    while (have < count && is_ready(terminal, POLLIN, 2000)) {
        ssize_t got = read(terminal, bytes, sizeof bytes);
        if (got <= 0) break;
        for (ssize_t i = 0; i < got; i++, have++) {
            if (bytes[i] == (unsigned char)next_number(&seed)) continue;
            fail("%s: byte %d of %d is another one", what, have, count);
            return;
        }
    }
    expect(have == count && !is_ready(terminal, POLLIN, 0), "%s: %d of %d bytes", what, have, count);
}

// Lines: what is typed, and what each read gives.
static char typed[most], shown[most];
static int typed_size, lines, line_end[most];

static void make_lines(void) {
    static const char *const kinds[] = {"plain\n", "\x04", "pushed\x04", "field;", "a literal \x16\x04 and \x16\x03 and \x16\x16\n", "\n"};
    uint64_t seed = 5;
    int size = 0;
    while (typed_size < most - 300) {
        for (uint64_t i = next_number(&seed) % 60; i; i--) typed[typed_size++] = shown[size++] = (char)('a' + i % 26);
        const char *kind = kinds[next_number(&seed) % 6];
        for (const char *c = kind; *c; c++) {
            typed[typed_size++] = *c;
            if (*c == 0x16) typed[typed_size++] = *++c, shown[size++] = *c;
            else if (*c != 4) shown[size++] = *c;
        }
        line_end[lines++] = size;
    }
}

/// Types from a place on, until there is no room.
static int type_lines(int terminal, int from) {
    while (from < typed_size && write(terminal, typed + from, 1) == 1) from++;
    return from;
}

static void expect_lines(struct pty pty, int from) {
    char bytes[4097];
    for (int line = 0, start = 0; line < lines; start = line_end[line++]) {
        ssize_t got = -1;
        for (int tries = 0; tries < 400 && got < 0; tries++) {
            got = read(pty.slave, bytes, sizeof bytes);
            from = type_lines(pty.master, from);
            if (got < 0) is_ready(pty.slave, POLLIN, 5);
        }
        if (got == line_end[line] - start && memcmp(bytes, shown + start, (size_t)got) == 0) continue;
        bytes[got < 0 ? 0 : got] = 0;
        fail("line %d of %d: \"%s\" (%zd), not \"%.*s\"", line, lines, bytes, got, line_end[line] - start, shown + start);
        return;
    }
}

int run_ptyfloods(int count, char **arguments) {
    (void)count, (void)arguments;
    struct pty raw = new_pty(0, 0), tty = new_pty(ICANON | ISIG | IEXTEN, IXON), few = new_pty(ICANON | IEXTEN, 0);
    struct pty key = new_pty(ICANON | ECHO, IXON), call = new_pty(0, 0);
    int yes = 1;
    if (ioctl(raw.master, TIOCPKT, &yes) || ioctl(raw.master, TIOCPKT, (yes = 0, &yes))) cannot_prepare("TIOCPKT");
    int input = flood(raw.master, 1), output = flood(raw.slave, 2);
    make_lines();
    int from = 0;
    // The kernel takes bytes in the background.
    for (int i = 0; i < 20; i++, nap_ms(5)) from = type_lines(tty.master, from);
    if (from < 4096) cannot_prepare("fill a pty with lines");
    if (write(few.master, "half\x04\x04unfin", 11) != 11) cannot_prepare("type");
    if (write(key.slave, "before", 6) != 6 || write(key.master, "\x13", 1) != 1) cannot_prepare("hold up");
    for (int i = 0; i < 400 && is_ready(key.slave, POLLOUT, 0); i++) nap_ms(5);
    if (is_ready(key.slave, POLLOUT, 0)) cannot_prepare("hold output up");
    if (write(key.master, "echo", 4) != 4 || write(call.slave, "out", 3) != 3 || ioctl(call.slave, TCXONC, 0)) cannot_prepare("hold up");
    say_ready();
    wait_for_finish();

    expect_flood("input", raw.slave, 1, input);
    expect_flood("output", raw.master, 2, output);
    expect_lines(tty, from);
    char bytes[64];
    expect(read(few.slave, bytes, sizeof bytes) == 4 && memcmp(bytes, "half", 4) == 0, "a pushed line");
    expect(read(few.slave, bytes, sizeof bytes) == 0, "the end of a file");
    expect(read(few.slave, bytes, sizeof bytes) == -1 && errno == EAGAIN, "an unfinished line");
    expect(write(few.master, "ished\n", 6) == 6 && is_ready(few.slave, POLLIN, 2000), "the end of the line");
    expect(read(few.slave, bytes, sizeof bytes) == 11 && memcmp(bytes, "unfinished\n", 11) == 0, "a finished line");
    expect(!is_ready(key.slave, POLLOUT, 0) && write(key.slave, "x", 1) == -1 && errno == EAGAIN, "Ctrl-S is forgotten");
    expect(write(key.master, "\x11", 1) == 1 && is_ready(key.slave, POLLOUT, 2000), "Ctrl-Q does not help");
    expect(write(key.slave, "after", 5) == 5, "output after Ctrl-Q: %s", strerror(errno));
    ssize_t got = 0;
    while (got < 15 && is_ready(key.master, POLLIN, 2000)) got += read(key.master, bytes + got, sizeof bytes - (size_t)got);
    expect(got == 15 && memcmp(bytes, "beforeechoafter", 15) == 0, "held output: %.*s", (int)got, bytes);
    expect(!is_ready(call.slave, POLLOUT, 0), "TCOOFF is forgotten");
    expect(ioctl(call.slave, TCXONC, 1) == 0 && is_ready(call.slave, POLLOUT, 2000), "TCOON does not help");
    expect(read(call.master, bytes, sizeof bytes) == 3 && memcmp(bytes, "out", 3) == 0, "output before TCOOFF");
    return verdict("ptyfloods");
}
