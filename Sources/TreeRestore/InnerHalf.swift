internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan
internal import StepProgram

/// The inner half of crrestart: the process that creates the tree's root and stays as its parent.
///
/// With a pid namespace of its own it is that namespace's init: it adopts, reaps, and its end is the end of
/// everything in it. A root that is the init of a pid namespace brings its own: then this process stays outside.
/// Until the point of no return it is the guardian, too: if the monitor dies, it ends the tree; afterwards it leaves it alone.
///
/// Runs in a forked copy of crrestart; leaves by `exitNow` only.
struct InnerHalf {
    let plan: RestorePlan
    let memory: SharedMemoryReference
    /// The tree's time namespace, where it gets one.
    let timeNamespace: Int32?
    /// Read end whose other end only the monitor has: a byte says "go", its end says that the monitor died.
    let guardian: Int32
    /// Write end: the root's wait status goes here.
    let status: Int32
    let inheritance: PreparedRestart.Inheritance
    private var staysForOrphans: Bool { plan.valid.newPidNamespace }
    private var tasksReadImage: Bool { plan.pages.delivery == .inPlace }

    func run() -> Never {
        SignalMask.blockAll()
        // Until the monitor has seized this process, nothing is created.
        guard Channel.awaitByte(guardian) else { Processes.exitNow(0) }
        Processes.setName("crrestart-init")
        do throws(SystemError) {
            if plan.valid.newPidNamespace {
                try Mounting.remountProc()
                try openTemporaryFilesAnew()
            }
            let mounts = try Mounting.copies(plan.valid.image.ownMountNamespaces.count)
            try arrangeDescriptors(mounts)
            let launchpad = plan.launchpad
            let pid = try createRoot()
            memory.publish(launchpad.address(of: .rootPid), UInt32(bitPattern: pid))
            watch(root: pid)
        } catch {
            memory.publish(plan.launchpad.address(of: .innerError), UInt32(bitPattern: error.number))
            Processes.exitNow(1)
        }
    }

    /// - Errors: `EEXIST`: its number is another process's.
    private func createRoot() throws(SystemError) -> Int32 {
        let wanted = Int32(plan.tasks[0].tid)
        let (program, slot) = (plan.layout.addresses[0], plan.launchpad.slotAddress(0))
        let isInit = plan.valid.image.rootIsNamespaceInit
        let namespaces = isInit ? CloneFlag.CLONE_NEWPID : 0
        guard plan.valid.usesLastPid else {
            return try Processes.cloneIntoLoop(
                pid: wanted, namespaces: namespaces, program: program, slot: slot, loop: plan.launchpad.base)
        }
        let lastPid = try LastPid()
        try lastPid.lock()
        // The tasks write to it as well: the kernel goes by the pid namespace of the writer.
        try DescriptorTable.place(lastPid.number, at: plan.high.lastPid)
        if !isInit { try lastPid.announce(wanted) }
        let pid = try Processes.cloneIntoLoop(namespaces: namespaces, program: program, slot: slot, loop: plan.launchpad.base)
        if pid == wanted || isInit { return pid }
        try? Processes.kill(pid, Signal.SIGKILL)
        throw SystemError(Errno.EEXIST, in: "the number after ns_last_pid")
    }

    /// In the mount namespace of the tree: see ``NamelessFile/anew(_:like:isKept:)``.
    private func openTemporaryFilesAnew() throws(SystemError) {
        for index in plan.temporaryFiles {
            let number = plan.high.object(index)
            let old = Descriptor(owning: Int32(bitPattern: number))
            let path = plan.valid.image.memoryObjects[index].name.asBytes
            if let new = try NamelessFile.anew(old, like: path, isKept: ImageFileAttribute.isPlain) {
                DescriptorTable.close(old.release())
                try DescriptorTable.place(new.number, at: number)
            } else {
                _ = old.release()
            }
        }
    }

    /// Everything that tasks inherit stands at its high number; the root drops all others. Memory objects are there already.
    private func arrangeDescriptors(_ mounts: [Int32]) throws(SystemError) {
        let high = plan.high
        for (index, number) in plan.valid.options.handed.enumerated() {
            try DescriptorTable.place(Int32(bitPattern: number), at: high.handed(index))
        }
        for (index, number) in inheritance.given.enumerated() where number >= 0 && index < plan.valid.options.given.count {
            try DescriptorTable.place(number, at: high.given(index))
        }
        for number in Int32(0)...2 {
            if let terminal = inheritance.terminal, Terminal.isTerminal(number) {
                try DescriptorTable.place(terminal, at: high.standard(UInt32(number)))
                continue
            }
            if number != inheritance.image {
                try DescriptorTable.place(number, at: high.standard(UInt32(number)))
                continue
            }
            // The image came on standard input: the terminal stands in, or nothing.
            let instead: Descriptor
            if number == 0, let terminal = try? Descriptor.open("/dev/tty", Int32(OpenFlag.O_RDWR)) { instead = terminal } else {
                instead = try Descriptor.open("/dev/null", Int32(OpenFlag.O_RDWR))
            }
            try DescriptorTable.place(instead.number, at: high.standard(UInt32(number)))
        }
        if plan.valid.facts.terminal == 3 {
            if let terminal = inheritance.terminal { try DescriptorTable.place(terminal, at: high.standard(3)) } else {
                let terminal = try Descriptor.open("/dev/tty", Int32(OpenFlag.O_RDWR | OpenFlag.O_NOCTTY))
                try DescriptorTable.place(terminal.number, at: high.standard(3))
            }
        }
        try Terminals.make(plan)
        try InotifyQueues.make(plan)
        if tasksReadImage { try DescriptorTable.place(inheritance.image, at: high.image) }
        if let timeNamespace { try DescriptorTable.place(timeNamespace, at: high.timeNamespace) }
        for (index, mount) in mounts.enumerated() { try DescriptorTable.place(mount, at: high.mount(UInt32(index))) }
    }

    /// Guards the tree while it is made, then waits for it.
    private func watch(root: Int32) -> Never {
        // Only the tasks hold what they inherited, from here on.
        DescriptorTable.closeAll(from: 3, but: [UInt32(bitPattern: guardian), UInt32(bitPattern: status)])
        let signals = SignalQueue([Signal.SIGCHLD])
        let committed = plan.launchpad.address(of: .committed)
        var isCommitted = false
        var rootEnded = false
        var handles = ProcessHandles()
        // Our child, and not waited for yet.
        try? handles.open(root)
        var isGuarding = false
        while true {
            if !isGuarding && memory.load32(plan.launchpad.address(of: .setGuard)) != 0 {
                takeHandles(&handles)
                isGuarding = true
            }
            if !isCommitted {
                isCommitted = memory.load32(committed) != 0
                if isCommitted {
                    handles = ProcessHandles()
                    for number in Int32(0)...2 { DescriptorTable.close(number) }
                    if inheritance.detaches && !staysForOrphans { Processes.exitNow(0) }
                }
            }
            if let message = Channel.poll(guardian), message.isEmpty {
                if memory.load32(committed) == 0 { endTree(handles) }
                if !staysForOrphans { Processes.exitNow(0) }
            }
            while true {
                // Job control of the tree is told from its release on: the monitor stops with it.
                guard let found = try? Waiting.wait(block: false, stops: isCommitted) else { break }
                if found.task == root, case .stopped = found.status { tellMonitor(found.raw) }
                if found.task == root && found.status.isDead {
                    rootEnded = true
                    tellMonitor(found.raw)
                    if !staysForOrphans { Processes.exitNow(0) }
                }
            }
            if rootEnded && !hasChildren() { Processes.exitNow(0) }
            _ = signals.next(within: isCommitted && staysForOrphans ? 1_000_000_000 : 50_000_000)
        }
    }

    private func tellMonitor(_ status: Int32) {
        let raw = UInt32(bitPattern: status)
        Channel.send((0..<4).map { UInt8(truncatingIfNeeded: raw >> ($0 * 8)) }, over: self.status)
    }

    private func hasChildren() -> Bool {
        do throws(SystemError) {
            _ = try Waiting.wait(block: false)
            return true
        } catch { return false }
    }

    /// Takes handles of all processes while they are traced: no other process can get their numbers.
    ///
    /// Where a pid namespace ends with its init none are needed: that is this process, or the root.
    private func takeHandles(_ handles: inout ProcessHandles) {
        if !plan.valid.newPidNamespace && !plan.valid.image.rootIsNamespaceInit {
            for task in plan.tasks where task.isLeader {
                do throws(SystemError) { try handles.open(Int32(bitPattern: task.pid)) } catch {
                    // A task that was killed from outside: the monitor will notice.
                    if error.isGone { continue }
                    memory.publish(plan.launchpad.address(of: .innerError), UInt32(bitPattern: error.number))
                    break
                }
            }
        }
        memory.publish(plan.launchpad.address(of: .guarding), 1)
    }

    /// The monitor died before the point of no return. Until all handles were there, what it traced has died with it.
    private func endTree(_ handles: ProcessHandles) -> Never {
        MessageQueueMaker.remove(first: memory.load32(plan.launchpad.address(of: .messageQueues)), of: plan)
        SemaphoreSetMaker.remove(first: memory.load32(plan.launchpad.address(of: .semaphoreSets)), of: plan)
        PreparedObjects.remove(madeBy: plan)
        handles.killAll()
        Processes.exitNow(1)
    }
}

