internal import Kernel
internal import LinuxABI
internal import RestorePlan

/// The process that waits for the end of a ``PageServer`` and does nothing else.
///
/// Both have one table of descriptors: what one of them opens both have, and one of them can end without a descriptor being closed. When the
/// last of those by which page faults are answered is closed, pages that have not come are zeros. So if the server ends too early, its
/// guard ends the tree before it lets go of them; tasks that touch a page meanwhile wait. If the guard ends first the server goes on.
/// Both leave the session of crrestart, so that what ends that by its group, or by its terminal, does not end them.
struct PageServerGuard {
    /// Processes of the tree, each with a descriptor.
    private let handles: [(pid: Int32, number: Int32)]
    private static let pause: Int64 = 20_000_000

    /// Starts both processes. Those descriptors are closed here.
    ///
    /// - Parameters:
    ///   - processes: of the tree, by their numbers here. Tracees of this process: no other process can get their numbers.
    ///   - pagesAreThere: called by the server when no page is missing any more.
    ///   - detaches: a pipe that is standard error is left, too: its reader waits for the end of crrestart, and not for that of these.
    static func start(
        _ spaces: [LateSpace], _ pages: CheckedPages, _ processes: [Int32], detaches: Bool, pagesAreThere: @escaping () -> Void
    ) throws(SystemError) {
        defer { for space in spaces { DescriptorTable.close(space.faults) } }
        var handles: [(pid: Int32, number: Int32)] = []
        defer { for handle in handles { DescriptorTable.close(handle.number) } }
        for pid in processes { handles.append((pid, try Descriptor.open(process: pid).release())) }
        let isWatched = detaches && [.pipe, .socket].contains((try? FileStatus(ofNumber: 2))?.kind)
        // Among what is closed are the ends of pipes by which other processes notice the end of crrestart.
        let kept = spaces.map(\.faults) + handles.map(\.number) + pages.numbers.map { Int32(bitPattern: $0) }
        if try StayingProcess.start("crrestart-guard", at: .forkServer, keeping: kept, keepsErrors: !isWatched) != 0 { return }
        PageServerGuard(handles: handles).run { PageServer(spaces, pages, known: processes, pagesAreThere: pagesAreThere) }
    }

    private func run(_ server: () -> PageServer) -> Never {
        let child: Int32
        do throws(SystemError) { child = try Processes.fork(namespaces: CloneFlag.CLONE_FILES, at: .forkServer) } catch {
            end("cannot start the process that brings pages: \(error.name) (\(error.call))")
        }
        if child == 0 {
            var server = server()
            server.run()
        }
        while true {
            guard let found = (try? Waiting.wait(child, block: true)) ?? nil, found.status.isDead else { continue }
            switch found.status {
            case .exited(0): Processes.exitNow(0)
            // It has said why.
            case .exited: end(nil)
            default: end("the process that brings pages (\(child)) was ended from outside")
            }
        }
    }

    /// Ends all that could touch a page that is not there, and stays until its memory is gone.
    private func end(_ reason: String?) -> Never {
        if let reason { Self.say("\(reason); the tree is ended, because it would lack pages") }
        let tree = ProcessTree()
        while true {
            var descendants: Set<Int32> = []
            for handle in handles where PageFaults.exists(handle.number) {
                descendants.formUnion((try? tree.processes(below: handle.pid)) ?? [])
            }
            PageFaults.killAllKnown()
            for pid in descendants { try? Processes.kill(pid, Signal.SIGKILL) }
            for faults in PageFaults.open where !PageFaults.isAlive(faults) { DescriptorTable.close(faults) }
            if PageFaults.open.isEmpty { Processes.exitNow(1) }
            Waiting.pause(atMost: Self.pause)
        }
    }

    /// One line on standard error, if it is there.
    static func say(_ sentence: String) { Channel.send(Array((shown(sentence) + "\n").utf8), over: 2) }
}
