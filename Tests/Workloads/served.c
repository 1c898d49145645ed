// Property: none. A file system that a task of the tree serves itself (FUSE), and that another one uses: it is refused,
// without a question to that file system, which nothing would answer.
#include "workload.h"
#include <linux/fuse.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/uio.h>

enum { FILE_NODE = 2, FILE_SIZE = 4096, FILE_BYTE = 0x5a };

static void answer(int fuse, uint64_t unique, int error, const void *body, size_t size) {
    struct fuse_out_header header = {.len = (uint32_t)(sizeof header + size), .error = error, .unique = unique};
    struct iovec parts[] = {{&header, sizeof header}, {(void *)body, size}};
    if (writev(fuse, parts, size ? 2 : 1) < 0 && errno != ENOENT) fail("the server cannot answer: %s", strerror(errno));
}

static struct fuse_attr attributes(uint64_t node) {
    struct fuse_attr attributes = {.ino = node, .nlink = 1, .blksize = 4096};
    attributes.mode = node == FILE_NODE ? S_IFREG | 0755 : S_IFDIR | 0755;
    attributes.size = node == FILE_NODE ? FILE_SIZE : 0;
    return attributes;
}

/// Nothing that it says may be kept: each question comes here.
static void serve(int fuse) {
    static char request[1 << 17], page[FILE_SIZE];
    memset(page, FILE_BYTE, sizeof page);
    while (read(fuse, request, sizeof request) > 0 || errno == EINTR || errno == ENOENT) {
        const struct fuse_in_header *in = (void *)request;
        const void *body = in + 1;
        switch (in->opcode) {
        case FUSE_INIT: {
            struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096, .max_readahead = 0};
            answer(fuse, in->unique, 0, &out, sizeof out);
            break;
        }
        case FUSE_LOOKUP: {
            struct fuse_entry_out out = {.nodeid = FILE_NODE, .attr = attributes(FILE_NODE)};
            bool known = strcmp(body, "file") == 0;
            answer(fuse, in->unique, known ? 0 : -ENOENT, &out, known ? sizeof out : 0);
            break;
        }
        case FUSE_GETATTR: {
            struct fuse_attr_out out = {.attr = attributes(in->nodeid)};
            answer(fuse, in->unique, 0, &out, sizeof out);
            break;
        }
        case FUSE_OPEN:
        case FUSE_OPENDIR: {
            struct fuse_open_out out = {0};
            answer(fuse, in->unique, 0, &out, sizeof out);
            break;
        }
        case FUSE_READ: {
            const struct fuse_read_in *wanted = body;
            size_t rest = wanted->offset < FILE_SIZE ? FILE_SIZE - wanted->offset : 0;
            answer(fuse, in->unique, 0, page, wanted->size < rest ? wanted->size : rest);
            break;
        }
        case FUSE_RELEASE:
        case FUSE_RELEASEDIR: answer(fuse, in->unique, 0, NULL, 0); break;
        case FUSE_FORGET:
        case FUSE_BATCH_FORGET:
        case FUSE_INTERRUPT: break;
        default: answer(fuse, in->unique, -ENOSYS, NULL, 0);
        }
    }
}

/// open, directory or mapped: what of the file system is in use. Exit status 77: it cannot be mounted.
int run_served(int count, char **arguments) {
    if (count != 1) cannot_prepare("one use is needed");
    int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    // Nothing is left of the mount when the tree has ended, however it ends.
    if (fuse < 0 || unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return 77;
    char directory[4096], options[128];
    snprintf(directory, sizeof directory, "%s", run_path("mount"));
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%d,group_id=%d", fuse, getuid(), getgid());
    if (mkdir(directory, 0755) != 0 || mount("served", directory, "fuse", MS_NOSUID | MS_NODEV, options) != 0) return 77;
    pid_t server = fork();
    if (server < 0) cannot_prepare("fork");
    if (server == 0) {
        serve(fuse);
        _exit(0);
    }
    close(fuse);
    char file[4200];
    snprintf(file, sizeof file, "%s/file", directory);
    int opened = -1;
    volatile char *mapped = NULL;
    if (strcmp(arguments[0], "directory") == 0) {
        if (chdir(directory) != 0) cannot_prepare("chdir");
    } else {
        opened = open(file, O_RDONLY);
        if (opened < 0) cannot_prepare("open");
    }
    if (strcmp(arguments[0], "mapped") == 0) {
        mapped = mmap(NULL, FILE_SIZE, PROT_READ, MAP_PRIVATE, opened, 0);
        if (mapped == MAP_FAILED) cannot_prepare("mmap");
        close(opened);
        opened = -1;
    }
    say_ready();
    wait_for_finish();
    char byte = 0;
    if (mapped) byte = mapped[100];
    else if (opened >= 0) expect(pread(opened, &byte, 1, 100) == 1, "cannot read: %s", strerror(errno));
    else {
        int here = open("file", O_RDONLY);
        expect(here >= 0 && pread(here, &byte, 1, 100) == 1, "cannot read: %s", strerror(errno));
    }
    expect(byte == FILE_BYTE, "read %#x", byte);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    return verdict("served");
}
