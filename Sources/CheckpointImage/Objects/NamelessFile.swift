/// An open file whose file has no name, or has lost it.
extension ImageNamelessFile: SavedObject {
    package var references: [ObjectReference] { [.memoryObject(object)] }
    package var hasAnyPosition: Bool { false }

    package func summary(in image: CheckpointImage) -> String {
        let name = image.memoryObject(object).map { $0.name.asText } ?? ""
        return "memory object \(object) \(name)"
    }
}
