// A program under a seccomp filter that refuses some calls, as containers have it.
#include "workload.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

/// confined DIRECTORY CALL ERRNO PROGRAM [ARGUMENT...]
int run_confined(int count, char **arguments) {
    if (count < 3) return 64;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)atoi(arguments[0]), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)atoi(arguments[1])),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    // Without the privilege only for a program that will not get any.
    bool is_set = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
    if (!is_set && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        is_set = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
    if (!is_set) cannot_prepare("filter");
    execvp(arguments[2], arguments + 2);
    cannot_prepare(arguments[2]);
}
