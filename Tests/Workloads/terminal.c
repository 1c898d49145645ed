// Property: the terminal at descriptors 0, 1 and 2 is one after the restart, too, though perhaps another.
#include "workload.h"

int run_terminal(int count, char **arguments) {
    (void)count, (void)arguments;
    say_ready();
    wait_for_finish();
    for (int i = 0; i < 3; i++) expect(isatty(i), "descriptor %d is no terminal", i);
    char *name = ttyname(1);
    expect(name != NULL, "the terminal has no name");
    printf("the terminal is %s\n", name ? name : "?");
    fflush(stdout);
    return verdict("terminal");
}
