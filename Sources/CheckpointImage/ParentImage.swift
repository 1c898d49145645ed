extension ImageParentImage {
    /// What an image may say of its parent: names that cannot lead anywhere else.
    var isPlausible: Bool {
        let (file, folder) = (name.asBytes, directory.asBytes)
        return identity.count == ImageFormat.identityLength && !file.isEmpty && file.count <= 255
            && !file.contains(0) && !file.contains(UInt8(ascii: "/")) && file != Array(".".utf8) && file != Array("..".utf8)
            && folder.first == UInt8(ascii: "/") && folder.count < 4096 && !folder.contains(0)
    }
}

extension CheckpointImage {
    /// What an image that leaves out pages of this one says of it.
    ///
    /// - Parameters:
    ///   - name: of its file, without directories.
    ///   - directory: where it is, an absolute path.
    /// - Returns: nil for an image of an older version, which has no identity.
    package func asParent(name: [UInt8], directory: [UInt8]) -> ImageParentImage? {
        guard !header.identity.isEmpty else { return nil }
        var parent = ImageParentImage()
        parent.identity = header.identity
        parent.name = name.asData
        parent.directory = directory.asData
        return parent
    }

    /// In which address spaces of `parent` the contents of each address space of these records may be: those of the process
    /// with the same pid, else of the nearest ancestor that was there, else of the root.
    package func likelySpaces(of records: ImageRecords) -> [UInt32: UInt32] {
        var ofProcess: [UInt32: UInt32] = [:]
        for process in processes where spaceID(of: process) != 0 { ofProcess[process.pid] = spaceID(of: process) }
        let parents = Dictionary(records.processes.map { ($0.pid, $0.parent) }, uniquingKeysWith: { first, _ in first })
        var likely: [UInt32: UInt32] = [:]
        for thread in records.threads where thread.addressSpace != 0 && likely[thread.addressSpace] == nil {
            var pid = thread.process
            // A record cannot have more ancestors than there are processes.
            for _ in 0...parents.count {
                if ofProcess[pid] != nil { break }
                guard let next = parents[pid], next != 0 else { break }
                pid = next
            }
            likely[thread.addressSpace] = ofProcess[pid] ?? spaceID(of: root)
        }
        return likely
    }

    /// In which memory object of this image the contents of one of other records may be; 0: in none.
    package func likelyObject(of object: ImageMemoryObject) -> UInt32 {
        memoryObjects.first { $0.id == object.id && $0.name == object.name }?.id
            ?? memoryObjects.first { $0.name == object.name && $0.size == object.size }?.id
            ?? memoryObjects.first { $0.name == object.name }?.id ?? 0
    }
}
