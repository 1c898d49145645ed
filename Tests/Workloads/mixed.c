// Property: a tree with 32-bit and 64-bit programs works, with either as the parent of the other.
#include "workload.h"

/// Starts PROGRAM WORKLOAD in a directory of its own and asks it to verify itself at the end.
int run_mixed(int count, char **arguments) {
    if (count < 2) {
        errno = EINVAL;
        cannot_prepare("mixed");
    }
    char inner[4096], ready[4200], finish[4200];
    snprintf(inner, sizeof inner, "%s", run_path("inner"));
    snprintf(ready, sizeof ready, "%s/ready", inner);
    snprintf(finish, sizeof finish, "%s/finish", inner);
    if (mkdir(inner, 0777)) cannot_prepare(inner);
    pid_t child = fork();
    if (child < 0) cannot_prepare("child");
    if (child == 0) {
        execl(arguments[0], arguments[0], arguments[1], inner, arguments[2], arguments[2] ? arguments[3] : NULL, NULL);
        _exit(127);
    }
    while (access(ready, F_OK) != 0) {
        if (waitpid(child, NULL, WNOHANG) == child) cannot_prepare(arguments[0]);
        nap_ms(5);
    }
    say_ready();
    wait_for_finish();
    int fd = open(finish, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) fail("no finish: %s", strerror(errno));
    int status = -1;
    expect(waitpid(child, &status, 0) == child, "the child is lost");
    expect(status == 0, "the child ended with %x", status);
    return verdict("mixed");
}
