/// The record of one kernel object, with what each kind of object has to say about itself.
///
/// A new kind is a `.proto` file, a file here with its conformance, a capture file and a plan file of the same name, and
/// a line in each of the three tables: ``ImageOpenFile/saved``, `DescriptorCaptures.all`, `ObjectPlans.all`.
package protocol SavedObject: Sendable {
    /// Other records that it refers to. The reader checks that they are in the image before it calls `check`.
    var references: [ObjectReference] { get }

    /// Open files that are made together have the same bundle: both ends of a pipe, for instance. Nil: it is made alone.
    var bundle: ObjectReference? { get }

    /// The file that is opened again by its name, where there is one.
    var namedFile: ImageFileIdentity? { get }

    /// It is made by the root of the tree before it creates any process, whatever process holds it.
    var isMadeByRoot: Bool { get }
    /// All files that are looked for by their names.
    var namedFiles: [ImageFileIdentity] { get }

    /// Numbers of descriptors under which it needs other files for a moment while it is made again.
    var momentaryNumbers: [UInt32] { get }

    /// The process that has to exist before it can be made. Nil: none.
    var awaited: UInt32? { get }

    /// It is made by its only holder, as the last thing, when all threads of that process exist.
    var isMadeLast: Bool { get }

    /// Whether its position can be any 64 bits: it is not one in a file, or the kernel counts it without a sign, as it does where a
    /// file is memory (`/proc/PID/mem`, `/dev/mem`). One above 2^63 is negative in the image.
    ///
    /// - Source: Linux, FMODE_UNSIGNED_OFFSET.
    var hasAnyPosition: Bool { get }

    /// Checks the bounds of every value: an image can hold anything.
    func check(_ rules: RuleContext) throws(ImageError)

    /// The object in words, for `crimage`, notes of steps and findings. One line, with names escaped.
    func summary(in image: CheckpointImage) -> String
}

extension SavedObject {
    package var references: [ObjectReference] { [] }
    package var bundle: ObjectReference? { nil }
    package var namedFile: ImageFileIdentity? { nil }
    package var namedFiles: [ImageFileIdentity] { namedFile.map { [$0] } ?? [] }
    package var momentaryNumbers: [UInt32] { [] }
    package var awaited: UInt32? { nil }
    package var isMadeLast: Bool { false }
    package var isMadeByRoot: Bool { false }
    package var hasAnyPosition: Bool { true }
    package func check(_ rules: RuleContext) throws(ImageError) {}
}

/// Another record of the image, by its id.
package enum ObjectReference: Hashable, Sendable, CustomStringConvertible {
    case openFile(UInt32)
    case pipe(UInt32)
    case memoryObject(UInt32)
    case terminal(UInt32)
    /// All unix sockets: a bundle, no record.
    case unixSockets
    /// All TCP sockets, likewise.
    case tcpSockets
    /// UDP sockets that share a port with others, likewise.
    case sharedPorts
    /// A POSIX message queue without a name, by the number that its open files have in common: a bundle, no record.
    case removedQueue(UInt32)

    package var description: String {
        switch self {
        case .openFile(let id): "open file \(id)"
        case .pipe(let id): "pipe \(id)"
        case .memoryObject(let id): "memory object \(id)"
        case .terminal(let id): "terminal \(id)"
        case .unixSockets: "unix sockets"
        case .tcpSockets: "TCP sockets"
        case .sharedPorts: "UDP sockets that share ports"
        case .removedQueue(let number): "removed message queue \(number)"
        }
    }

    /// The rule that is broken where the record does not exist.
    var missing: ImageRule {
        switch self {
        case .openFile: .noOpenFile
        case .pipe: .noPipe
        case .memoryObject: .noMemoryObject
        case .terminal: .noTerminal
        case .unixSockets, .tcpSockets, .sharedPorts, .removedQueue: .noOpenFile
        }
    }
}

/// The image as far as the check of one object can see it.
package struct RuleContext {
    /// Of the open file.
    let id: UInt32
    let records: ImageRecords
    let lookup: ImageLookup

    func require(_ kept: Bool, _ rule: ImageRule) throws(ImageError) {
        if !kept { throw .rule(rule, "open file \(id)") }
    }

    func requireFile(_ identity: ImageFileIdentity) throws(ImageError) {
        try lookup.requireFile(identity, "open file \(id)")
    }
}
