extension ImageError {
    /// Every refusal of the format itself, one case each. Offsets are bytes from the start of the image.
    package enum Reason: Hashable, Sendable {
        case empty
        case notAnImage
        case directory
        case otherVersion(UInt32)
        case preludeDamaged
        case headerDamaged(at: UInt64)
        case bodyDamaged(type: UInt32, at: UInt64)
        case paddingNotZero(at: UInt64)
        case undecodable(type: UInt32, at: UInt64)
        case unknownType(UInt32, at: UInt64)
        case unknownFlags(UInt32, at: UInt64)
        case tooLong(type: UInt32, length: UInt64, at: UInt64)
        case tooManyFields(type: UInt32, at: UInt64)
        case notFirst(type: UInt32)
        case secondHeader(at: UInt64)
        case unexpected(type: UInt32, at: UInt64, String)
        case misalignedPages(at: UInt64)
        case pageLength(UInt64, pages: UInt64, at: UInt64)
        case checksumCount(Int, pages: UInt64, at: UInt64)
        case pagesDamaged(at: UInt64)
        case chunkLength(UInt64, at: UInt64)
        case chunkDamaged(at: UInt64)
        case unknownCodec(UInt32, at: UInt64)
        case leftOutWithoutParent(at: UInt64)
        case parentMissing(String)
        case parentOther(String)
        case parentUnfit(String, String)
        case parentLoop(String)
        case parentLacksPages(String)
        case pagesNotThere(String)
        case endsEarly(at: UInt64)
        case trailerDamaged
        case tailElsewhere(UInt64, found: UInt64)
        case indexMismatch(entry: Int)
        case countMismatch(String)
        case trailingBytes(at: UInt64)
        case rule(ImageRule, String)
        case seal(SealProblem)
        case failedCheckpoint(String, status: UInt32)
        case source(String)
        case writerOrder(String)
        case writerTooLong(type: UInt32, length: UInt64)
    }

    package var kind: Kind {
        switch reason {
        case .empty, .notAnImage, .directory: .notAnImage
        case .otherVersion, .unknownType, .unknownFlags, .unknownCodec: .otherVersion
        case .parentMissing, .parentOther, .parentUnfit, .parentLoop: .parent
        case .endsEarly: .incomplete
        case .failedCheckpoint: .failedCheckpoint
        case .source: .unreadable
        case .seal(let problem): problem.isOfKeys ? .unreadable : .damaged
        case .writerOrder, .writerTooLong: .unwritable
        default: .damaged
        }
    }
}

extension ImageError.Reason {
    /// What is wrong, lower case, without a full stop.
    var text: String {
        switch self {
        case .empty: "it is empty"
        case .notAnImage: "it is not a checkpoint image"
        case .directory: "it is a directory"
        case .otherVersion(let version): "it has format version \(version)"
        case .preludeDamaged: "its first 16 bytes are damaged"
        case .headerDamaged(let at): "the header of the record at \(hex(at)) is damaged"
        case .bodyDamaged(let type, let at): "the \(name(type)) record at \(hex(at)) is damaged"
        case .paddingNotZero(let at): "the fill bytes at \(hex(at)) are damaged"
        case .undecodable(let type, let at): "the \(name(type)) record at \(hex(at)) cannot be decoded"
        case .unknownType(let type, let at): "the record at \(hex(at)) has the unknown type \(type)"
        case .unknownFlags(let flags, let at):
            "the record at \(hex(at)) has the unknown flags \(hex(UInt64(flags)))"
        case .tooLong(let type, let length, let at):
            "the \(name(type)) record at \(hex(at)) claims \(length) bytes"
        case .tooManyFields(let type, let at): "the \(name(type)) record at \(hex(at)) has too many fields"
        case .notFirst(let type): "the first record is \(name(type)), not the header"
        case .secondHeader(let at): "there is a second header at \(hex(at))"
        case .unexpected(let type, let at, let place):
            "there is a \(name(type)) record at \(hex(at)), \(place)"
        case .misalignedPages(let at): "the page data at \(hex(at)) are not on a page boundary"
        case .pageLength(let length, let pages, let at):
            "the page data at \(hex(at)) have \(length) bytes instead of \(pages) pages"
        case .checksumCount(let count, let pages, let at):
            "the record at \(hex(at)) has \(count) checksums for \(pages) pages"
        case .pagesDamaged(let at): "the 256 KiB of page data at \(hex(at)) are damaged"
        case .chunkLength(let length, let at): "the page chunk at \(hex(at)) has \(length) bytes, as none can have"
        case .chunkDamaged(let at): "the page chunk at \(hex(at)) does not give its pages"
        case .unknownCodec(let codec, let at): "the page chunk at \(hex(at)) is compressed in an unknown way (\(codec))"
        case .leftOutWithoutParent(let at): "the page chunk at \(hex(at)) leaves pages out, and there is no parent image"
        case .parentMissing(let name): "its parent image \(name) is not there"
        case .parentOther(let name): "the image \(name) is another one than its parent"
        case .parentUnfit(let name, let reason): "its parent image \(name) is unfit: \(reason)"
        case .parentLoop(let name): "its parent image \(name) leads back to it, or is one of too many"
        case .parentLacksPages(let owner): "the \(owner) are not all in its parent image"
        case .pagesNotThere(let owner): "the \(owner) are fewer than asked for"
        case .endsEarly(let at): "it ends at \(hex(at)), too early"
        case .trailerDamaged: "its last 24 bytes are damaged"
        case .tailElsewhere(let said, let found): "its tail is at \(hex(found)) instead of \(hex(said))"
        case .indexMismatch(let entry): "entry \(entry) of its index names another record"
        case .countMismatch(let what): "its tail counts other \(what) than there are"
        case .trailingBytes(let at): "there are bytes after its end at \(hex(at))"
        case .rule(let rule, let subject): "\(subject): \(rule.text)"
        case .seal(let problem): problem.text
        case .failedCheckpoint(let reason, _): "the checkpoint failed: \(reason)"
        case .source(let cause): cause
        case .writerOrder(let what): what
        case .writerTooLong(let type, let length): "the \(name(type)) record would have \(length) bytes"
        }
    }

    /// What helps.
    var help: String {
        switch self {
        case .empty: "the checkpoint did not get as far as its first record; take another one"
        case .notAnImage, .directory: "name a file that crcheckpoint wrote"
        case .otherVersion: "this tool reads version \(ImageFormat.version); use the tool that wrote it"
        case .parentMissing: "--parent-dir DIR names the directory in which it is"
        case .parentOther, .parentUnfit: "put the image there with which it was made, or name its directory by --parent-dir DIR"
        case .parentLoop: "no checkpoint makes such images"
        case .pagesNotThere: "a defect in the tool"
        case .unknownType, .unknownFlags, .unknownCodec: "a newer tool wrote it; use that one"
        case .endsEarly: "the checkpoint did not finish or the copy is cut short; copy it again"
        case .failedCheckpoint: "the image holds nothing to restart; take another checkpoint"
        case .seal(let problem): problem.help
        case .source: "nothing is known about the image itself"
        case .writerOrder: "a defect in the tool"
        case .rule: "its checksums are right, so it is as it was written: by a tool with a defect, or by another program"
        case .writerTooLong: "the format allows \(ImageFormat.longestBody >> 20) MiB for one record"
        default: "crimage verify lists all bad places; copy the image again or use another one"
        }
    }

    private func name(_ type: UInt32) -> String { RecordType(rawValue: type)?.name ?? "type \(type)" }
}

extension RecordType {
    /// As the documentation of the format says it.
    package var name: String {
        switch self {
        case .header: "header"
        case .padding: "padding"
        case .process: "process"
        case .thread: "thread"
        case .addressSpace: "address space"
        case .fileTable: "file table"
        case .openFile: "open file"
        case .pipe: "pipe"
        case .memoryObject: "memory object"
        case .semaphoreSet: "semaphore set"
        case .directories: "directories"
        case .signalActions: "signal actions"
        case .namespace: "namespace"
        case .sharedPages: "shared pages"
        case .messageQueue: "message queue"
        case .terminal: "terminal"
        case .callFilter: "call filter"
        case .pageDescription: "page description"
        case .pageData: "page data"
        case .pageChecksums: "page checksums"
        case .pageChunk: "page chunk"
        case .tail: "tail"
        case .failure: "error"
        }
    }
}
