/*
 * A program that checkpoints itself.
 *
 *     switch (cr_checkpoint("/var/tmp/job.img", CR_FORCE)) {
 *     case 0:  ... the image is complete, and the program goes on
 *     case 1:  ... this is the copy that crrestart has made of the image
 *     default: ... negative errno: there is no image
 *     }
 *
 * What is saved is the calling process and all its descendants, by `crcheckpoint --tree PID` as a child of this process: the command
 * leaves itself out. The library makes no other use of the tool, and a program that is linked with it runs where the tool is
 * not installed: there cr_checkpoint() returns -ENOENT.
 *
 * Threads: any thread may call any function. The other threads are saved wherever they are. One checkpoint is taken at a
 * time: a second one meanwhile gets -EBUSY.
 *
 * Signals: no function may be called from a signal handler: set a flag there, and call it later. The command is a child whose
 * end sends SIGCHLD. If the program ignores SIGCHLD, or a handler of it waits for children that are not its own
 * (waitpid(-1, ...)), the status can be lost, and with it what it tells: cr_checkpoint() returns -ECHILD then.
 *
 * Descriptors: the command inherits those without FD_CLOEXEC; in the image it has closed them. Its standard output is /dev/null; its
 * messages go to the standard error stream of the program.
 */
#ifndef TREERESTORE_H
#define TREERESTORE_H

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* End the whole tree once its image is complete and could be restarted here: in the original cr_checkpoint() does not return. */
#define CR_KILL 1u
/* Replace an image that is there already. Without it that is an error. */
#define CR_FORCE 2u

/*
 * Saves the calling process and its descendants to the file `path`.
 *
 * The command is the program that the environment variable CRCHECKPOINT names, or else crcheckpoint in PATH.
 *
 * Returns 0 in the original, 1 in a restarted copy, or a negative errno where there is no image and the program goes on:
 *   -ENOENT, -EACCES, ...  the command cannot be run
 *   -EINVAL   path or flags make no sense to it
 *   -ENOTSUP  the tree holds something that cannot be saved, or with CR_KILL could not be restarted here
 *   -EIO      the checkpoint failed for another reason: the message of the command tells it
 *   -EBUSY    another thread is taking a checkpoint
 *   -ECHILD   the status of the command went elsewhere (see above): there may be an image
 *   -EINTR    a signal has ended the command
 */
int cr_checkpoint(const char *path, unsigned flags);

/*
 * Has `fn(arg)` called at each later cr_checkpoint() before anything is saved: close here what cannot be saved. The last one
 * registered is called first.
 *
 * Returns 0, or -ENOMEM. There is no way to take a registration back.
 */
int cr_on_checkpoint(void (*fn)(void *arg), void *arg);

/*
 * Has `fn(restarted, arg)` called at the end of each later cr_checkpoint(), in the order of registration: with 1 in a restarted
 * copy, with 0 in the original, also where the checkpoint failed. Open here again what was closed.
 *
 * The functions run in the thread that called cr_checkpoint(), and may not call that.
 *
 * Returns 0, or -ENOMEM.
 */
int cr_on_restart(void (*fn)(int restarted, void *arg), void *arg);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
