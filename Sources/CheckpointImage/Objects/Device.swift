/// A character device without a state of its own, or only with a position (`/dev/kmsg`).
extension ImageDeviceFile: SavedObject {
    package var namedFile: ImageFileIdentity? { identity }
    package func check(_ rules: RuleContext) throws(ImageError) { try rules.requireFile(identity) }
    package func summary(in image: CheckpointImage) -> String {
        identity.path.asText + (readMessages == 0 ? "" : ", read up to message \(readMessages - 1)")
    }
}
