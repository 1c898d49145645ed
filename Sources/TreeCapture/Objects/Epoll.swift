internal import CheckpointImage
internal import Kernel

/// An epoll whose registrations still have to be matched with open files.
struct EpollUse {
    /// One place to ask the kernel about it.
    var pid: Int32
    var descriptor: Int32
    var file: UInt32
    var registrations: [EpollState.Registration]
}

/// epoll_create(2): registrations, each of an open file under a number.
extension Collector {
    func epoll(_ file: inout ImageOpenFile, _ look: DescriptorLook) throws(SystemError) -> Bool {
        file.kind = .epoll
        epollUses.append(
            EpollUse(
                pid: look.pid, descriptor: look.number, file: file.id,
                registrations: try EpollState(look.info).registrations))
        return true
    }

    /// Finds the open file of each registration. All descriptors of the tree are known by now.
    ///
    /// The number says where the program had it when it registered it: the file may stand elsewhere by now,
    /// in this process or another one, and the number may lead to another file.
    func finishEpolls() {
        guard !epollUses.isEmpty else { return }
        let tableOf = Dictionary(imageProcesses.map { ($0.pid, $0.fileTable) }, uniquingKeysWith: { first, _ in first })
        let places = Dictionary(tables.indices.map { (tables[$0].id, $0) }, uniquingKeysWith: { first, _ in first })
        for use in epollUses {
            let place = pidInNamespace[use.pid].flatMap { tableOf[$0] }.flatMap { places[$0] }
            let table = place.map { tables[$0].descriptors } ?? []
            let numbers = Dictionary(table.map { ($0.number, $0.file) }, uniquingKeysWith: { first, _ in first })
            var registrations: [ImageRegistration] = []
            for one in use.registrations {
                do throws(SystemError) {
                    guard let file = try watched(one, by: use, numbers) else { continue }
                    var registration = ImageRegistration()
                    registration.number = UInt32(one.number)
                    registration.file = file
                    registration.events = one.events
                    registration.data = one.data
                    registrations.append(registration)
                } catch {
                    find(use.pid, "fd \(use.descriptor)", "the epoll cannot be looked into: \(error.name)", help: error.call)
                }
            }
            files[Int(use.file) - 1].epoll.registrations = registrations
        }
    }

    /// The open file behind a registration. Nil: it cannot be saved, and a finding says so.
    private func watched(
        _ one: EpollState.Registration, by use: EpollUse, _ numbers: [UInt32: UInt32]
    ) throws(SystemError) -> UInt32? {
        func order(_ pid: Int32, _ number: Int32) throws(SystemError) -> KernelOrder {
            try compare(openFile: number, of: pid, with: one, ofEpoll: use.descriptor, in: use.pid)
        }
        // Most often it is still where it was. One that is there but not in the table has its own finding.
        if (try? order(use.pid, one.number)) == .same { return numbers[UInt32(one.number)] }
        for entry in openFiles.all where try order(entry.pid, entry.descriptor) == .same { return entry.id }
        find(
            use.pid, "fd \(use.descriptor)",
            "is an epoll that watches a file, once its fd \(one.number), which no process of the tree has open any more",
            help: "remove it by epoll_ctl(EPOLL_CTL_DEL) before it is closed")
        return nil
    }
}
