internal import CKernel
internal import Glibc
internal import LinuxABI

/// All processes of the pid namespace of this `/proc`, ascending.
package func allProcesses() throws(SystemError) -> [Int32] { try numericEntries(of: "/proc") }

/// The tasks of a process, ascending.
///
/// - If the process is gone: throws `ENOENT`. A task may come or go during the listing.
package func tasks(of pid: Int32) throws(SystemError) -> [Int32] {
    try numericEntries(of: "/proc/\(pid)/task")
}

/// The open descriptors of a process, ascending; none for a zombie.
package func descriptors(of pid: Int32) throws(SystemError) -> [Int32] {
    try numericEntries(of: "/proc/\(pid)/fd")
}

/// Where a descriptor leads, e.g. `/tmp/x`, `pipe:[4711]`, `anon_inode:[eventpoll]`.
package func descriptorTarget(of pid: Int32, _ descriptor: Int32) throws(SystemError) -> [UInt8] {
    try readLink("/proc/\(pid)/fd/\(descriptor)")
}

/// The target of a symbolic link.
///
/// - Source: readlink(2).
@inline(never)
package func readLink(_ path: [UInt8]) throws(SystemError) -> [UInt8] {
    try FaultPoint.readLink.pass("readlink \(printable(path))")
    var capacity = 512
    while true {
        var result = 0
        // The kernel writes at most `capacity` bytes; exactly that many are taken as filled.
        let target = unsafe [UInt8](unsafeUninitializedCapacity: capacity) { buffer, filled in
            result = withPath(path) { text in
                ckernel_syscall(
                    Int(SYS_readlinkat), Int(AT_FDCWD), text, Int(bitPattern: buffer.baseAddress), capacity, 0, 0)
            }
            filled = max(0, result)
        }
        _ = try SystemError.check(result, "readlink \(printable(path))")
        // A full buffer may hold a cut target.
        if result < capacity { return target }
        capacity *= 4
    }
}

/// The same with a path of text, e.g. of `/proc`.
package func readLink(_ path: String) throws(SystemError) -> [UInt8] { try readLink(Array(path.utf8)) }

/// The entries of a directory whose names are numbers, ascending.
///
/// - Source: getdents64(2), `struct linux_dirent64`: inode 8, offset 8, length 2, type 1, name.
func numericEntries(of path: String) throws(SystemError) -> [Int32] {
    var numbers: [Int32] = []
    try forEachEntry(of: Array(path.utf8)) { entry in
        if let number = number(in: entry.dropFirst(19)) { numbers.append(number) }
    }
    numbers.sort()
    return numbers
}

/// The names in a directory, in no order; `.` and `..` are among them.
func entryNames(of path: String) throws(SystemError) -> [[UInt8]] {
    var names: [[UInt8]] = []
    try forEachEntry(of: Array(path.utf8)) { names.append(Array($0.dropFirst(19).prefix { $0 != 0 })) }
    return names
}

/// The names in a directory by inode number; of several names of one file, the first.
package func namesByInode(in directory: [UInt8]) throws(SystemError) -> [UInt64: [UInt8]] {
    var names: [UInt64: [UInt8]] = [:]
    try forEachEntry(of: directory) { entry in
        let inode = entry.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        if names[inode] == nil { names[inode] = Array(entry.dropFirst(19).prefix { $0 != 0 }) }
    }
    return names
}

private func forEachEntry(of path: [UInt8], _ body: (ArraySlice<UInt8>) -> Void) throws(SystemError) {
    let directory = try Descriptor.open(path, O_RDONLY | O_DIRECTORY)
    var buffer = [UInt8](repeating: 0, count: 32768)
    while true {
        let count = try readEntries(of: directory, into: &buffer)
        if count == 0 { return }
        var entry = 0
        while entry + 19 < count {
            let length = Int(buffer[entry + 16]) | Int(buffer[entry + 17]) << 8
            guard length >= 20, entry + length <= count else { throw malformed(printable(path)) }
            body(buffer[entry..<(entry + length)])
            entry += length
        }
    }
}

/// The value of a name that ends in a zero byte and consists of digits only.
private func number(in name: ArraySlice<UInt8>) -> Int32? {
    var value: Int32 = 0
    var count = 0
    for byte in name {
        if byte == 0 { return count > 0 ? value : nil }
        let digit = byte &- UInt8(ascii: "0")
        guard digit < 10, count < 9 else { return nil }
        value = value * 10 + Int32(digit)
        count += 1
    }
    return nil
}

@inline(never)
private func readEntries(of directory: borrowing Descriptor, into bytes: inout [UInt8]) throws(SystemError)
    -> Int
{
    try FaultPoint.listDirectory.pass("getdents64")
    let number = directory.number
    // In bounds: the kernel writes at most the buffer's size.
    let result = unsafe bytes.withUnsafeMutableBytes { buffer in
        ckernel_syscall(
            Int(SYS_getdents64), Int(number), Int(bitPattern: buffer.baseAddress), buffer.count, 0, 0, 0)
    }
    return try SystemError.check(result, "getdents64")
}
