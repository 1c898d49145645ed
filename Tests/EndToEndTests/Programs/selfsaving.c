// A program that checkpoints itself: with threads, a child that answers over a pipe, and functions of its own before and after.
//
//     selfsaving IMAGE DIRECTORY
//
// It writes what it found to DIRECTORY/original or DIRECTORY/restarted: "right", or what was wrong.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <treerestore.h>
#include <unistd.h>

static char order[64];
static int calls, restarts = -1;
static _Atomic int thread_turns, child_signals;
static int question[2], answer[2];
static const char *image;

static void first_before(void *name) { strcat(order, name); }
static void second_before(void *name) { strcat(order, name); }
static void after(int restarted, void *count) {
    restarts = restarted;
    ++*(int *)count;
}
static void inside(int restarted, void *result) {
    (void)restarted;
    *(int *)result = cr_checkpoint(image, CR_FORCE);
}

static void *turn(void *unused) {
    (void)unused;
    for (;; usleep(1000)) thread_turns++;
    return NULL;
}


static void on_child(int number) { (void)number, child_signals++; }

static int asks(int value) {
    int got = -1;
    if (write(question[1], &value, sizeof value) != sizeof value) return 0;
    return read(answer[0], &got, sizeof got) == sizeof got && got == value + 1;
}

int main(int count, char **arguments) {
    if (count != 3) return 2;
    image = arguments[1];
    pipe(question), pipe(answer);
    pid_t child = fork();
    if (!child) {
        int value;
        close(question[1]);
        while (read(question[0], &value, sizeof value) == sizeof value) value++, write(answer[1], &value, sizeof value);
        _exit(41);
    }
    close(question[0]);
    struct sigaction action = {.sa_handler = on_child};
    sigaction(SIGCHLD, &action, NULL);
    pthread_t thread;
    pthread_create(&thread, NULL, turn, NULL);

    int nested = 0;
    cr_on_checkpoint(first_before, "first ");
    cr_on_checkpoint(second_before, "second ");
    cr_on_restart(after, &calls);
    cr_on_restart(inside, &nested);

    int wrong_path = cr_checkpoint("/none/image", 0), wrong_flags = cr_checkpoint(image, 1u << 20), no_path = cr_checkpoint("", 0);
    int before_good = calls;
    order[0] = 0;
    child_signals = 0;
    int outcome = cr_checkpoint(image, CR_FORCE);

    char path[4096], wrong[512] = "";
    snprintf(path, sizeof path, "%s/%s", arguments[2], outcome == 1 ? "restarted" : "original");
#define expect(condition) if (!(condition)) strcat(wrong, #condition "; ")
    expect(outcome == 0 || outcome == 1);
    expect(wrong_path == -EIO);
    expect(wrong_flags == -EINVAL && no_path == -EINVAL);
    expect(!strcmp(order, "second first "));
    expect(before_good == 1 && calls == 2 && restarts == outcome);
    expect(nested == -EBUSY);
    expect(child_signals == 1);
    int turns = thread_turns;
    for (int i = 0; i < 10000 && thread_turns < turns + 3; i++) usleep(1000);
    expect(thread_turns >= turns + 3);
    expect(asks(1) && asks(41));
    close(question[1]);
    int status = 0;
    expect(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 41);
    expect(waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD);

    FILE *file = fopen(path, "w");
    if (!file) return 3;
    fputs(*wrong ? wrong : "right", file);
    return fclose(file) ? 3 : outcome == 1 ? 75 : 0;
}
