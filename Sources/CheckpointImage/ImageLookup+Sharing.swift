extension ImageLookup {
    /// A thread may be in a directory of its own, but its root is that of its process.
    func validateDirectories(_ threads: [ImageThread], _ processes: [ImageProcess]) throws(ImageError) {
        var first: [UInt64: ImageDirectories] = [:]
        for one in threads where one.hasOwnDirectories {
            let subject = { "thread \(one.tid) of process \(one.process)" }
            let own = one.ownDirectories
            try require(own.id != 0, .zeroID, subject())
            try require(one.tid != one.process, .leaderFirst, subject())
            try requirePath(own.workingDirectory, subject())
            try require(own.umask <= 0o777, .umask, subject())
            let root = process[one.process].map { processes[$0].rootDirectory }
            let key = UInt64(one.process) << 32 | UInt64(own.id)
            try require(own.rootDirectory == root && own == first[key, default: own], .sharedDiffers, subject())
            first[key] = own
        }
    }

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
