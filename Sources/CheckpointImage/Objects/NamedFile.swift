/// A regular file or directory that is opened again by its name.
extension ImageNamedFile: SavedObject {
    package var namedFile: ImageFileIdentity? { identity }
    package var hasAnyPosition: Bool { identity.path.asBytes.suffix(4).elementsEqual("/mem".utf8) }
    package func check(_ rules: RuleContext) throws(ImageError) { try rules.requireFile(identity) }
    package func summary(in image: CheckpointImage) -> String { identity.path.asText + (identity.removed ? " (removed)" : "") }
}
