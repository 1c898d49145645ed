// Property: POSIX message queues are the same, with what is in them, and with the flags of each open file.
#include "workload.h"
#include <mqueue.h>

int run_queuefiles(int count, char **arguments) {
    (void)count, (void)arguments;
    char name[64], other[64], text[128];
    snprintf(name, sizeof name, "/treerestore-%d-%lld", getpid(), (long long)now_ns());
    snprintf(other, sizeof other, "%s-empty", name);
    struct mq_attr attributes = {.mq_maxmsg = 5, .mq_msgsize = 128};
    mqd_t writer = mq_open(name, O_CREAT | O_EXCL | O_WRONLY, 0640, &attributes);
    mqd_t reader = mq_open(name, O_RDONLY | O_NONBLOCK);
    attributes.mq_maxmsg = 3;
    mqd_t empty = mq_open(other, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
    if (writer < 0 || reader < 0 || empty < 0) cannot_prepare("mq_open");
    if (mq_send(writer, "low", 3, 1) || mq_send(writer, "high", 4, 9)) cannot_prepare("mq_send");
    mqd_t copy = dup(reader);
    say_ready();
    wait_for_finish();
    expect(mq_getattr(empty, &attributes) == 0 && attributes.mq_maxmsg == 3 && attributes.mq_msgsize == 128 && attributes.mq_flags == 0,
           "the empty queue is another one");
    expect(mq_getattr(reader, &attributes) == 0 && attributes.mq_flags == O_NONBLOCK && attributes.mq_curmsgs == 2,
           "flags %lx, %ld messages", attributes.mq_flags, attributes.mq_curmsgs);
    unsigned priority;
    expect(mq_receive(copy, text, sizeof text, &priority) == 4 && priority == 9 && !memcmp(text, "high", 4), "not the first message");
    expect(mq_receive(reader, text, sizeof text, &priority) == 3 && priority == 1, "not the second message");
    expect(mq_receive(reader, text, sizeof text, &priority) < 0 && errno == EAGAIN, "a message more");
    expect(mq_send(writer, "new", 3, 0) == 0 && mq_receive(reader, text, sizeof text, NULL) == 3, "nothing goes through");
    expect(mq_send(reader, "new", 3, 0) < 0 && errno == EBADF, "the reader can write");
    mq_unlink(name);
    mq_unlink(other);
    return verdict("queuefiles");
}
