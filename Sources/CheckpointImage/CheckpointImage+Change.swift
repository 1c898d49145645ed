extension CheckpointImage {
    /// The image with other records and the same pages. The records are validated again.
    package func changed(_ change: (inout CheckpointImage) -> Void) throws(ImageError) -> CheckpointImage {
        var changed = self
        change(&changed)
        try changed.validateAgain()
        return changed
    }
}
