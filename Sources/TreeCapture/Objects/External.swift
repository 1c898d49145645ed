internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// Open files that the user lets through by name (`--external ID`): the image says only that they were there.
///
/// An id is what `/proc/PID/fd/N` shows, for instance `pipe:[4711]`. So both ends of a pipe have one id, and all descriptors that
/// lead to them.
enum External: DescriptorCapture {
    /// What a file is does not tell whether it is external.
    static func claims(_ sight: OpenFileSight) -> Bool { false }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured { .object(.external(object(sight))) }

    static func isNamed(_ sight: OpenFileSight, _ named: [String]) -> Bool { named.contains(sight.target.shown) }

    static func object(_ sight: OpenFileSight) -> ImageExternalFile {
        var object = ImageExternalFile()
        object.identifier = Array(sight.target.shown.utf8).asData
        object.description_p = Array(words(sight).utf8).asData
        if let connection = UnixSocket.connection(sight) { object.connection = connection }
        return object
    }

    private static func words(_ sight: OpenFileSight) -> String {
        switch sight.status.kind {
        case .pipe:
            return ["the read end of a pipe", "the write end of a pipe"][PipeEnd.access(sight) == OpenFlag.O_WRONLY ? 1 : 0]
        case .socket:
            return "a \(sight.details["kind"]?.shown ?? "socket")" + (sight.details["peer"].map { ", connected with \($0.shown)" } ?? "")
        case .characterDevice, .blockDevice:
            return "device \(sight.status.specialDevice.majorNumber):\(sight.status.specialDevice.minorNumber)"
        default: return ""
        }
    }

    /// How to let a file through, as it is typed; nil: it is none of those that lead out of a tree.
    static func help(_ sight: OpenFileSight, at number: Int32) -> String? {
        let leadsOut =
            switch sight.status.kind {
            case .pipe, .socket, .characterDevice, .blockDevice: true
            default: false
            }
        guard leadsOut else { return nil }
        let name = sight.target.shown
        let isPlain = name.utf8.allSatisfy { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".") || isAlphanumeric($0) }
        let again = UnixSocket.connection(sight).map { _ in ", or --reconnect '\(name)'" } ?? ""
        return "or let it through: crcheckpoint --external \(isPlain ? name : "'\(name)'"), and crrestart --fd \(number)=null\(again)"
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    /// Says what needs something in its place, and which names nothing has.
    static func finish(_ recorder: inout FileRecorder) {
        for name in recorder.sight.external ?? [] where !recorder.sight.files.contains(where: { isNamed($0, [name]) }) {
            recorder.notice("no descriptor of the tree leads to \(name) (--external)")
        }
        var seen: Set<[UInt8]> = []
        for file in recorder.records.openFiles {
            guard case .external(let object)? = file.object, seen.insert(object.identifier.asBytes).inserted else { continue }
            guard let place = recorder.places[Int(file.id) - 1].first else { continue }
            let again = object.hasConnection ? again(object) : ""
            recorder.notice("\(object.identifier.asText) is not in the image: a restart needs something in its place, for instance crrestart --fd \(place.number)=null\(again)")
        }
    }

    /// How a connection is made anew, and what it does not have then.
    private static func again(_ object: ImageExternalFile) -> String {
        "; crrestart --reconnect '\(object.identifier.asText)' connects it again with \(ImageUnixSocket.shown(object.connection.address))"
            + (object.connection.loss.map { ", \($0)" } ?? "")
    }
}
