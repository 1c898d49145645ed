// Property: System V message queues keep numbers, keys, owners and messages, in order; who waits for one goes on waiting.
#include "workload.h"
#include <sys/ipc.h>
#include <sys/msg.h>

struct message {
    long type;
    char text[64];
};

static void put(int queue, long type, const char *text) {
    struct message message = {type, ""};
    strcpy(message.text, text);
    if (msgsnd(queue, &message, strlen(text), 0)) fail("msgsnd: %s", strerror(errno));
}

static void expect_next(int queue, long type, const char *text) {
    struct message message;
    ssize_t size = msgrcv(queue, &message, sizeof message.text, 0, IPC_NOWAIT);
    bool same = size == (ssize_t)strlen(text) && message.type == type && memcmp(message.text, text, (size_t)size) == 0;
    expect(same, "%s: %zd bytes of type %ld: %s", text, size, message.type, size < 0 ? strerror(errno) : "");
}

/// The child waits for a message of a type that comes last.
static void *wait_for_last(void *queue) {
    struct message message;
    ssize_t size = msgrcv(*(int *)queue, &message, sizeof message.text, 99, 0);
    expect(size == 4 && memcmp(message.text, "last", 4) == 0, "the message that was waited for: %zd", size);
    return NULL;
}

int run_messages(int count, char **arguments) {
    (void)count, (void)arguments;
    int queue = msgget((key_t)(0x54530000 + getpid()), IPC_CREAT | IPC_EXCL | 0640);
    int full = msgget(IPC_PRIVATE, 0600);
    if (queue < 0 || full < 0) cannot_prepare("message queue");
    struct msqid_ds description;
    msgctl(full, IPC_STAT, &description);
    description.msg_perm.uid = 65534;
    description.msg_perm.mode = 0604;
    description.msg_qbytes = 100;
    msgctl(full, IPC_SET, &description);
    put(queue, 5, "one");
    put(queue, 4, "");
    put(queue, 5, "three");
    put(full, 1, "sixty bytes sixty bytes sixty bytes sixty bytes sixty bytes");
    pid_t child = fork();
    if (child == 0) {
        wait_for_last(&queue);
        _exit(0);
    }
    pid_t sender = fork();
    if (sender == 0) {
        put(full, 2, "sixty bytes sixty bytes sixty bytes sixty bytes sixty bytes");
        _exit(0);
    }
    nap_ms(50);
    say_ready();
    wait_for_finish();
    msgctl(full, IPC_STAT, &description);
    expect(description.msg_perm.uid == 65534 && description.msg_perm.mode == 0604 && description.msg_qbytes == 100 && description.msg_qnum == 1,
        "the full queue: uid %u, mode %o, %lu bytes, %lu messages", description.msg_perm.uid, description.msg_perm.mode, description.msg_qbytes, description.msg_qnum);
    expect(msgget((key_t)(0x54530000 + getpid()), 0) == queue, "the key belongs to another queue");
    expect_next(full, 1, "sixty bytes sixty bytes sixty bytes sixty bytes sixty bytes");
    int status = -1;
    expect(waitpid(sender, &status, 0) == sender && status == 0, "the sender: %x", status);
    expect_next(full, 2, "sixty bytes sixty bytes sixty bytes sixty bytes sixty bytes");
    put(queue, 99, "last");
    expect(waitpid(child, &status, 0) == child && status == 0, "the receiver: %x", status);
    expect_next(queue, 5, "one");
    expect_next(queue, 4, "");
    expect_next(queue, 5, "three");
    msgctl(queue, IPC_RMID, NULL);
    msgctl(full, IPC_RMID, NULL);
    return verdict("messages");
}
