/// Where the keeper of a process is found: a file by the process's number, with the keeper's number and start time.
///
/// It is removed when the keeper comes to its end with the processes. What is left by one that was killed the next keeper removes.
struct KeeperNote {
    private static let prefix = "keeper-"

    private let file: KeptFile

    /// Nil: there is no place for any.
    init?(of process: Int32) {
        guard let base = Self.base, let file = KeptFile.untilReboot(base + "\(process)") else { return nil }
        self.file = file
    }

    /// Numbers are those of a pid namespace, and several may have one directory.
    private static var base: String? {
        guard let link = try? NamespaceLook.pid(of: Processes.ownPid) else { return nil }
        let digits = link.filter { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        return "\(prefix)\(String(decoding: digits, as: UTF8.self))-"
    }

    /// Notes a keeper that is alive. That may fail: then it is searched for.
    func write(_ keeper: Int32) {
        guard let start = (try? ProcessStat(of: keeper))?.startTime else { return }
        file.write(Array("\(keeper) \(start)\n".utf8))
    }

    /// The keeper; nil: there is no note, or the keeper has ended.
    var keeper: Int32? {
        var cursor = ByteCursor(file.read() ?? [])
        guard let number = cursor.decimal(), let keeper = Int32(exactly: number), cursor.skip(UInt8(ascii: " ")), let start = cursor.decimal(),
            (try? ProcessStat(of: keeper))?.startTime == start
        else { return nil }
        return keeper
    }

    /// Removes it if it leads to a keeper.
    func remove(of keeper: Int32) { if self.keeper == keeper { file.remove() } }

    /// Removes those of this pid namespace whose keepers have ended.
    static func removeStale() {
        guard let base, let directory = KeptFile.untilReboot(base) else { return }
        for name in directory.neighbours() where name.hasPrefix(base) {
            if let process = Int32(name.dropFirst(base.count)), let note = KeeperNote(of: process), note.keeper == nil { note.file.remove() }
        }
    }
}
