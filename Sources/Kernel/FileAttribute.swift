internal import CKernel
internal import Glibc
internal import LinuxABI

/// An extended attribute of a file.
///
/// - Source: xattr(7).
package struct FileAttribute: Codable, Equatable, Sendable {
    /// With the prefix of its namespace: `user.mime_type`.
    package var name: [UInt8]
    package var value: [UInt8]

    package init(name: [UInt8], value: [UInt8]) { (self.name, self.value) = (name, value) }

    /// What grants something, or belongs to the administrator. Labels of security modules are the host's.
    package static func isPrivileged(_ name: [UInt8]) -> Bool {
        name.starts(with: "trusted.".utf8) || name.elementsEqual("security.capability".utf8)
    }

    /// The attributes of an open file, sorted by name. None where its file system has none.
    @inline(never)
    package static func all(of file: borrowing Descriptor) throws(SystemError) -> [FileAttribute] {
        let number = Int(file.number)
        func get(_ call: Int, _ name: [UInt8]?, _ subject: String) throws(SystemError) -> [UInt8]? {
            // The size is asked for first: most files have none.
            var room: [UInt8] = []
            while true {
                let result = unsafe room.withUnsafeMutableBytes { room in
                    let address = Int(bitPattern: room.baseAddress)
                    guard let name else { return ckernel_syscall(call, number, address, room.count, 0, 0, 0) }
                    return withPath(name) { ckernel_syscall(call, number, $0, address, room.count, 0, 0) }
                }
                // It was removed meanwhile, or there are none here.
                if [ENODATA, EOPNOTSUPP].contains(Int32(-result)) { return nil }
                // It has become longer meanwhile.
                if Int32(-result) == ERANGE && !room.isEmpty {
                    room = []
                    continue
                }
                let size = try SystemError.check(result, subject)
                if !room.isEmpty || size == 0 { return Array(room.prefix(size)) }
                room = [UInt8](repeating: 0, count: size)
            }
        }
        guard let list = try get(Int(SYS_flistxattr), nil, "flistxattr"), !list.isEmpty else { return [] }
        var found: [FileAttribute] = []
        for name in list.split(separator: 0).map(Array.init) {
            if let value = try get(Int(SYS_fgetxattr), name, "fgetxattr \(printable(name))") { found.append(FileAttribute(name: name, value: value)) }
        }
        return found.sorted { $0.name.lexicographicallyPrecedes($1.name) }
    }

    /// Sets it on an open file, which its owner may write.
    @inline(never)
    package func set(on number: Int32) throws(SystemError) {
        try FaultPoint.setFileAttribute.pass("fsetxattr")
        let result = unsafe value.withUnsafeBytes { value in
            withPath(name) { ckernel_syscall(Int(SYS_fsetxattr), Int(number), $0, Int(bitPattern: value.baseAddress), value.count, 0, 0) }
        }
        _ = try SystemError.check(result, "fsetxattr \(printable(name))")
    }
}

extension NamelessFile {
    /// Gives a file that was made anew its mode and its attributes. The mode comes between: attributes of the user want the right
    /// to write, and an access control list changes the bits of the group.
    ///
    /// - Returns: the names of those that could not be set.
    package static func set(_ attributes: [FileAttribute], mode: UInt32, on number: Int32) -> [[UInt8]] {
        if attributes.isEmpty { return [] }
        _ = fchmod(number, mode | 0o600)
        func failed(_ attribute: FileAttribute) -> Bool {
            do throws(SystemError) { try attribute.set(on: number) } catch { return true }
            return false
        }
        let users = attributes.filter { $0.name.starts(with: "user.".utf8) }
        var lost = users.filter(failed)
        _ = fchmod(number, mode)
        lost += attributes.filter { !$0.name.starts(with: "user.".utf8) }.filter(failed)
        return lost.map(\.name)
    }

    /// Makes a file without a name anew, with all that it holds, where the mounts of this process lead: linkat(2) gives a file a name
    /// only through the mount through which it was opened. Nil: that leads to another file system, or to none.
    ///
    /// - Parameters:
    ///   - path: the name that the kernel shows for it.
    ///   - isKept: whether the new one gets an attribute, by its name.
    @inline(never)
    package static func anew(_ old: borrowing Descriptor, like path: [UInt8], isKept: ([UInt8]) -> Bool) throws(SystemError) -> Descriptor? {
        let status = try FileStatus(of: old)
        let size = UInt64(max(0, status.size))
        let new = try unlinked(like: path, mode: status.mode & 0o7777)
        guard try FileStatus(of: new).device == status.device else { return nil }
        try prepare(new, size: size, mode: status.mode & 0o7777, owner: status.owner, group: status.group)
        for run in try SparseFile.dataRuns(of: old, size: size) {
            var (from, to) = (Int64(run.start), Int64(run.start))
            let end = Int64(run.start + run.length)
            while from < end {
                try FaultPoint.writeFilePages.pass("copy_file_range")
                let result = unsafe withUnsafeMutablePointer(to: &from) { from in
                    unsafe withUnsafeMutablePointer(to: &to) { to in
                        unsafe ckernel_syscall(
                            Int(SYS_copy_file_range), Int(old.number), Int(bitPattern: from), Int(new.number), Int(bitPattern: to),
                            Int(end - from.pointee), 0)
                    }
                }
                if try SystemError.check(result, "copy_file_range") == 0 { throw SystemError(EIO, in: "copy_file_range") }
            }
        }
        let lost = set(try FileAttribute.all(of: old).filter { isKept($0.name) }, mode: status.mode & 0o7777, on: new.number)
        if !lost.isEmpty { throw SystemError(EOPNOTSUPP, in: "fsetxattr") }
        try setTimes(new.number, accessed: status.accessTime ?? status.modificationTime, modified: status.modificationTime)
        return new
    }
}
