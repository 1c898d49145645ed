internal import ArgumentParser
internal import CheckpointImage
internal import HostProbe
internal import LinuxABI

/// `crimage files`: the descriptors of each file table and what they lead to.
struct Files: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Lists the open files of every process.")

    @OptionGroup var argument: ImageArgument

    func run() throws {
        try reporting(argument.path) {
            let loaded = try argument.load()
            let image = loaded.image
            let users = Dictionary(grouping: image.processes.filter { $0.state != .zombie }, by: image.tableID)
            // Threads that have left the table of their process.
            let threads = Dictionary(grouping: image.threads.filter { image.ownFileTable(of: $0) != nil }, by: \.fileTable)
            for table in image.fileTables {
                let names = [loaded.names(of: users[table.id] ?? [])] + (threads[table.id] ?? []).map { "thread \($0.tid)" }
                print("file table \(table.id) of \(names.filter { !$0.isEmpty }.joined(separator: ", "))")
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
                file.summary(in: image),
            ])
        }
        return table(rows, right: [0, 1, 3], indent: "  ")
    }

    /// Access mode and the flags worth seeing. Source: open(2), values of x86_64.
    private func mode(_ file: ImageOpenFile, _ descriptor: ImageDescriptor) -> String {
        var words = [["read", "write", "read-write", "none"][Int(file.flags & OpenFlag.O_ACCMODE)]]
        if file.flags & OpenFlag.O_APPEND != 0 { words.append("append") }
        if file.flags & OpenFlag.O_NONBLOCK != 0 { words.append("nonblock") }
        if descriptor.closeOnExec { words.append("cloexec") }
        return words.joined(separator: ",")
    }
}
