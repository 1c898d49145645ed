/// eventfd(2): a count.
extension ImageEventFile: SavedObject {
    package func check(_ rules: RuleContext) throws(ImageError) {
        // The kernel reserves the largest number. Source: eventfd(2).
        try rules.require(count != .max, .eventCount)
    }

    package func summary(in image: CheckpointImage) -> String { "eventfd, \(semaphore ? "semaphore " : "")count \(count)" }
}
