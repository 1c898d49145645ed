#include "workload.h"

static char run_directory[3000];

void set_run_directory(const char *path) {
    if (!realpath(path, run_directory)) cannot_prepare(path);
}

const char *run_path(const char *file) {
    static _Thread_local char path[4096];
    snprintf(path, sizeof path, "%s/%s", run_directory, file);
    return path;
}

void cannot_prepare(const char *what) {
    fprintf(stderr, "cannot prepare %s: %s\n", what, strerror(errno));
    exit(2);
}

static void append_line(const char *file, const char *line) {
    int fd = open(run_path(file), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, line, strlen(line)) != (ssize_t)strlen(line)) _exit(3);
    close(fd);
}

void fail(const char *format, ...) {
    char text[800], line[900];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(line, sizeof line, "%d/%ld: %s\n", getpid(), syscall(SYS_gettid), text);
    append_line("failures", line);
}

void say_ready(void) {
    append_line("ready", "ready\n");
}

bool finish_wanted(void) {
    return access(run_path("finish"), F_OK) == 0;
}

void nap_ms(long milliseconds) {
    int64_t end = now_ns() + milliseconds * 1000000LL;
    for (int64_t now = now_ns(); now < end; now = now_ns()) {
        struct timespec rest = {(end - now) / 1000000000LL, (end - now) % 1000000000LL};
        nanosleep(&rest, NULL);
    }
}

void wait_for_finish(void) {
    while (!finish_wanted()) nap_ms(5);
}

void expect_progress(const char *name, _Atomic uint64_t *counter, uint64_t steps) {
    uint64_t begin = *counter;
    for (int i = 0; i < 4000; i++) {
        if (*counter - begin >= steps) return;
        nap_ms(5);
    }
    fail("%s stands still at %llu", name, (unsigned long long)begin);
}

int verdict(const char *name) {
    bool good = access(run_path("failures"), F_OK) != 0;
    char line[200];
    snprintf(line, sizeof line, "%s %s\n", good ? "OK" : "FAILED", name);
    append_line("result", line);
    fputs(line, stdout);
    fflush(stdout);
    return good ? 0 : 1;
}

int64_t clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

void start_thread(void *(*body)(void *), void *argument) {
    pthread_t thread;
    errno = pthread_create(&thread, NULL, body, argument);
    if (errno) cannot_prepare("thread");
    pthread_detach(thread);
}

void *shared_memory(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) cannot_prepare("shared memory");
    return memory;
}

void fill_pattern(void *memory, size_t bytes, uint64_t seed) {
    uint64_t *word = memory;
    for (size_t i = 0; i < bytes / sizeof *word; i++) word[i] = next_number(&seed);
}

long wrong_byte(const void *memory, size_t bytes, uint64_t seed) {
    const uint64_t *word = memory;
    for (size_t i = 0; i < bytes / sizeof *word; i++)
        if (word[i] != next_number(&seed)) return (long)(i * sizeof *word);
    return -1;
}
