internal import Kernel

/// What a text of the kernel says, as a value that is parsed from it.
protocol KernelText: Sendable {
    init(parsing text: [UInt8]) throws(SystemError)
}

/// A text of the kernel and what it says: read once, parsed once. Only the text is recorded.
@dynamicMemberLookup
struct Seen<Value: KernelText>: Sendable, Codable {
    var raw: RawText
    let value: Value

    init(_ bytes: [UInt8]) throws(SystemError) {
        value = try Value(parsing: bytes)
        raw = RawText(bytes)
    }

    init(from decoder: any Decoder) throws {
        self = try Self(try decoder.singleValueContainer().decode(RawText.self).bytes)
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(raw)
    }

    subscript<Member>(dynamicMember member: KeyPath<Value, Member>) -> Member { value[keyPath: member] }
}

extension ProcessStat: KernelText {}
extension TaskStatus: KernelText {}
extension DescriptorInfo: KernelText {}
extension MountTable: KernelText {}

/// `/proc/PID/smaps`.
struct Smaps: KernelText {
    let maps: [MemoryMap]
    init(parsing text: [UInt8]) throws(SystemError) { maps = try MemoryMap.parse(smaps: text) }

    /// The lines that ``MemoryMap`` reads flags and names from; sums of pages change with every look and mean nothing later.
    static func withoutSums(_ text: RawText) -> RawText {
        let kept = text.bytes.split(separator: UInt8(ascii: "\n")).filter { line in
            let isMapping = line.first.map { ($0 >= 0x30 && $0 <= 0x39) || ($0 >= 0x61 && $0 <= 0x66) } ?? false
            return isMapping || line.starts(with: "VmFlags:".utf8) || line.starts(with: "ProtectionKey:".utf8) && !line.suffix(2).elementsEqual(" 0".utf8)
        }
        return RawText(kept.flatMap { $0 + [UInt8(ascii: "\n")] })
    }
}

/// `/proc/PID/limits`.
struct ResourceLimits: KernelText {
    let all: [ResourceLimit]
    init(parsing text: [UInt8]) throws(SystemError) { all = try ResourceLimit.parse(text) }
}

/// `/proc/PID/timers`.
struct PosixTimerStates: KernelText {
    let all: [PosixTimerState]
    init(parsing text: [UInt8]) throws(SystemError) { all = try PosixTimerState.parse(text) }
}

/// `/proc/PID/cgroup`.
struct CgroupMemberships: KernelText {
    let all: [CgroupMembership]
    init(parsing text: [UInt8]) throws(SystemError) { all = try CgroupMembership.parse(text) }
}
