// Property: none. Memory that the kernel shares with the program by a mapping, or that nobody else can see: it is refused.
#include "workload.h"
#include <arpa/inet.h>
#include <linux/aio_abi.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int map_ring(int fd, size_t bytes, off_t offset) {
    if (fd < 0) return -1;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
    // The mapping alone, without the descriptor.
    close(fd);
    return memory == MAP_FAILED ? -1 : 0;
}

static int make(const char *kind) {
    if (strcmp(kind, "uring") == 0) {
        struct io_uring_params parameters = {0};
        return map_ring((int)syscall(SYS_io_uring_setup, 4, &parameters), 4096, IORING_OFF_SQ_RING);
    }
    if (strcmp(kind, "secret") == 0) {
        int fd = (int)syscall(447, O_CLOEXEC);
        return fd < 0 || ftruncate(fd, 4096) != 0 ? -1 : map_ring(fd, 4096, 0);
    }
    if (strcmp(kind, "performance") == 0) {
        struct perf_event_attr attributes = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attributes, .config = PERF_COUNT_SW_CPU_CLOCK};
        return map_ring((int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0L), 2 * 4096, 0);
    }
    if (strcmp(kind, "packet") == 0) {
        int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
        struct tpacket_req request = {.tp_block_size = 4096, .tp_block_nr = 1, .tp_frame_size = 2048, .tp_frame_nr = 2};
        if (setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) != 0) return -1;
        return map_ring(fd, 4096, 0);
    }
    if (strcmp(kind, "asynchronous") == 0) {
        aio_context_t context = 0;
        if (syscall(SYS_io_setup, 4, &context)) return -1;
        // A request that does not end: to wait for a pipe that stays empty.
        int ends[2];
        static struct iocb request;
        struct iocb *list[1] = {&request};
        if (pipe(ends)) return -1;
        request.aio_fildes = (unsigned)ends[0];
        request.aio_lio_opcode = IOCB_CMD_POLL;
        request.aio_buf = POLLIN;
        return syscall(SYS_io_submit, context, 1, list) == 1 ? 0 : -1;
    }
    if (strcmp(kind, "userfault") == 0) {
        int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
        struct uffdio_api api = {.api = UFFD_API};
        void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct uffdio_register range = {.range = {(uintptr_t)memory, 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
        return fd < 0 || ioctl(fd, UFFDIO_API, &api) != 0 ? -1 : ioctl(fd, UFFDIO_REGISTER, &range);
    }
    return -1;
}

/// KIND. Exit status 77: this kernel, or this user, has none.
int run_kernelmemory(int count, char **arguments) {
    if (count != 1) cannot_prepare("one kind is needed");
    if (make(arguments[0]) != 0) return 77;
    say_ready();
    wait_for_finish();
    return verdict("kernelmemory");
}
