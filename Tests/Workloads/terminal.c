// Property: the terminal at descriptors 0, 1 and 2 is one after the restart, too, though perhaps another. So it is at
// other descriptors, which share as much as before.
//
//     terminal              at 0, 1, 2 and elsewhere
//     terminal elsewhere    only at other descriptors
#include "workload.h"

static bool is_nonblocking(int number) { return fcntl(number, F_GETFL) & O_NONBLOCK; }

int run_terminal(int count, char **arguments) {
    bool elsewhere = count == 1 && strcmp(arguments[0], "elsewhere") == 0;
    char *path = ttyname(0);
    // A descriptor of its own, one that is shared, one for writing only, and one by the name that everybody has for it.
    int own = open(path ? path : "", O_RDWR | O_NONBLOCK | O_NOCTTY), writing = open(path ? path : "", O_WRONLY | O_NOCTTY);
    int named = open("/dev/tty", O_RDWR), shared = fcntl(own, F_DUPFD, 100), first = dup(1);
    if (own < 0 || writing < 0 || named < 0 || shared < 0) cannot_prepare("open the terminal");
    if (elsewhere) {
        int null = open("/dev/null", O_RDWR);
        for (int i = 0; i < 3; i++) dup2(null, i);
        dup2(null, first);
    }
    say_ready();
    wait_for_finish();
    for (int i = 0; i < 3 && !elsewhere; i++) expect(isatty(i), "descriptor %d is no terminal", i);
    expect(isatty(own) && isatty(writing) && isatty(named) && isatty(shared), "a high descriptor is no terminal");
    expect((fcntl(writing, F_GETFL) & O_ACCMODE) == O_WRONLY && (fcntl(own, F_GETFL) & O_ACCMODE) == O_RDWR, "access");
    expect(is_nonblocking(own) && is_nonblocking(shared) && !is_nonblocking(named) && !is_nonblocking(writing), "O_NONBLOCK");
    fcntl(shared, F_SETFL, 0);
    expect(!is_nonblocking(own), "two descriptors do not share their file any more");
    fcntl(writing, F_SETFL, O_NONBLOCK);
    expect(!is_nonblocking(own) && !is_nonblocking(named) && (elsewhere || !is_nonblocking(1)), "descriptors share a file that did not");
    fcntl(writing, F_SETFL, 0);
    const char line[] = "written to a high descriptor\n";
    expect(write(writing, line, sizeof line - 1) == sizeof line - 1, "write: %s", strerror(errno));
    char *name = ttyname(elsewhere ? own : 1);
    expect(name != NULL, "the terminal has no name");
    dprintf(elsewhere ? own : 1, "the terminal is %s\n", name ? name : "?");
    return verdict("terminal");
}
