// Property: files without a name keep their extended attributes, and one that O_TMPFILE made can be given a name.
#include "workload.h"
#include <sys/xattr.h>

enum { FILES = 4, BYTES = 70000 };

struct file {
    const char *what;
    int fd;
    mode_t mode;
    // What was set on it; length 0: its file system takes none.
    char user[200], list[200];
    ssize_t user_length, list_length;
};

/// An access control list (acl(5)) as the kernel takes it: version 2, then tag, permissions and id of each entry.
static ssize_t set_list(int fd, char *seen, size_t room) {
    struct __attribute__((packed)) {
        uint32_t version;
        struct __attribute__((packed)) { uint16_t tag, permissions; uint32_t id; } entries[5];
    } list = {2, {{1, 6, -1}, {2, 5, 4711}, {4, 4, -1}, {16, 5, -1}, {32, 0, -1}}};
    if (fsetxattr(fd, "system.posix_acl_access", &list, sizeof list, 0) != 0) return 0;
    return fgetxattr(fd, "system.posix_acl_access", seen, room);
}

static void prepare(struct file *file, const char *what, int fd, mode_t mode, uint64_t seed) {
    file->what = what, file->fd = fd, file->mode = mode;
    if (fd < 0) return;
    uint8_t content[BYTES];
    fill_pattern(content, BYTES, seed);
    // The first part is a hole.
    if (pwrite(fd, content + BYTES / 2, BYTES / 2, BYTES / 2) != BYTES / 2) cannot_prepare(what);
    snprintf(file->user, sizeof file->user, "of %s", what);
    file->user_length = fsetxattr(fd, "user.treerestore", file->user, strlen(file->user), 0) == 0 ? (ssize_t)strlen(file->user) : 0;
    file->list_length = set_list(fd, file->list, sizeof file->list);
    if (file->list_length == 0) fchmod(fd, mode);
    struct stat status;
    fstat(fd, &status);
    file->mode = status.st_mode;
    lseek(fd, 77, SEEK_SET);
}

static void verify(const struct file *file, int fd, uint64_t seed) {
    uint8_t content[BYTES], found[BYTES + 1];
    fill_pattern(content, BYTES, seed);
    memset(content, 0, BYTES / 2);
    expect(pread(fd, found, sizeof found, 0) == BYTES && memcmp(found, content, BYTES) == 0, "%s: its contents are wrong", file->what);
    char value[200];
    ssize_t length = fgetxattr(fd, "user.treerestore", value, sizeof value);
    expect(length == file->user_length || (length < 0 && file->user_length == 0), "%s: its attribute has %zd bytes", file->what, length);
    expect(length < 0 || memcmp(value, file->user, (size_t)length) == 0, "%s: its attribute is another", file->what);
    length = fgetxattr(fd, "system.posix_acl_access", value, sizeof value);
    expect(length == file->list_length || (length < 0 && file->list_length == 0), "%s: its access control list has %zd bytes", file->what, length);
    expect(length < 0 || memcmp(value, file->list, (size_t)length) == 0, "%s: its access control list is another", file->what);
    struct stat status;
    fstat(fd, &status);
    expect(status.st_mode == file->mode, "%s: its mode is %o, not %o", file->what, status.st_mode, file->mode);
}

int run_temporary(int count, char **arguments) {
    (void)count, (void)arguments;
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", run_path("."));
    struct file files[FILES];
    prepare(&files[0], "a file of O_TMPFILE", open(folder, O_TMPFILE | O_RDWR, 0640), 0640, 1);
    prepare(&files[1], "a removed file", open(run_path("removed"), O_CREAT | O_RDWR, 0600), 0400, 2);
    unlink(run_path("removed"));
    prepare(&files[2], "a memfd", memfd_create("temporary", 0), 0600, 3);
    // Opened twice, once for reading: both have to be the file that is given a name.
    prepare(&files[3], "a second file of O_TMPFILE", open(folder, O_TMPFILE | O_RDWR, 0600), 0600, 4);
    if (files[3].fd >= 0) fcntl(files[3].fd, F_SETFL, O_APPEND);
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", files[3].fd);
    int reader = files[3].fd < 0 ? -1 : open(self, O_RDONLY);
    say_ready();
    wait_for_finish();
    if (files[3].fd >= 0) expect(fcntl(files[3].fd, F_GETFL) & O_APPEND, "O_APPEND is gone");
    for (int index = 0; index < FILES; index++) {
        if (files[index].fd < 0) continue;
        verify(&files[index], files[index].fd, (uint64_t)index + 1);
        expect(lseek(files[index].fd, 0, SEEK_CUR) == 77, "%s: its position is wrong", files[index].what);
    }
    for (int index = 0; index < FILES; index += 3) {
        if (files[index].fd < 0) continue;
        expect((fcntl(files[index].fd, F_GETFL) & O_TMPFILE) == O_TMPFILE, "%s: its flags are %x", files[index].what, fcntl(files[index].fd, F_GETFL));
        const char *name = run_path(index == 0 ? "first" : "second");
        snprintf(self, sizeof self, "/proc/self/fd/%d", files[index].fd);
        if (linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW) != 0) {
            fail("%s cannot be given a name: %s", files[index].what, strerror(errno));
            continue;
        }
        int again = open(name, O_RDONLY);
        verify(&files[index], again, (uint64_t)index + 1);
        struct stat one, other;
        fstat(again, &one), fstat(index == 0 ? files[0].fd : reader, &other);
        expect(one.st_ino == other.st_ino && one.st_dev == other.st_dev, "%s: its name leads to another file", files[index].what);
    }
    return verdict("temporary");
}
