/// One end of a pipe. Both ends, and further open files of them, are made together.
extension ImagePipeEnd: SavedObject {
    package var references: [ObjectReference] { [.pipe(pipe)] }
    package var bundle: ObjectReference? { .pipe(pipe) }

    package func summary(in image: CheckpointImage) -> String {
        let waiting = image.pipe(pipe)?.contents.reduce(0) { $0 + $1.count } ?? 0
        return "\(bothEnds ? "both ends" : writeEnd ? "write end" : "read end") of pipe \(pipe)" + (waiting == 0 ? "" : ", \(waiting) bytes in flight")
    }
}
