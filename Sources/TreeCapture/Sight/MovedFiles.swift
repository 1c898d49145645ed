internal import Kernel

extension TreeLook {
    /// Files that have lost the name by which they were opened and have another one (a hard link; a log that was moved by
    /// `ln` and `rm`) are looked for in the directories that the tree has in use: those its tasks are in, and those of its open
    /// files. A file that is found has that name from here on.
    ///
    /// Directories are read only if there is such a file.
    mutating func findMovedFiles() {
        let files = sight.files.indices.filter { sight.files[$0].hasMoved }
        let spaces = sight.spaces.indices.filter { sight.spaces[$0].details.contains { $0.isLost == true } }
        if files.isEmpty && spaces.isEmpty { return }
        let folders = directoriesInUse
        for index in files {
            let file = sight.files[index]
            guard let name = name(of: file.status.inode, on: file.status.device, in: folders) else { continue }
            sight.files[index].target = RawText(name)
            sight.files[index].isFoundByName = true
            sight.files[index].isRemoved = false
        }
        for index in spaces {
            let maps = Dictionary(sight.spaces[index].maps.value.maps.map { ($0.start, $0) }) { first, _ in first }
            for place in sight.spaces[index].details.indices where sight.spaces[index].details[place].isLost == true {
                guard let map = maps[sight.spaces[index].details[place].start] else { continue }
                let link = "/proc/\(sight.spaces[index].holder)/map_files/" + String(map.start, radix: 16) + "-" + String(map.end, radix: 16)
                guard let status = try? FileStatus(of: link), let name = name(of: map.inode, on: status.device, in: folders) else { continue }
                sight.spaces[index].details[place].path = RawText(name)
                sight.spaces[index].details[place].isDeleted = false
                sight.spaces[index].details[place].isLost = nil
                if map.protection.contains(.execute) { names.lookAtBuildID(of: name) }
                if !map.isShared { names.lookAtContents(of: name) }
            }
        }
    }

    private var directoriesInUse: [[UInt8]] {
        let slash = UInt8(ascii: "/")
        var seen: Set<[UInt8]> = []
        var folders: [[UInt8]] = []
        func add(_ folder: [UInt8]) {
            // A directory of the kernel holds no such file.
            if folder.starts(with: "/proc/".utf8) || folder.starts(with: "/sys/".utf8) || folder.first != slash { return }
            if seen.insert(folder).inserted { folders.append(folder) }
        }
        for directories in sight.directories where !directories.working.isDeleted { add(directories.working.path.bytes) }
        for file in sight.files where file.isFoundByName {
            if file.status.kind == .directory {
                add(file.target.bytes)
            } else if file.status.kind == .regular, let end = file.target.bytes.lastIndex(of: slash) {
                add(end == 0 ? [slash] : Array(file.target.bytes[..<end]))
            }
        }
        return folders
    }

    private mutating func name(of inode: UInt64, on device: UInt64, in folders: [[UInt8]]) -> [UInt8]? {
        for folder in folders {
            // The last component is that of no file: only the directory counts.
            let inside = folder.last == UInt8(ascii: "/") ? folder : folder + [UInt8(ascii: "/")]
            if let name = names.otherName(of: inode, on: device, besides: inside) { return name }
        }
        return nil
    }
}

extension OpenFileSight {
    /// It has a name still, and not the one that the kernel tells.
    fileprivate var hasMoved: Bool {
        !isFoundByName && details["silly"] == nil && status.kind == .regular && status.linkCount > 0 && !target.bytes.starts(with: "/memfd:".utf8)
    }
}
