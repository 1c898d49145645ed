#include "workload.h"

void set_run_directory(const char *path);

static const struct workload workloads[] = {
    {"registers", run_registers, "threads that hold patterns in every register, or wait in a system call"},
    {"vectors", run_vectors, "threads that hold patterns in vector registers, x87, control words, TLS bases"},
    {"sleepers", run_sleepers, "threads that sleep and check how long"},
    {"waits", run_waits, "threads that wait with a time limit in every way that needs no special file"},
    {"memory", run_memory, "every kind of mapping, with contents"},
    {"prefork", run_prefork, "memory shared copy-on-write with workers that only read [MEBIBYTES PROCESSES]"},
    {"advice", run_advice, "guard pages, locks, seals, attributes of the whole memory"},
    {"memfds", run_memfds, "seals and modes of memfds, programs in them"},
    {"mutexes", run_mutexes, "robust mutexes in files, mapped files of odd names"},
    {"kernelmemory", run_kernelmemory, "memory that cannot be saved [uring|secret|performance|packet|asynchronous|userfault]"},
    {"files", run_files, "open files: offsets, flags, sharing; umask, working directory"},
    {"nameless", run_nameless, "files without a name: O_TMPFILE, removed, with their directory, mapped"},
    {"removed", run_removed, "working directory and open directories that have been removed"},
    {"links", run_links, "files that have lost one of their names; O_PATH of anything"},
    {"program", run_program, "a program whose file is removed or not executable [removed|plain]"},
    {"ptys", run_ptys, "ptys: settings, contents, packets, locks, a session with a job"},
    {"ptyfloods", run_ptyfloods, "full ptys, ends of lines, output held up"},
    {"pipes", run_pipes, "pipes: data in flight, full, packets, closed ends"},
    {"locks", run_locks, "locks of files: flock, POSIX, of open files, leases, and who waits for one"},
    {"fifos", run_fifos, "FIFOs: in flight, one side open, removed, waiting in open"},
    {"signals", run_signals, "handlers, masks, pending signals with values, alternate stack, interval timers"},
    {"credentials", run_credentials, "an ordinary user with groups, one capability and no new privileges"},
    {"processes", run_processes, "N processes that count [N]"},
    {"threads", run_threads, "N threads that count [N]"},
    {"anon", run_anon, "random anonymous memory [MEBIBYTES]"},
    {"procfiles", run_procfiles, "files of /proc/PID of its own and of others"},
    {"owners", run_owners, "files that send signals, to a thread, a process, a group"},
    {"kernelmessages", run_kernelmessages, "a reader of kernel messages"},
    {"socketpairs", run_socketpairs, "pairs of unix sockets: what waits in them, descriptors in flight, closed ends, options"},
    {"sockets", run_sockets, "unix sockets with names: listening, connected, datagrams, removed names"},
    {"events", run_events, "eventfds: counts, semaphores, shared with a child; signalfds"},
    {"timerfiles", run_timerfiles, "timerfds: relative, absolute, periodic, with expirations not read"},
    {"watchers", run_watchers, "inotify: numbers with gaps, one-shot, a file without a name, a waiting reader"},
    {"segments", run_segments, "System V shared memory: removed, with a key, read-only, in parts, locked"},
    {"queuefiles", run_queuefiles, "POSIX message queues: with messages, empty, flags of each open file"},
    {"pidfiles", run_pidfiles, "pidfds of parents, children, siblings, threads, zombies"},
    {"epolls", run_epolls, "epolls: nested, one-shot, edge-triggered, files that left their numbers"},
    {"posixtimers", run_posixtimers, "POSIX timers in all notification modes, with pending signals and overruns"},
    {"semaphores", run_semaphores, "System V semaphore sets with waiters"},
    {"messages", run_messages, "System V message queues with messages, a waiting receiver and a waiting sender"},
    {"unsaved", run_unsaved, "kernel objects that cannot be saved [watched|undo|threadclock|otherclock]"},
    {"tree", run_tree, "sessions, groups, zombies, a stopped child"},
    {"stops", run_stops, "children stopped or gone on, their parent told or not"},
    {"headless", run_headless, "processes whose first thread has exited"},
    {"forest", run_forest, "a tree made by a script [ROOT MEMBERS ZOMBIES]"},
    {"sharing", run_sharing, "processes that share memory, descriptors, directories, signal actions in every mix"},
    {"tables", run_tables, "threads with a descriptor table of their own"},
    {"wanderers", run_wanderers, "threads with directories and a umask of their own"},
    {"bare", run_bare, "a program without [vvar], or without [vdso] too [data|all]"},
    {"crowd", run_crowd, "N memory objects and N open files, up to a number of a descriptor [N HIGHEST]"},
    {"levels", run_levels, "pid namespaces in pid namespaces [DEPTH]"},
    {"orphans", run_orphans, "children of dead parents in sessions and groups of dead leaders"},
    {"breakpoints", run_breakpoints, "hardware breakpoints in a child"},
    {"rseq", run_rseq, "restartable sequences that commit only if nothing came between [MEBIBYTES]"},
    {"clocks", run_clocks, "clocks that neither jump nor run backwards, or jump [relative|absolute MILLISECONDS]"},
    {"moments", run_moments, "threads that do nothing but call the vdso"},
    {"calls", run_calls, "one child in each call that waits: all or restartable, ended by event or signal"},
    {"cgroups", run_cgroups, "children and threads in control groups of their own [p:DIRECTORY|t:DIRECTORY...]"},
    {"individuals", run_individuals, "N threads, each with credentials, scheduling, mask, stack of its own [N]"},
    {"census", run_census, "every piece of state that is saved, set to something other than its default"},
    {"terminal", run_terminal, "a terminal that a process outside of the tree has open [elsewhere]"},
    {"vforker", run_vforker, "a parent in vfork, which cannot be stopped"},
    {"idlers", run_idlers, "N tasks that only wait [wide|deep|threads N]"},
    {"bomb", run_bomb, "a fork bomb of at most N processes at a time: only where pids are limited [N]"},
    {"narrow", run_narrow, "what only 32-bit programs of a 64-bit kernel have"},
    {"borrowed", run_borrowed, "64-bit threads that sleep by int $0x80"},
    {"mixed", run_mixed, "a child of another word size [PROGRAM WORKLOAD]"},
    {"renumbered", run_renumbered, "waits, signals, timers and clocks that the kernel holds by number"},
    {"attributes", run_attributes, "threads and children, each with another attribute of prctl, membarrier, scheduling, login"},
    {"extremes", run_extremes, "times, addresses and signals as odd as the kernel takes them"},
    {"confined", run_confined, "a program whose filter refuses a call [CALL ERRNO PROGRAM ARGUMENT...]"},
    {"handover", run_handover, "threads and processes that make their successor and end [threads|processes|mixed]"},
    {"obstinate", run_obstinate, "what a checkpoint could wait for, or be hit by [traced|endsignal N|queued N|watched N|landlocked|...]"},
    {"yardstick", run_yardstick, "times of the machine itself, for scripts/bench"},
};

int main(int count, char **arguments) {
    const size_t known = sizeof workloads / sizeof workloads[0];
    for (size_t i = 0; count >= 3 && i < known; i++) {
        if (strcmp(arguments[1], workloads[i].name) != 0) continue;
        set_run_directory(arguments[2]);
        return workloads[i].run(count - 3, arguments + 3);
    }
    fprintf(stderr, "usage: Workloads NAME DIRECTORY [ARGUMENT...]\n");
    for (size_t i = 0; i < known; i++) fprintf(stderr, "  %-12s %s\n", workloads[i].name, workloads[i].summary);
    return 64;
}
