internal import Kernel
internal import LinuxABI

/// The files that an image carries with their contents (`--with-files`), besides those without a name.
package struct CarriedFiles: Sendable, Equatable {
    /// Program files, libraries, and other files that are mapped for oneself.
    package var programs = false
    /// Regular files that are open, up to this size in bytes; nil: none.
    package var open: Int64?

    package static let usualSize: Int64 = 64 << 20

    package init() {}

    /// `programs`, `open`, `all`, and a size for the last two: `open:4M`. Nil: it is none of these.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        var size: Int64? = Self.usualSize
        if parts.count == 2 { size = Self.bytes(parts[1]) }
        guard let size else { return nil }
        switch String(parts.first ?? "") {
        case "programs" where parts.count == 1: programs = true
        case "open": open = size
        case "all": (programs, open) = (true, size)
        default: return nil
        }
    }

    /// A number of bytes, with K, M, G or T of 1024 each.
    private static func bytes(_ text: Substring) -> Int64? {
        let unit = text.last.flatMap { ["K": 10, "M": 20, "G": 30, "T": 40][$0.uppercased()] }
        guard let number = Int64(unit == nil ? text : text.dropLast()), number >= 0 else { return nil }
        let (size, isTooLarge) = number.multipliedReportingOverflow(by: 1 << Int64(unit ?? 0))
        return isTooLarge ? nil : size
    }
}

extension TreeSight {
    /// Adds the files that the image is to carry to its memory objects, each once. They are read while the tree stands still.
    mutating func carry(_ choice: CarriedFiles) {
        var paths: Set<[UInt8]> = []
        if choice.programs {
            let table = NameTable(names)
            for space in spaces {
                for mapping in MappingTable(space, space.maps.value.maps, table).all
                where mapping.nature == .file && !mapping.map.isShared && !mapping.isDevice {
                    paths.insert(mapping.path)
                }
            }
            for process in processes where process.programObject == nil && !process.executable.isDeleted {
                paths.insert(process.executable.path.bytes)
            }
        }
        if let largest = choice.open {
            for file in files where file.status.kind == .regular && file.isFoundByName && !file.isPathOnly && file.status.size <= largest {
                paths.insert(file.target.bytes)
            }
        }
        if paths.isEmpty { return }
        for index in names.indices where paths.contains(names[index].path.bytes) {
            // A file of the kernel has no contents of its own.
            guard let status = names[index].status, status.kind == .regular, !names[index].path.bytes.starts(with: "/proc/".utf8),
                !names[index].path.bytes.starts(with: "/sys/".utf8)
            else { continue }
            objects.append(ObjectSight(link: names[index].path, name: names[index].path, status: status))
            names[index].object = objects.count
        }
    }
}
