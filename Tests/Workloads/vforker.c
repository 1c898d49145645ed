// No property, but a parent that cannot be stopped: it waits in vfork for a child that neither ends nor calls exec.
#include "workload.h"

int run_vforker(int count, char **arguments) {
    (void)count, (void)arguments;
    _Atomic uint64_t *steps = shared_memory(sizeof *steps);
    pid_t child = vfork();
    if (child < 0) cannot_prepare("process");
    if (child == 0) {
        say_ready();
        while (!finish_wanted()) {
            nap_ms(10);
            ++*steps;
        }
        _exit(0);
    }
    int status = -1;
    expect(waitpid(child, &status, 0) == child && status == 0, "the child ended with %x", status);
    expect(*steps > 0, "the child stood still");
    return verdict("vforker");
}
