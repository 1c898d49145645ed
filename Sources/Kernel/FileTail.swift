internal import CKernel
internal import Glibc
internal import LinuxABI

/// The end of a file, cut off and kept in another file.
///
/// At every instant its bytes are in one of the two: they are copied and made durable before the file is cut.
package final class FileTail {
    private let file: Descriptor
    private let kept: Descriptor
    private let start: UInt64
    package let keptPath: [UInt8]
    private var isCut = false

    /// - Parameters:
    ///   - file: open for reading and writing.
    ///   - kept: an empty file at `keptPath`, open likewise.
    ///   - start: where the end begins, in bytes.
    package init(of file: consuming Descriptor, from start: UInt64, in kept: consuming Descriptor, at keptPath: [UInt8]) {
        self.file = file
        self.kept = kept
        self.start = start
        self.keptPath = keptPath
    }

    /// Copies what is there from `start` on. Another process can add more meanwhile: that is copied, too.
    package func copy() throws(SystemError) {
        let status = try FileStatus(of: file)
        var place = start
        while true {
            let part = try file.read(upTo: 1 << 20, at: place)
            if part.isEmpty { break }
            try NamelessFile.write(part, to: kept.number, at: place - start)
            place += UInt64(part.count)
        }
        // It holds what the file held, so those may read it who may read the file.
        _ = fchown(kept.number, status.owner, status.group)
        _ = fchmod(kept.number, status.mode & 0o666)
        try Self.sync(kept.number)
    }

    package func cut() throws(SystemError) {
        try NamelessFile.setSize(file.number, start)
        isCut = true
    }

    /// Undoes the cut, and removes the other file.
    package func putBack() {
        if isCut {
            var place: UInt64 = 0
            while true {
                guard let part = try? kept.read(upTo: 1 << 20, at: place) else { return }
                if part.isEmpty { break }
                do { try NamelessFile.write(part, to: file.number, at: start + place) } catch { return }
                place += UInt64(part.count)
            }
            isCut = false
        }
        // Its own name still, not that of something else.
        guard let there = try? FileStatus(of: keptPath, followingLinks: false), let own = try? FileStatus(of: kept), there.isSameFile(as: own)
        else { return }
        _ = withPath(keptPath) { ckernel_syscall(Int(SYS_unlinkat), Int(AT_FDCWD), $0, 0, 0, 0, 0) }
    }

    /// Makes the name of the other file durable.
    package static func syncDirectory(of path: [UInt8]) throws(SystemError) {
        let folder = path.lastIndex(of: UInt8(ascii: "/")).map { $0 == 0 ? path[...0] : path[..<$0] } ?? [UInt8(ascii: ".")]
        let directory = try Descriptor.open(Array(folder), O_RDONLY | O_DIRECTORY)
        try sync(directory.number)
    }

    @inline(never)
    private static func sync(_ number: Int32) throws(SystemError) {
        try FaultPoint.syncDirectory.pass("fsync")
        _ = try SystemError.check(ckernel_syscall(Int(SYS_fsync), Int(number), 0, 0, 0, 0, 0), "fsync")
    }
}
