internal import LinuxABI

/// Hands a path to a system call as the kernel wants it, ended by a zero byte. `call` gets its address, which is
/// good until it returns. The result is the call's: a value, or minus errno.
///
/// A path that holds a zero byte names no file: `ENOENT`, without a call.
@inline(__always)
func withPath(_ path: [UInt8], _ call: (Int) -> Int) -> Int {
    if path.contains(0) { return -Int(Errno.ENOENT) }
    // The array outlives the closure; the call only reads up to the zero byte.
    return unsafe (path + [0]).withUnsafeBytes { call(Int(bitPattern: $0.baseAddress)) }
}

@inline(__always)
func withPath(_ path: String, _ call: (Int) -> Int) -> Int {
    unsafe path.withCString { call(Int(bitPattern: $0)) }
}
