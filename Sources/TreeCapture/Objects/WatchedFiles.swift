internal import Kernel

/// Finds the open files that epolls watch.
///
/// The number of a registration says where the program had the file when it registered it: the file may stand elsewhere by
/// now, in this process or another one, and the number may lead to another file. To compare one file with one registration
/// the kernel walks over the registrations of the epoll; so few are compared: those of the same inode, which are kept in
/// the kernel's order and searched by halves.
struct WatchedFiles {
    private let tree: TreeSight
    private var byInode: [UInt64: [Int]] = [:]
    private var named: [Int] = []
    /// Files of one inode in the kernel's order.
    private var sorted: [UInt64: [Int]] = [:]
    /// By a task that has a table, and a number in it.
    private var tables: [HostPid: [Int32: Int]] = [:]

    init(_ tree: TreeSight) {
        self.tree = tree
        for (index, file) in tree.files.enumerated() {
            byInode[file.status.inode, default: []].append(index)
            if file.target.bytes.first == UInt8(ascii: "/") { named.append(index) }
        }
        for table in tree.tables {
            tables[table.holder] = Dictionary(table.descriptors.map { ($0.number, $0.file) }) { first, _ in first }
        }
    }

    /// The place of the open file behind a registration, counted from 1; 0: no descriptor of the tree leads to it.
    mutating func file(of one: EpollState.Registration, in epoll: OpenFileSight) throws(SystemError) -> Int {
        // Some file systems show another inode number than the kernel's own: all files with a name are compared then.
        let candidates = byInode[one.inode] ?? named
        func order(_ index: Int) throws(SystemError) -> KernelOrder {
            let file = tree.files[index]
            return try compare(
                openFile: file.number, of: file.holder.rawValue, with: one, ofEpoll: epoll.number, in: epoll.holder.rawValue)
        }
        // Most often it is still where it was.
        if let file = tables[epoll.holder]?[one.number], byInode[one.inode] == nil || tree.files[file - 1].status.inode == one.inode,
            try order(file - 1) == .same
        {
            return file
        }
        let files = try inOrder(one.inode, candidates)
        var (low, high) = (0, files.count)
        while low < high {
            let middle = (low + high) / 2
            switch try order(files[middle]) {
            case .same: return files[middle] + 1
            case .before: low = middle + 1
            case .after: high = middle
            }
        }
        return 0
    }

    private mutating func inOrder(_ inode: UInt64, _ candidates: [Int]) throws(SystemError) -> [Int] {
        if let known = sorted[inode] { return known }
        var found: [Int] = []
        for index in candidates {
            let file = tree.files[index]
            let place = try Kernel.find(among: found) { other throws(SystemError) in
                try compare(
                    .openFile, of: file.holder.rawValue, file.number, with: tree.files[other].holder.rawValue, tree.files[other].number)
            }.place
            found.insert(index, at: place)
        }
        sorted[inode] = found
        return found
    }
}
