package import CheckpointImage
internal import LinuxABI

/// What the user puts in the place of open files of the tree: `crrestart --fd [PID:]N=WHAT`, `--fd M=ID`, or `--reconnect ID`.
package struct DescriptorChoice: Sendable, Equatable {
    /// Which descriptors.
    package enum Target: Sendable, Equatable {
        /// Descriptor `number` of one process (by its number in the image), or of all of them.
        case number(UInt32, process: UInt32?)
        /// All descriptors of external files that `crimage files` and `crcheckpoint --dry-run` call so.
        case identifier(String)
    }

    package enum Source: Sendable, Equatable {
        case close
        case null
        case path([UInt8], appends: Bool)
        /// A descriptor of crrestart.
        case inherited(UInt32)
        /// A unix socket that is connected with the same name again.
        case connection

        /// Whether an epoll can watch it, as far as that is known.
        var canBeWatched: Bool {
            switch self {
            case .close, .inherited, .connection: true
            case .null, .path: false
            }
        }
    }

    package var target: Target
    package var source: Source
    /// As the user gave it.
    package var text: String

    /// Nil: it has no such shape.
    package init?(_ bytes: [UInt8]) {
        guard let sign = bytes.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        text = printable(bytes)
        let left = bytes[..<sign].split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard left.count <= 2, let number = left.last.flatMap({ Self.decimal($0) }) else { return nil }
        var process: UInt32?
        if left.count == 2 {
            guard let pid = Self.decimal(left[0]), pid != 0 else { return nil }
            process = pid
        }
        target = .number(number, process: process)
        let right = Array(bytes[(sign + 1)...])
        let name = String(decoding: right, as: UTF8.self)
        if right.contains(0) || right.isEmpty { return nil }
        switch name {
        case "null": source = .null
        case "close": source = .close
        case _ where name.hasPrefix("/"): source = .path(right, appends: false)
        case _ where name.hasPrefix("append:/"): source = .path(Array(right.dropFirst("append:".utf8.count)), appends: true)
        case _ where name.hasPrefix("fd:"):
            guard let own = Self.decimal(right.dropFirst(3)), own <= UInt32(Int32.max) else { return nil }
            source = .inherited(own)
        default:
            // An id has a colon or a slash: `nul` and the like are slips.
            guard process == nil, name.contains(":"), !name.hasPrefix("append:") else { return nil }
            target = .identifier(printable(right))
            source = .inherited(number)
        }
    }

    /// `--reconnect ID`. Nil: it cannot be the name of a socket.
    package init?(reconnecting bytes: [UInt8]) {
        text = printable(bytes)
        guard text.hasPrefix("socket:[") else { return nil }
        target = .identifier(text)
        source = .connection
    }

    /// As it is typed.
    package var option: String { source == .connection ? "--reconnect \(text)" : "--fd \(text)" }

    private static func decimal(_ digits: some Collection<UInt8>) -> UInt32? {
        guard !digits.isEmpty, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        return UInt32(String(decoding: digits, as: UTF8.self))
    }

    /// The descriptor of crrestart that it names.
    package var inherited: UInt32? { if case .inherited(let number) = source { number } else { nil } }

    /// The part before the sign, e.g. `4711:9`.
    var place: String { String(text.prefix { $0 != "=" }) }
}

/// The user's choices for an image: which of its open files they replace.
package struct ChosenDescriptors: Sendable {
    package private(set) var choices: [DescriptorChoice] = []
    /// By open file: the place of the choice that gives it.
    package private(set) var files: [UInt32: Int] = [:]
    /// By choice: how its file has to be opened. Nil: nothing of the tree is meant.
    package private(set) var needs: [Need?] = []
    /// External files count as given: the plan is only tried.
    package var isAssumed = false

    package struct Need: Sendable, Equatable {
        /// O_RDONLY, O_WRONLY, O_RDWR.
        package var access: UInt32
        package var isNonblocking: Bool
    }

    package init() {}

    /// How many descriptors of crrestart go to the tree.
    package var count: Int { files.isEmpty ? 0 : choices.count }

    func choice(of file: UInt32) -> DescriptorChoice? { files[file].map { choices[$0] } }

    /// Makes the choices, in their order: a later one sees what earlier ones have left.
    ///
    /// - Returns: the image in which external files stand for what is replaced.
    package static func applied(_ choices: [DescriptorChoice], to image: CheckpointImage) throws(ImageError) -> (CheckpointImage, ChosenDescriptors) {
        var chosen = ChosenDescriptors()
        chosen.choices = choices
        if choices.isEmpty { return (image, chosen) }
        var change = Change(image)
        for (index, choice) in choices.enumerated() { chosen.needs.append(change.make(choice, index, &chosen.files)) }
        let changed = try image.changed { records in
            (records.openFiles, records.fileTables) = change.result()
        }
        return (changed, chosen)
    }
}

/// The open files and tables of an image while choices are made.
private struct Change {
    let image: CheckpointImage
    var files: [ImageOpenFile]
    var tables: [ImageFileTable]
    /// By table: the processes that have it, or a thread of which has it.
    let users: [UInt32: Set<UInt32>]
    /// File that is replaced -> what comes in its place; 0: nothing.
    var substitutes: [UInt32: UInt32] = [:]

    init(_ image: CheckpointImage) {
        self.image = image
        files = image.openFiles
        tables = image.fileTables
        var users: [UInt32: Set<UInt32>] = [:]
        for process in image.processes where process.state != .zombie { users[image.tableID(of: process), default: []].insert(process.pid) }
        for thread in image.threads {
            if let table = image.ownFileTable(of: thread) { users[table.id, default: []].insert(thread.process) }
        }
        self.users = users
    }

    /// - Returns: nil: nothing of the tree is meant.
    mutating func make(_ choice: DescriptorChoice, _ index: Int, _ given: inout [UInt32: Int]) -> ChosenDescriptors.Need? {
        let byID = Dictionary(files.map { ($0.id, $0) }) { first, _ in first }
        let external = Set(files.filter { isExternal($0) && given[$0.id] == nil }.map(\.id))
        var meant = meant(choice.target, byID)
        // A number means what was let through, where that has the number: at each of its descriptors, and nothing else that
        // happens to have it in another process.
        if case .number(_, nil) = choice.target {
            let open = Set(meant.map(\.file)).intersection(external)
            if !open.isEmpty { meant = places { open.contains($0.file) } }
        }
        var need: ChosenDescriptors.Need?
        var replacements: [UInt32: UInt32] = [:]
        var next = (files.map(\.id).max() ?? 0) + 1
        for place in meant.reversed() {
            guard let old = byID[place.file] else { continue }
            let access = old.flags & OpenFlag.O_ACCMODE
            let isNonblocking = old.flags & OpenFlag.O_NONBLOCK != 0
            if let known = need {
                need = .init(access: known.access == access ? access : OpenFlag.O_RDWR, isNonblocking: known.isNonblocking && isNonblocking)
            } else {
                need = .init(access: access, isNonblocking: isNonblocking)
            }
            if choice.source == .close {
                tables[place.table].descriptors.remove(at: place.index)
                substitutes[old.id] = 0
                continue
            }
            if replacements[old.id] == nil {
                files.append(replacement(of: old, id: next, choice))
                replacements[old.id] = next
                given[next] = index
                substitutes[old.id] = next
                next += 1
            }
            tables[place.table].descriptors[place.index].file = replacements[old.id] ?? 0
        }
        // Those that are in flight only, or only watched.
        guard case .identifier(let name) = choice.target else { return need }
        let held = Set(tables.flatMap { $0.descriptors.map(\.file) })
        for old in byID.values.sorted(by: { $0.id < $1.id }) where external.contains(old.id) && !held.contains(old.id) && replacements[old.id] == nil {
            guard case .external(let one)? = old.object, one.identifier.asText == name else { continue }
            files.append(replacement(of: old, id: next, choice))
            given[next] = index
            substitutes[old.id] = next
            next += 1
            if need == nil { need = .init(access: old.flags & OpenFlag.O_ACCMODE, isNonblocking: true) }
        }
        return need
    }

    private struct Place {
        var table: Int
        var index: Int
        var file: UInt32
    }

    private func places(_ isMeant: (ImageDescriptor) -> Bool) -> [Place] {
        tables.indices.flatMap { table in
            tables[table].descriptors.indices.compactMap { index in
                let one = tables[table].descriptors[index]
                return isMeant(one) ? Place(table: table, index: index, file: one.file) : nil
            }
        }
    }

    private func meant(_ target: DescriptorChoice.Target, _ byID: [UInt32: ImageOpenFile]) -> [Place] {
        switch target {
        case .number(let number, let process):
            return places { $0.number == number }.filter { place in
                process.map { users[tables[place.table].id]?.contains($0) == true } ?? true
            }
        case .identifier(let name):
            return places { one in
                guard case .external(let external)? = byID[one.file]?.object else { return false }
                return external.identifier.asText == name
            }
        }
    }

    private func isExternal(_ file: ImageOpenFile) -> Bool { if case .external? = file.object { true } else { false } }

    private func replacement(of old: ImageOpenFile, id: UInt32, _ choice: DescriptorChoice) -> ImageOpenFile {
        var file = ImageOpenFile()
        file.id = id
        file.flags = choice.source == .connection ? old.flags : old.flags & OpenFlag.O_ACCMODE
        var object = ImageExternalFile()
        object.identifier = Array(choice.option.utf8).asData
        if choice.source == .connection, case .external(let one)? = old.object, one.hasConnection { object.connection = one.connection }
        object.description_p = Array("instead of \(old.summary(in: image))".utf8).asData
        file.object = .external(object)
        return file
    }

    /// What is open nowhere any more is not made; what watched it, or had it in flight, has what came in its place. As with
    /// close(2), an epoll forgets what is closed.
    func result() -> ([ImageOpenFile], [ImageFileTable]) {
        let held = Set(tables.flatMap { $0.descriptors.map(\.file) })
        let gone = substitutes.filter { !held.contains($0.key) }
        var files = files.filter { gone[$0.id] == nil }
        for index in files.indices {
            switch files[index].object {
            case .epoll(var epoll)?:
                epoll.registrations = epoll.registrations.compactMap { one in
                    guard let other = gone[one.file] else { return one }
                    var one = one
                    one.file = other
                    return other == 0 ? nil : one
                }
                files[index].object = .epoll(epoll)
            case .unix(var socket)?:
                for place in socket.queue.indices { socket.queue[place].files = socket.queue[place].files.map { gone[$0] ?? $0 } }
                for place in socket.early.indices { socket.early[place].files = socket.early[place].files.map { gone[$0] ?? $0 } }
                files[index].object = .unix(socket)
            default: break
            }
        }
        var tables = tables
        for index in tables.indices {
            let own = Set(tables[index].descriptors.map(\.file))
            tables[index].locks.removeAll { !own.contains($0.file) }
        }
        return (files, tables)
    }
}
