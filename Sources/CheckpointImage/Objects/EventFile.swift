/// Rules of an eventfd.
extension ImageLookup {
    func validate(_ event: ImageEventFile, _ subject: @autoclosure () -> String) throws(ImageError) {
        // All ones is what the kernel keeps for itself. Source: eventfd(2).
        try require(event.count != .max, .eventCount, subject())
    }
}
