internal import CheckpointImage
internal import Kernel

/// Devices: those without a state of their own are opened again by name; a terminal belongs to somebody
/// outside.
extension Collector {
    func device(_ file: inout ImageOpenFile, _ look: DescriptorLook) -> Bool {
        // Major number 1: /dev/null and its like.
        if look.status.specialDevice.majorNumber == 1, let known = identity(of: look.target),
            known.status.isSameFile(as: look.status)
        {
            file.kind = .path
            file.identity = known.identity
            return true
        }
        guard look.status.isTerminal else {
            return refuse(look, "is the device \(look.target), which cannot be saved")
        }
        if look.status.isTerminalMaster {
            return refuse(look, "is the master of a pseudo-terminal, which cannot be saved yet")
        }
        file.kind = .outside
        file.description_p = Array(look.target.utf8).asData
        file.preferred = 3
        attach(&file, look.number)
        return true
    }

    /// Something outside is stood in for by one of 0, 1, 2 of crrestart: the lowest it was used as.
    func attach(_ file: inout ImageOpenFile, _ number: Int32) {
        if number <= 2 && UInt32(number) < file.preferred { file.preferred = UInt32(number) }
    }

    /// Says what a restart puts in the place of what belongs to somebody outside.
    func finishOutside() {
        for file in files where file.kind == .outside {
            let name = file.description_p.asText
            let stand = file.preferred <= 2 ? "descriptor \(file.preferred)" : "terminal"
            let notice = "\(name) belongs to somebody outside of the tree: a restart uses its own \(stand) instead"
            if !notices.contains(notice) { notices.append(notice) }
        }
    }
}
