extension ImageLookup {
    /// Who shares a thing has the same of it; a kernel that shares signal actions shares memory, too (clone(2)).
    func validateSharing(_ processes: [ImageProcess]) throws(ImageError) {
        var directories: [UInt32: Int] = [:]
        var actions: [UInt32: Int] = [:]
        for (position, one) in processes.enumerated() where one.state != .zombie {
            let subject = { "process \(one.pid)" }
            if one.sharedDirectories != 0 {
                let first = processes[directories[one.sharedDirectories, default: position]]
                directories[one.sharedDirectories] = directories[one.sharedDirectories] ?? position
                try require(
                    one.workingDirectory == first.workingDirectory && one.rootDirectory == first.rootDirectory
                        && one.umask == first.umask, .sharedDiffers, subject())
            }
            if one.sharedActions != 0 {
                let first = processes[actions[one.sharedActions, default: position]]
                actions[one.sharedActions] = actions[one.sharedActions] ?? position
                try require(one.addressSpace == first.addressSpace, .sharedActions, subject())
                try require(one.actions == first.actions, .sharedDiffers, subject())
            }
        }
    }
}
