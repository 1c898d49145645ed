/// How tasks get their numbers on this host.
package struct NumberFacts: Sendable {
    /// The means by which a number is given to a new task.
    package enum Choice: Sendable, Equatable {
        /// clone3(2), `set_tid`.
        case setTid
        /// `ns_last_pid`, then clone(2): kernels before 5.5, and filters that refuse clone3.
        case lastPid
        /// Neither; by errno.
        case refused(setTid: String, lastPid: String)
    }

    /// In the pid namespace of crrestart, and in a new one.
    package var choice = Choice.setTid
    package var choiceInNewNamespace = Choice.setTid
    /// Numbers are below these.
    package var end: UInt32 = 4_194_304
    package var endInNewNamespace: UInt32 = 4_194_304
    /// crrestart is under a seccomp filter, and so will the tree be.
    package var isUnderFilter = false

    package init() {}
}
