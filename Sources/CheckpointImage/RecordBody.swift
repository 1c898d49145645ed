internal import SwiftProtobuf

/// A message that is the body of a record.
///
/// Each type has a function of its own for quick decoding: the compiler makes it for that type, though the readers, which call it, are
/// made for any.
protocol RecordBody: Message {
    /// See ``QuickDecoder/decoded(_:)``.
    static func quicklyDecoded(_ bytes: [UInt8]) -> Self?
}

extension RecordBody {
    static func quicklyDecoded(_ bytes: [UInt8]) -> Self? { QuickDecoder.decoded(bytes) }
}

extension ImageHeader: RecordBody {}
extension ImageProcess: RecordBody {}
extension ImageThread: RecordBody {}
extension ImageAddressSpace: RecordBody {}
extension ImageFileTable: RecordBody {}
extension ImageOpenFile: RecordBody {}
extension ImagePipe: RecordBody {}
extension ImageTerminal: RecordBody {}
extension ImageCallFilter: RecordBody {}
extension ImageMemoryObject: RecordBody {}
extension ImageSemaphoreSet: RecordBody {}
extension ImageMessageQueue: RecordBody {}
extension ImageDirectories: RecordBody {}
extension ImageSignalActions: RecordBody {}
extension ImageNamespace: RecordBody {}
extension ImageSharedPages: RecordBody {}
extension ImagePageDescription: RecordBody {}
extension ImagePageChecksums: RecordBody {}
extension ImageTail: RecordBody {}
