internal import Kernel
internal import LinuxABI
internal import RestorePlan
internal import StepProgram

/// Everything that a restart needs before its first process: clocks, launchpad, channels.
///
/// Nothing of it outlives this value, unless a ``ForkedTree`` takes it over.
struct PreparedRestart: ~Copyable {
    let plan: RestorePlan
    let clocks: PreparedClocks
    let memory: SharedMemory
    /// From the monitor to the inner half: a byte says "go", the end says that the monitor died.
    let guardian: Pipe
    /// From the inner half to the monitor: the root's wait status.
    let status: Pipe

    init(_ plan: RestorePlan) throws(RestoreError) {
        let clocks = try PreparedClocks(plan.valid.time, beginNow: plan.valid.joinsClocksFirst)
        let memory = try Self.launchpad(plan)
        let guardian = try Pipe()
        let status = try Pipe()
        self.plan = plan
        self.clocks = clocks
        self.memory = memory
        self.guardian = guardian
        self.status = status
    }

    /// What the first process of a tree inherits besides what was prepared for this attempt.
    struct Inheritance {
        /// The open image.
        var image: Int32
        /// No process waits for the root: the inner half keeps only what a namespace needs.
        var detaches: Bool
        /// The pty that takes the place of crrestart's terminal.
        var terminal: Int32?
        /// What the user gives in the place of open files, by choice; -1: nothing.
        var given: [Int32] = []
    }

    /// Forks the inner half, which creates the root, and waits until the tree has unfolded.
    ///
    /// - If it fails: nothing is left.
    consuming func fork(_ inheritance: Inheritance, _ watch: Watch) throws(RestoreError) -> ForkedTree {
        let inner = try forkInner(inheritance)
        var tree = ForkedTree(self, inner: inner)
        try tree.begin(watch)
        return tree
    }

    /// Never returns in the child.
    private borrowing func forkInner(_ inheritance: Inheritance) throws(RestoreError) -> Int32 {
        let namespaces = plan.valid.newPidNamespace ? CloneFlag.CLONE_NEWPID | CloneFlag.CLONE_NEWNS : 0
        do throws(SystemError) {
            let inner = try Processes.fork(namespaces: namespaces, at: .cloneInner)
            if inner != 0 { return inner }
            DescriptorTable.close(guardian.write.number)
            DescriptorTable.close(status.read.number)
            InnerHalf(
                plan: plan, memory: memory.reference(), timeNamespace: clocks.namespace,
                guardian: guardian.read.number, status: status.write.number, inheritance: inheritance
            ).run()
        } catch { throw RestoreError(cannot: "fork the inner half", error, help: "a new pid namespace needs CAP_SYS_ADMIN") }
    }

    /// Step loop, data and programs where no task of the image has anything.
    private static func launchpad(_ plan: RestorePlan) throws(RestoreError) -> SharedMemory {
        let launchpad = plan.launchpad
        guard plan.hasRoom else {
            throw RestoreError("cannot map the launchpad: ENOMEM (its \(launchpad.size >> 20) MiB do not fit where no task has anything)", exitStatus: 3)
        }
        do throws(SystemError) {
            let memory = try SharedMemory(at: launchpad.base, size: launchpad.size)
            memory.write(launchpad.encoded(), at: launchpad.dataStart)
            try memory.installStepLoop(at: launchpad.base)
            return memory
        } catch { throw RestoreError(cannot: "map the launchpad", error) }
    }
}

/// Both ends of a pipe, each closed with its owner.
struct Pipe: ~Copyable {
    let read: Descriptor
    let write: Descriptor

    init() throws(RestoreError) {
        let ends: (read: Int32, write: Int32)
        do throws(SystemError) { ends = try DescriptorTable.pipe() } catch { throw RestoreError(cannot: "make a pipe", error) }
        read = Descriptor(owning: ends.read)
        write = Descriptor(owning: ends.write)
    }
}

/// The monitor's ends of the pipes between it and the inner half.
///
/// Closing `guardian` before the point of no return ends the tree; afterwards an inner half that has nothing else
/// to do leaves.
final class MonitorChannels {
    let guardian: Descriptor
    let status: Descriptor

    init(guardian: consuming Descriptor, status: consuming Descriptor) {
        self.guardian = guardian
        self.status = status
    }
}
