/*
 * A program that checkpoints itself half-way:
 *
 *     cc -o checkpoint examples/checkpoint.c -ltreerestore
 *     ./checkpoint job.img
 *     crrestart job.img
 *
 * Both print the second half, each with a log of its own.
 */
#include <stdio.h>
#include <string.h>
#include <treerestore.h>
#include <unistd.h>

static FILE *log_file;

/* The copy shall not write into the log of the original: it is closed before, and another one is opened after. */
static void close_log(void *name) {
    (void)name;
    fclose(log_file);
}

static void open_log(int restarted, void *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s%s", (const char *)name, restarted ? ".restarted" : "");
    log_file = fopen(path, restarted ? "w" : "a");
}

int main(int count, char **arguments) {
    if (count != 2) return fprintf(stderr, "usage: %s IMAGE\n", arguments[0]), 2;
    char name[4096];
    snprintf(name, sizeof name, "%s.log", arguments[1]);
    log_file = fopen(name, "w");
    if (!log_file) return perror(name), 1;
    cr_on_checkpoint(close_log, name);
    cr_on_restart(open_log, name);

    long sum = 0;
    for (int number = 1; number <= 100; number++) {
        sum += number;
        if (number != 50) continue;
        int outcome = cr_checkpoint(arguments[1], CR_FORCE);
        if (outcome < 0) return fprintf(stderr, "no checkpoint: %s\n", strerror(-outcome)), 1;
        if (!log_file) return perror("log"), 1;
        fprintf(log_file, "%s goes on at %d\n", outcome ? "the restarted copy" : "the original", number);
    }
    fprintf(log_file, "the sum is %ld\n", sum);
    return fclose(log_file) ? 1 : 0;
}
