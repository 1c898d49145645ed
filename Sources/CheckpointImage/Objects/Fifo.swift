/// One or both ends of a FIFO. All open files of one FIFO are made together.
extension ImageFifoEnd: SavedObject {
    package var references: [ObjectReference] { [.pipe(pipe)] }
    package var bundle: ObjectReference? { .pipe(pipe) }
    package var namedFile: ImageFileIdentity? { identity }

    package func check(_ rules: RuleContext) throws(ImageError) { try rules.requireFile(identity) }

    package func summary(in image: CheckpointImage) -> String {
        let waiting = image.pipe(pipe)?.contents.reduce(0) { $0 + $1.count } ?? 0
        return "FIFO \(identity.path.asText)" + (identity.removed ? " (removed)" : "") + (waiting == 0 ? "" : ", \(waiting) bytes in flight")
    }
}
