// Property: a pty of the tree is what it was: settings, window, contents in both directions, locks, session and foreground.
#include <asm/termbits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include "workload.h"

static int new_master(int flags) {
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | flags);
    int unlocked = 0;
    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlocked) != 0) cannot_prepare("open a pty");
    return master;
}

static int open_slave(int master, int flags) {
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | flags);
    if (slave < 0) cannot_prepare("open the slave of a pty");
    return slave;
}

static struct termios2 settings(int terminal) {
    struct termios2 now;
    memset(&now, 0, sizeof now);
    expect(ioctl(terminal, TCGETS2, &now) == 0, "TCGETS2: %s", strerror(errno));
    return now;
}

static void put(int terminal, const char *text) {
    if (write(terminal, text, strlen(text)) != (ssize_t)strlen(text)) cannot_prepare("write to a pty");
}

/// The kernel hands bytes over in the background.
static void expect_read(const char *what, int terminal, const char *text) {
    char bytes[300] = {0};
    size_t have = 0, want = strlen(text);
    struct pollfd look = {terminal, POLLIN, 0};
    while (have < want && poll(&look, 1, 2000) == 1) {
        ssize_t count = read(terminal, bytes + have, sizeof bytes - 1 - have);
        if (count <= 0) break;
        have += (size_t)count;
        // A line is a read of its own.
        if (have < want && bytes[have - 1] != '\n') continue;
    }
    expect(strcmp(bytes, text) == 0, "%s: read \"%s\", not \"%s\"", what, bytes, text);
}

static bool is_readable(int terminal) {
    struct pollfd look = {terminal, POLLIN, 0};
    return poll(&look, 1, 0) == 1 && look.revents & POLLIN;
}

static _Atomic int *interrupts, *resizes, *alive;
static void count_interrupt(int number) { (void)number, (*interrupts)++; }
static void count_resize(int number) { (void)number, (*resizes)++; }

/// A session with this terminal: its leader, and a job of it in the foreground.
static void lead_session(int slave, int master) {
    close(master);
    if (setsid() < 0 || ioctl(slave, TIOCSCTTY, 0) != 0) cannot_prepare("take a controlling terminal");
    signal(SIGTTOU, SIG_IGN);
    pid_t job = fork();
    if (job == 0) {
        setpgid(0, 0);
        signal(SIGINT, count_interrupt);
        signal(SIGWINCH, count_resize);
        pid_t own = getpid();
        if (ioctl(slave, TIOCSPGRP, &own) != 0) cannot_prepare("take the foreground");
        (*alive)++;
        for (;;) {
            pid_t group = 0;
            expect(ioctl(slave, TIOCGPGRP, &group) == 0 && group == own, "the foreground is %d, not %d", group, own);
            int tty = open("/dev/tty", O_RDWR);
            expect(tty >= 0, "/dev/tty: %s", strerror(errno));
            close(tty);
            pid_t session = 0;
            expect(ioctl(slave, TIOCGSID, &session) == 0 && session == getsid(0), "its session is %d", session);
            nap_ms(20);
        }
    }
    (*alive)++;
    for (;;) pause();
}

int run_ptys(int count, char **arguments) {
    (void)count, (void)arguments;
    interrupts = shared_memory(4096);
    resizes = interrupts + 1, alive = interrupts + 2;

    // Lines, the last one unfinished; odd settings; an odd window.
    int lines = new_master(0), lines_slave = open_slave(lines, 0), shared = dup(lines_slave);
    int again = open_slave(lines, O_NONBLOCK);
    struct termios2 odd = settings(lines_slave);
    odd.c_lflag &= (tcflag_t) ~(ECHO | ISIG);
    odd.c_iflag &= (tcflag_t) ~ICRNL;
    odd.c_cc[VINTR] = 7, odd.c_cc[VKILL] = 'k';
    struct winsize window = {33, 77, 5, 6}, seen;
    if (ioctl(lines_slave, TCSETS2, &odd) || ioctl(lines, TIOCSWINSZ, &window)) cannot_prepare("set up a pty");
    put(lines, "one\ntwo\nthr");
    put(lines_slave, "shown\n");
    // Raw, in packet mode, exclusive.
    int packets = new_master(O_NONBLOCK), packets_slave = open_slave(packets, 0), yes = 1, none = 0;
    struct termios2 raw = settings(packets_slave);
    raw.c_lflag = 0, raw.c_oflag = 0, raw.c_iflag = IXON, raw.c_cc[VMIN] = 3, raw.c_cc[VTIME] = 1;
    if (ioctl(packets_slave, TCSETS2, &raw) || ioctl(packets_slave, TIOCEXCL) || ioctl(packets, TIOCPKT, &yes)) cannot_prepare("set up a pty");
    put(packets, "keys\r\x7f");
    put(packets_slave, "pixels");
    // Locked, never opened; opened and closed with something left; without a master.
    int locked = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
    int left = new_master(0), left_slave = open_slave(left, 0);
    put(left_slave, "rest");
    close(left_slave);
    int lost = new_master(0), hung = open_slave(lost, 0);
    close(lost);
    // A session.
    int shell = new_master(0), shell_slave = open_slave(shell, 0);
    pid_t leader = fork();
    if (leader == 0) lead_session(shell_slave, shell);
    close(shell_slave);
    while (*alive < 2) nap_ms(1);
    say_ready();
    wait_for_finish();

    struct termios2 now = settings(lines_slave);
    expect(memcmp(&now, &odd, sizeof now) == 0, "settings of lines");
    expect(ioctl(lines_slave, TIOCGWINSZ, &seen) == 0 && memcmp(&seen, &window, sizeof seen) == 0, "the window");
    put(lines, "ee\n");
    expect_read("lines", shared, "one\ntwo\nthree\n");
    expect(!is_readable(again) && fcntl(again, F_GETFL) & O_NONBLOCK && !(fcntl(lines_slave, F_GETFL) & O_NONBLOCK), "sharing");
    expect_read("lines shown", lines, "shown\r\n");
    now = settings(packets_slave);
    expect(memcmp(&now, &raw, sizeof now) == 0, "settings of the raw one");
    expect_read("keys", packets_slave, "keys\r\x7f");
    char packet[20] = "x";
    expect(read(packets, packet, sizeof packet) == 7 && memcmp(packet, "\0pixels", 7) == 0, "packet mode");
    expect(ioctl(packets_slave, TIOCGEXCL, &none) == 0 && none == 1, "TIOCEXCL");
    expect(fcntl(packets, F_GETFL) & O_NONBLOCK, "O_NONBLOCK of a master");
    expect(ioctl(locked, TIOCGPTLCK, &none) == 0 && none == 1, "the lock");
    expect(read(locked, packet, 1) == -1 && errno == EAGAIN, "a slave that was never opened: %s", strerror(errno));
    expect_read("what was left", left, "rest");
    expect(read(left, packet, 1) == -1 && errno == EIO, "a closed slave: %s", strerror(errno));
    expect(read(hung, packet, 1) == 0 && write(hung, "x", 1) == -1 && errno == EIO, "a hung-up slave: %s", strerror(errno));
    int before = *interrupts, sizes = *resizes;
    put(shell, "\x03");
    window.ws_row = 44;
    ioctl(shell, TIOCSWINSZ, &window);
    for (int i = 0; i < 500 && (*interrupts == before || *resizes == sizes); i++) nap_ms(10);
    expect(*interrupts > before, "Ctrl-C does not arrive");
    expect(*resizes > sizes, "SIGWINCH does not arrive");
    kill(-leader, SIGKILL);
    pid_t job = 0;
    if (ioctl(shell, TIOCGPGRP, &job) == 0 && job > 1) kill(job, SIGKILL);
    waitpid(leader, NULL, 0);
    return verdict("ptys");
}
