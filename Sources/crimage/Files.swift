internal import ArgumentParser
internal import CheckpointImage
internal import ImageHost

/// `crimage files`: the descriptors of each file table and what they lead to.
struct Files: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Lists the open files of every process.")

    @OptionGroup var argument: ImageArgument

    func run() throws {
        try reporting(argument.path) {
            let loaded = try LoadedImage(try ImageInput(argument.path))
            let users = Dictionary(
                grouping: loaded.image.processes.filter { $0.state != .zombie }, by: \.fileTable)
            for table in loaded.image.fileTables {
                print("file table \(table.id) of \(loaded.names(of: users[table.id] ?? []))")
                print(lines(table, loaded.image), terminator: "")
            }
        }
    }

    private func lines(_ descriptors: ImageFileTable, _ image: CheckpointImage) -> String {
        var rows = [["fd", "open file", "mode", "offset", "what"]]
        for descriptor in descriptors.descriptors {
            guard let file = image.openFile(descriptor.file) else { continue }
            rows.append([
                "\(descriptor.number)", "\(file.id)", mode(file, descriptor), "\(file.offset)",
                what(file, image),
            ])
        }
        return table(rows, right: [0, 1, 3], indent: "  ")
    }

    /// Access mode and the flags worth seeing. Source: open(2), values of x86_64.
    private func mode(_ file: ImageOpenFile, _ descriptor: ImageDescriptor) -> String {
        var words = [["read", "write", "read-write", "none"][Int(file.flags & 3)]]
        if file.flags & 0o2000 != 0 { words.append("append") }
        if file.flags & 0o4000 != 0 { words.append("nonblock") }
        if descriptor.closeOnExec { words.append("cloexec") }
        return words.joined(separator: ",")
    }

    private func what(_ file: ImageOpenFile, _ image: CheckpointImage) -> String {
        switch file.kind {
        case .path: return printable(file.identity.path)
        case .pipeEnd:
            let waiting = image.pipe(file.pipe)?.contents.reduce(0) { $0 + $1.count } ?? 0
            return
                "\(file.writeEnd ? "write" : "read") end of pipe \(file.pipe), \(size(UInt64(waiting))) in flight"
        case .object:
            let name = image.memoryObject(file.object).map { printable($0.name) } ?? ""
            return "memory object \(file.object) \(name)"
        case .outside:
            return
                "\(printable(file.description_p)), outside of the tree: becomes fd \(file.preferred) of crrestart"
        case .event:
            return "eventfd, \(file.event.semaphore ? "semaphore " : "")count \(file.event.count)"
        case .signal:
            let signals = (1...64).filter { file.signal.mask & 1 << UInt64($0 - 1) != 0 }
            return "signalfd of \(signals.map(String.init).joined(separator: ", "))"
        case .timer: return timer(file.timer)
        case .epoll:
            let numbers = file.epoll.registrations.map { String($0.number) }
            return "epoll of " + (numbers.isEmpty ? "nothing" : numbers.joined(separator: ", "))
        case .UNRECOGNIZED: return ""
        }
    }

    private func timer(_ timer: ImageTimerFile) -> String {
        var parts = ["timerfd"]
        parts.append(timer.remaining == 0 ? "not armed" : "\(seconds(timer.remaining)) left")
        if timer.interval != 0 { parts.append("every \(seconds(timer.interval))") }
        if timer.expirations != 0 { parts.append("expired \(timer.expirations) times") }
        return parts.joined(separator: ", ")
    }

    private func seconds(_ nanoseconds: UInt64) -> String {
        let milliseconds = nanoseconds / 1_000_000
        let fraction = String(1000 + milliseconds % 1000).dropFirst()
        return "\(milliseconds / 1000).\(fraction) s"
    }
}
