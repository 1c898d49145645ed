internal import CheckpointImage
internal import Kernel

/// Open files that lead out of the tree: a descriptor of crrestart stands in for them.
enum Outside: DescriptorCapture {
    /// The standard error stream; crrestart has nothing in place of descriptors above it.
    static let lastStandIn: Int32 = 2
    /// Stands for the terminal of crrestart.
    static let terminal: UInt32 = 3

    /// Pipes and terminals record what leads outside.
    static func claims(_ sight: OpenFileSight) -> Bool { false }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured { .found }

    /// The lowest of 0, 1, 2 that it is used as.
    static func standIn(for places: [FileRecorder.Place], _ description: String) -> ImageOutsideFile {
        var object = ImageOutsideFile()
        object.preferred = places.lazy.map(\.number).filter { $0 <= lastStandIn }.min().map { UInt32($0) } ?? terminal
        object.description_p = Array(description.utf8).asData
        return object
    }

    /// Says what a restart puts in the place of what lies outside.
    static func finish(_ recorder: inout FileRecorder) {
        for file in recorder.records.openFiles {
            guard case .outside(let object)? = file.object else { continue }
            let stand = object.preferred <= 2 ? "descriptor \(object.preferred)" : "terminal"
            let name = String(decoding: object.description_p, as: UTF8.self)
            recorder.notice("\(name) belongs to a process outside of the tree: a restart uses its own \(stand) instead")
        }
    }
}
