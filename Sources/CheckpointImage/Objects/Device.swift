/// A character device without a state of its own.
extension ImageDeviceFile: SavedObject {
    package var namedFile: ImageFileIdentity? { identity }
    package func check(_ rules: RuleContext) throws(ImageError) { try rules.requireFile(identity) }
    package func summary(in image: CheckpointImage) -> String { identity.path.asText }
}
