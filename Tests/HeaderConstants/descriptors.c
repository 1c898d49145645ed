// Open files of kinds whose fdinfo has lines of its own.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "HeaderConstants.h"

int header_descriptor(int kind) {
    sigset_t signals;
    struct epoll_event watched = {.events = EPOLLIN};
    int descriptor = -1;
    switch (kind) {
    case 0: return eventfd(3, EFD_CLOEXEC);
    case 1: return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    case 2:
        sigemptyset(&signals);
        sigaddset(&signals, SIGUSR2);
        return signalfd(-1, &signals, SFD_CLOEXEC);
    case 3:
        descriptor = epoll_create1(EPOLL_CLOEXEC);
        // A registration goes with the last descriptor of what is watched: this one stays open.
        epoll_ctl(descriptor, EPOLL_CTL_ADD, eventfd(0, EFD_CLOEXEC), &watched);
        return descriptor;
    case 4:
        descriptor = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        flock(descriptor, LOCK_SH);
        return descriptor;
    }
    return -1;
}

void header_descriptor_close(int descriptor) { close(descriptor); }
