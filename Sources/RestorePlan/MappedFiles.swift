import CheckpointImage
import FoundationEssentials
import LinuxABI

/// What is opened for the mappings of a tree, each once and by a number: thousands of mappings are mostly of a few files, and to compare and
/// to hash paths takes long.
struct MappedFiles {
    private struct Key: Hashable {
        var device: UInt64
        var inode: UInt64
        var isWritten: Bool
    }

    /// By number.
    private(set) var requests: [FileRequest] = []
    private var paths: [Data] = []
    private var numbers: [Key: [Int]] = [:]

    /// - Parameter rights: with which the file is opened.
    mutating func number(of mapping: ImageMapping, _ rights: FileRights) -> Int {
        let file = mapping.file
        let key = Key(device: file.device, inode: file.inode, isWritten: mapping.isWrittenToFile)
        let isLink = FileRequest.isLink(file)
        for number in numbers[key] ?? [] {
            let known = requests[number]
            if known.isLink == isLink, paths[number] == file.path, known.rights == rights { return number }
        }
        requests.append(FileRequest(file, key.isWritten ? [.read, .write] : .read, rights))
        paths.append(file.path)
        numbers[key, default: []].append(requests.count - 1)
        return requests.count - 1
    }
}
