// Property: a program without the kernel's data pages ([vvar], [vvar_vclock]) or without the vdso goes on.
//
//     bare data     its [vvar] is unmapped, its [vdso] is there
//     bare all      both are unmapped
#include "workload.h"

static void unmap(const char *name) {
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long found[8][2];
    int count = 0;
    char line[512];
    while (maps && fgets(line, sizeof line, maps) && count < 8)
        if (strstr(line, name) && sscanf(line, "%lx-%lx", &found[count][0], &found[count][1]) == 2) count++;
    if (maps) fclose(maps);
    if (count == 0) cannot_prepare(name);
    for (int i = 0; i < count; i++) munmap((void *)found[i][0], found[i][1] - found[i][0]);
}

/// Time by the system call itself: the vdso is not there, or has no data.
static int64_t plain_now(void) {
    struct timespec time;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int run_bare(int count, char **arguments) {
    bool all = count > 0 && strcmp(arguments[0], "all") == 0;
    unmap("[vvar");
    if (all) unmap("[vdso]");
    say_ready();
    int64_t last = plain_now();
    while (!finish_wanted()) {
        struct timespec nap = {0, 5000000};
        syscall(SYS_nanosleep, &nap, NULL);
        int64_t now = plain_now();
        expect(now >= last, "the clock ran backwards");
        last = now;
    }
    return verdict("bare");
}
