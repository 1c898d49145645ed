internal import CLibcap
internal import Glibc

/// Capability numbers, their names, and the sets of this process, through libcap.
///
/// The sets of other tasks are in ``TaskStatus``: bit n stands for capability n.
package enum Capabilities {
    /// The name as capabilities(7) spells it, e.g. `CAP_SYS_ADMIN`; `CAP_n` for one that libcap does not know.
    package static func name(of bit: Int) -> String {
        // cap_to_name gives a string of its own that cap_free takes back.
        guard let bit32 = Int32(exactly: bit), bit >= 0, let name = unsafe cap_to_name(bit32) else {
            return "CAP_\(bit)"
        }
        defer { unsafe cap_free(name) }
        let text = unsafe String(cString: name)
        return text.first?.isNumber == true ? "CAP_\(text)" : text.uppercased()
    }

    /// The number of a name in any case, nil for an unknown one.
    package static func bit(of name: String) -> Int? {
        var value: cap_value_t = 0
        let result = unsafe name.withCString { text in unsafe cap_from_name(text, &value) }
        return result == 0 ? Int(value) : nil
    }

    /// Names of all bits of a set, e.g. for what a process lacks.
    package static func names(of set: UInt64) -> [String] {
        (0..<64).filter { set >> UInt64($0) & 1 != 0 }.map { name(of: $0) }
    }

    /// Capabilities that the running kernel knows.
    package static var known: UInt64 {
        let count = Int(cap_max_bits())
        return count >= 64 ? .max : 1 << UInt64(max(0, count)) - 1
    }

    /// Effective set of the calling thread; empty where libcap cannot tell.
    package static var currentEffective: UInt64 { current(CAP_EFFECTIVE) }
    /// Permitted set of the calling thread.
    package static var currentPermitted: UInt64 { current(CAP_PERMITTED) }

    /// Bounding set of the calling thread.
    package static var currentBounding: UInt64 {
        var set: UInt64 = 0
        for bit in 0..<Int32(cap_max_bits()) where cap_get_bound(bit) == 1 { set |= 1 << UInt64(bit) }
        return set
    }

    private static func current(_ which: cap_flag_t) -> UInt64 {
        guard let state = unsafe cap_get_proc() else { return 0 }
        // libcap allocated the state; cap_free releases it.
        defer { unsafe cap_free(UnsafeMutableRawPointer(state)) }
        var set: UInt64 = 0
        for bit in 0..<Int32(cap_max_bits()) {
            var value = CAP_CLEAR
            if unsafe cap_get_flag(state, bit, which, &value) == 0, value == CAP_SET {
                set |= 1 << UInt64(bit)
            }
        }
        return set
    }
}
