internal import CheckpointImage
internal import Kernel

/// What of a pipe is held inside the tree.
struct PipeUse {
    var id: UInt32
    var readers: [UInt32] = []
    var writers: [UInt32] = []
    /// One descriptor to look at it through.
    var pid: Int32
    var descriptor: Int32
    /// Where it appears: (process, number, name for people).
    var places: [(pid: Int32, number: Int32)] = []
}

/// Pipes: an open file for each end that is held, and one record for what they share.
extension Collector {
    func pipeEnd(_ file: inout ImageOpenFile, _ look: DescriptorLook) -> Bool {
        guard look.target.hasPrefix("pipe:") else {
            return refuse(look, "is the named pipe \(look.target), which cannot be saved yet")
        }
        file.kind = .pipeEnd
        let access = look.info.openFlags & 3
        file.writeEnd = access == 1
        if access == 2 {
            return refuse(look, "is a pipe opened for both reading and writing, which cannot be saved yet")
        }
        let inode = look.status.inode
        var use = pipeUses[inode] ?? PipeUse(id: UInt32(pipeUses.count + 1), pid: look.pid, descriptor: look.number)
        if file.writeEnd { use.writers.append(file.id) } else { use.readers.append(file.id) }
        use.places.append((look.pid, look.number))
        file.pipe = use.id
        pipeUses[inode] = use
        return true
    }

    /// Contents of the pipes, and which of them lead out of the tree.
    func finishPipes() {
        for use in pipeUses.values.sorted(by: { $0.id < $1.id }) {
            do throws(SystemError) { try collectPipe(use) } catch {
                find(use.pid, "fd \(use.descriptor)", "the pipe cannot be looked into: \(error.name)", help: error.call)
            }
        }
    }

    private func collectPipe(_ use: PipeUse) throws(SystemError) {
        let look = try PipeLook(of: use.pid, descriptor: use.descriptor, forWriting: use.readers.isEmpty)
        let leadsOut =
            use.readers.isEmpty && look.hasReader || use.writers.isEmpty && look.hasWriter
        if leadsOut {
            let wrong = use.places.filter { $0.number > 2 }
            for place in wrong {
                find(place.pid, "fd \(place.number)", "is a pipe whose other end is outside of the tree", help: "checkpoint the tree that holds both ends")
            }
            if wrong.isEmpty {
                for id in use.readers + use.writers {
                    files[Int(id) - 1].kind = .outside
                    files[Int(id) - 1].pipe = 0
                    files[Int(id) - 1].preferred = UInt32(use.places.map(\.number).min() ?? 0)
                    files[Int(id) - 1].description_p = Array("the pipe at \(use.places[0].number) of \(use.places[0].pid)".utf8).asData
                }
            }
            return
        }
        var pipe = ImagePipe()
        pipe.id = use.id
        pipe.capacity = look.capacity
        let flags = files[Int((use.writers + use.readers)[0]) - 1].flags
        pipe.packets = flags & 0o40000 != 0
        pipe.contents = try look.contents(packets: pipe.packets).map(\.asData)
        pipes.append(pipe)
    }
}
