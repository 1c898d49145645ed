/// How tasks get their numbers on this host.
package struct NumberFacts: Sendable {
    /// The means by which a number is given to a new task.
    package enum Choice: Sendable, Equatable {
        /// clone3(2), `set_tid`.
        case setTid
        /// `ns_last_pid`, then clone(2): kernels before 5.5, and filters that refuse clone3.
        case lastPid
        /// Neither is possible; the errno.
        case refused(setTid: String, lastPid: String)
    }

    /// The means in the pid namespace of crrestart, and in a new one.
    package var choice = Choice.setTid
    package var choiceInNewNamespace = Choice.setTid
    /// The first number above those that the kernel gives, in each of the two.
    package var end: UInt32 = 4_194_304
    package var endInNewNamespace: UInt32 = 4_194_304
    /// crrestart has a seccomp filter, which the tree inherits.
    package var isUnderFilter = false

    package init() {}
}
