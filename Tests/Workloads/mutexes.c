// Property: robust mutexes in files are held by their owners still, whatever the end of the original did to the files; and
// files of any name are mapped.
#include "workload.h"

enum { MUTEXES = 3 };
static const char *const names[] = {"plain", "two\nlines", "kept (deleted)", "back\\012slash"};
enum { NAMES = sizeof names / sizeof names[0] };

int run_mutexes(int count, char **arguments) {
    (void)count, (void)arguments;
    int fd = open(run_path("mutexes"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (ftruncate(fd, 4096) != 0) cannot_prepare("mutexes");
    pthread_mutex_t *mutex = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    for (int i = 0; i < MUTEXES; i++) pthread_mutex_init(&mutex[i], &attributes);
    // The last one is free.
    for (int i = 0; i + 1 < MUTEXES; i++) pthread_mutex_lock(&mutex[i]);
    uint32_t word;
    memcpy(&word, &mutex[0], sizeof word);
    _Atomic int *waits = shared_memory(2 * sizeof *waits);
    pid_t waiter = fork();
    if (waiter == 0) {
        waits[0] = 1;
        int result = pthread_mutex_lock(&mutex[1]);
        expect(result == 0, "who waited for a mutex is told: %s", strerror(result));
        waits[1] = 1;
        pthread_mutex_unlock(&mutex[1]);
        _exit(0);
    }
    while (waits[0] == 0) nap_ms(1);
    uint64_t *mapped[NAMES];
    for (int i = 0; i < NAMES; i++) {
        int file = open(run_path(names[i]), O_RDWR | O_CREAT | O_TRUNC, 0600);
        if (ftruncate(file, 4096) != 0) cannot_prepare(names[i]);
        mapped[i] = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        *mapped[i] = 100 + (uint64_t)i;
        close(file);
    }
    nap_ms(20);
    say_ready();
    wait_for_finish();
    uint32_t now;
    memcpy(&now, &mutex[0], sizeof now);
    expect(now == word, "the word of a mutex is %x, not %x", now, word);
    expect(waits[1] == 0, "who waited for a mutex has it");
    expect(pthread_mutex_unlock(&mutex[0]) == 0, "a mutex cannot be unlocked");
    expect(pthread_mutex_unlock(&mutex[1]) == 0, "a mutex with a waiter cannot be unlocked");
    expect(pthread_mutex_lock(&mutex[2]) == 0, "the free mutex cannot be locked");
    waitpid(waiter, NULL, 0);
    expect(waits[1] == 1, "who waited for a mutex did not get it");
    for (int i = 0; i < NAMES; i++) {
        uint64_t value = 0;
        *mapped[i] += 1000;
        int file = open(run_path(names[i]), O_RDONLY);
        expect(pread(file, &value, 8, 0) == 8 && value == 1100 + (uint64_t)i, "the file %s is not what is mapped", names[i]);
        close(file);
    }
    return verdict("mutexes");
}
