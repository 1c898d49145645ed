extension CheckpointImage {
    /// The image with other records and the same pages: every rule is checked anew.
    package func changed(_ change: (inout CheckpointImage) -> Void) throws(ImageError) -> CheckpointImage {
        var changed = self
        change(&changed)
        try changed.validateAgain()
        return changed
    }
}
