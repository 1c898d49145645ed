internal import ArgumentParser
internal import CheckpointImage
internal import HostProbe

/// `crimage memory`: the mappings of each address space and how much of each is saved.
struct Memory: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Lists the memory mappings of every process.")

    @OptionGroup var argument: ImageArgument

    func run() throws {
        try reporting(argument.path) {
            let loaded = try argument.load()
            for space in loaded.image.addressSpaces {
                let mapped = space.mappings.reduce(UInt64(0)) { $0 + $1.end - $1.start }
                print(
                    "address space \(space.id) of \(loaded.names(of: loaded.image.users(ofSpace: space.id))): "
                        + "\(size(mapped)) mapped, \(size(loaded.savedBytes(.addressSpace, space.id))) saved" + shared(space, loaded.image))
                print(lines(space, loaded.image), terminator: "")
            }
            for set in loaded.image.sharedPages {
                let spaces = set.holders.map { String($0.addressSpace) }.joined(separator: ", ")
                print("shared pages \(set.id): \(size(loaded.savedBytes(.sharedPages, set.id))) saved, of address spaces \(spaces)")
            }
            for object in loaded.image.memoryObjects {
                print(
                    "memory object \(object.id) \(object.name.asText): \(size(object.size)), "
                        + "\(size(loaded.savedBytes(.memoryObject, object.id))) saved")
            }
        }
    }

    private func lines(_ space: ImageAddressSpace, _ image: CheckpointImage) -> String {
        let rows = zip(space.mappings, image.savedBytes(of: space)).map { mapping, saved in
            [
                "\(hex(mapping.start))-\(hex(mapping.end))", size(mapping.end - mapping.start),
                protection(mapping), saved > 0 ? size(saved) : "-", what(mapping, space, image),
            ]
        }
        return table([["address", "size", "mode", "saved", "what"]] + rows, right: [1, 3], indent: "  ")
    }

    private func shared(_ space: ImageAddressSpace, _ image: CheckpointImage) -> String {
        let bytes = image.sharedBytes(of: space.id)
        return bytes == 0 ? "" : ", \(size(bytes)) shared with other address spaces"
    }

    private func protection(_ mapping: ImageMapping) -> String {
        zip("rwx", [UInt32(1), 2, 4]).map { mapping.protection & $1 != 0 ? String($0) : "-" }.joined()
            + (mapping.shared ? "s" : "p")
    }

    private func what(_ mapping: ImageMapping, _ space: ImageAddressSpace, _ image: CheckpointImage) -> String
    {
        switch mapping.kind {
        case .anonymous:
            if mapping.start <= space.startStack && space.startStack < mapping.end { return "[stack]" }
            if mapping.start < space.currentBreak && space.startBreak < mapping.end { return "[heap]" }
            return mapping.name.isEmpty ? "" : "[anon:\(mapping.name.asText)]"
        case .file: return "\(mapping.file.path.asText) @\(hex(mapping.offset))"
        case .object: return "memory object \(mapping.object) @\(hex(mapping.offset))"
        case .vdsoData: return "[vvar]"
        case .vdsoCode: return "[vdso]"
        case .asynchronousRing: return "ring of io_setup"
        case .UNRECOGNIZED: return ""
        }
    }
}
