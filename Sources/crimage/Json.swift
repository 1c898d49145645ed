internal import ArgumentParser
internal import CheckpointImage
internal import HostProbe
internal import SwiftProtobuf

/// `crimage json`: all metadata, for programs.
///
/// The messages of the format in their standard JSON form: fields as the `.proto` files name them,
/// 64-bit numbers as strings, bytes in base64.
struct Json: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prints all metadata as JSON.",
        discussion: """
            Fields are named as in docs/format.md; 64-bit numbers are strings, bytes are base64. Two members are \
            derived: "activities", what each thread was doing, and "page_sections", where the pages lie in the file; \
            "stored" are the bytes that they take there, where they are not as they were.
            """)

    @OptionGroup var argument: ImageArgument

    func run() throws {
        try reporting(argument.path) {
            let loaded = try argument.load()
            let image = loaded.image
            print("{\"header\":\(try one(image.header)),")
            try list("processes", image.processes)
            try list("threads", image.threads)
            print("\"activities\":[\(image.threads.map(activity).joined(separator: ",\n"))],")
            try list("address_spaces", image.addressSpaces)
            try list("file_tables", image.fileTables)
            try list("open_files", image.openFiles)
            try list("pipes", image.pipes)
            try list("terminals", image.terminals)
            try list("call_filters", image.callFilters)
            try list("memory_objects", image.memoryObjects)
            try list("semaphore_sets", image.semaphoreSets)
            try list("message_queues", image.messageQueues)
            try list("directories", image.directories)
            try list("signal_actions", image.signalActions)
            try list("namespaces", image.namespaces)
            try list("shared_pages", image.sharedPages)
            let sections = image.pageSections.map { section in
                "{\"owner\":\"\(Self.name(of: section.owner.kind))\","
                    + "\"id\":\(section.owner.id),\"pages\":\"\(section.pages)\",\"offset\":\"\(section.offset)\""
                    + (section.isChunked ? ",\"stored\":\"\(section.storedBytes)\"}" : "}")
            }
            print("\"page_sections\":[\(sections.joined(separator: ",\n"))]}")
        }
    }

    private static func name(of owner: ImagePageDescription.Owner) -> String {
        switch owner {
        case .addressSpace: "ADDRESS_SPACE"
        case .memoryObject: "MEMORY_OBJECT"
        case .sharedPages: "SHARED_PAGES"
        case .UNRECOGNIZED(let value): "\(value)"
        }
    }

    /// What a thread was doing, out of its message: `call` is null if it ran its own code, `remaining_ns` if the
    /// call had no limit.
    private func activity(of thread: ImageThread) -> String {
        let activity = ThreadActivity(of: thread)
        // Names and numbers of calls: nothing in them needs an escape.
        let call = activity.call.map { "\"\($0)\"" } ?? "null"
        let left = activity.left.map { "\"\($0)\"" } ?? "null"
        return "{\"tid\":\(thread.tid),\"was\":\"\(activity)\",\"call\":\(call),\"remaining_ns\":\(left)}"
    }

    private func one(_ message: some SwiftProtobuf.Message) throws -> String {
        var options = JSONEncodingOptions()
        options.preserveProtoFieldNames = true
        return try message.jsonString(options: options)
    }

    private func list(_ name: String, _ messages: [some SwiftProtobuf.Message]) throws {
        print("\"\(name)\":[", terminator: "")
        for (number, message) in messages.enumerated() {
            print(number == 0 ? "" : ",\n", try one(message), separator: "", terminator: "")
        }
        print("],")
    }
}
