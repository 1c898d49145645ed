/// An open file that was let through a checkpoint. What takes its place is said at the restart (`crrestart --fd`).
extension ImageExternalFile: SavedObject {
    package func check(_ rules: RuleContext) throws(ImageError) {
        try rules.require(!identifier.isEmpty && !identifier.contains(0), .externalName)
    }

    package func summary(in image: CheckpointImage) -> String { "\(identifier.asText), external" + (description_p.isEmpty ? "" : ": \(description_p.asText)") }
}
