import CheckpointImage

extension Renumbering {
    /// Translates who gets the signals of an open file, and whose `/proc` it is of. Both are numbers in the pid namespace
    /// of the root, whatever the numbers are that the holder sees.
    func translate(_ file: inout ImageOpenFile) {
        if file.hasOwner { file.owner.number = new(file.owner.number) }
        guard case .proc(var proc)? = file.object else { return }
        proc.process = new(proc.process)
        if proc.thread != 0 { proc.thread = new(proc.thread) }
        file.object = .proc(proc)
    }
}
