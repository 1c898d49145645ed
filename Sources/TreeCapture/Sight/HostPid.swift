/// The number of a task (a process or a thread) in the pid namespace of crcheckpoint's own `/proc`.
///
/// The same task has another number in the image: ``ImagePid``. The two are never mixed up, because the compiler
/// knows them apart.
package struct HostPid: RawRepresentable, Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    package var rawValue: Int32
    package init(rawValue: Int32) { self.rawValue = rawValue }
    init(_ number: Int32) { rawValue = number }

    package static func < (first: HostPid, second: HostPid) -> Bool { first.rawValue < second.rawValue }
    package var description: String { "\(rawValue)" }
}

/// The number of a task in the pid namespace of the tree's root, which is how an image names it.
struct ImagePid: RawRepresentable, Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    var rawValue: UInt32
    init(rawValue: UInt32) { self.rawValue = rawValue }
    init(_ number: UInt32) { rawValue = number }

    static func < (first: ImagePid, second: ImagePid) -> Bool { first.rawValue < second.rawValue }
    var description: String { "\(rawValue)" }
}
