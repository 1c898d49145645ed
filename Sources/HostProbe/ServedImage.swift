package import CheckpointImage
package import Kernel
internal import LinuxABI

/// An image that lies elsewhere: the program at the other end of two descriptors reads it for this one (docs/protocol.md).
///
/// It is asked for one part after the other. What it answers is compared with checksums as the bytes of a file are.
package final class ServedImage: RandomSource {
    private let ends: DescriptorPair
    private let isInterrupted: () -> Bool
    /// In bytes.
    package private(set) var size: UInt64 = 0
    /// Bytes that have come and are not taken yet.
    private var pending: [UInt8] = []
    /// The last answer: records are small, and each question takes the time of the way there and back.
    private var last: (offset: UInt64, bytes: [UInt8]) = (0, [])

    /// Bytes.
    private static let ahead = 64 << 10
    private static let most = 1 << 20
    /// The longest line of an answer, in bytes.
    private static let longestLine = 8192
    /// Nanoseconds without a byte after which the other side counts as gone.
    private static let patience: Int64 = 30_000_000_000

    /// - Preconditions: both are open, and stay so; a write to a closed pipe is an error and not the end of this process.
    /// - Errors: it does not answer, or has no image.
    package init(_ ends: DescriptorPair, unless isInterrupted: @escaping () -> Bool) throws(ImageError) {
        self.ends = ends
        self.isInterrupted = isInterrupted
        let words = try ask("size")
        guard words.count == 2, words[0] == "size", let size = UInt64(words[1]), size > 0 else { throw Self.nonsense(words) }
        self.size = size
    }

    package var numbers: Set<UInt32> { Set(ends.numbers.map { UInt32(bitPattern: $0) }) }
    /// The descriptor that answers come from.
    package var number: Int32 { ends.input }

    package func read(upTo count: Int, at offset: UInt64) throws -> [UInt8] {
        if offset >= size { return [] }
        if offset < last.offset || offset >= last.offset + UInt64(last.bytes.count) {
            let end = last.offset + UInt64(last.bytes.count)
            // What is read on from there is records, one after the other: more of them come at once. Pages are asked for as they are wanted.
            let readsOn = offset >= end && offset - end < UInt64(Self.ahead)
            let wanted = min(UInt64(min(max(count, readsOn ? Self.ahead : 1), Self.most)), size - offset)
            let words = try ask("read \(offset) \(wanted)")
            guard words.count == 2, words[0] == "bytes", let given = UInt64(words[1]), given > 0, given <= wanted else { throw Self.nonsense(words) }
            while pending.count < Int(given) { try take(upTo: Int(given) - pending.count) }
            last = (offset, pending)
            pending = []
        }
        let start = Int(offset - last.offset)
        return Array(last.bytes[start..<min(last.bytes.count, start + count)])
    }

    /// Says that no more of it is needed. The other side may be gone.
    package func done() { try? Channel.tell("done", over: ends.output) }

    /// The words of one line of answer.
    private func ask(_ question: String) throws(ImageError) -> [String] {
        do throws(SystemError) { try Channel.tell(question, over: ends.output) } catch { throw Self.lost(error) }
        while true {
            if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                let line = String(decoding: pending[..<end], as: UTF8.self)
                pending.removeSubrange(...end)
                if line.hasPrefix("failed ") { throw ImageError(.source("the program that serves the image says: \(printable(Array(line.dropFirst(7).utf8)))")) }
                return line.split(separator: " ").map(String.init)
            }
            if pending.count > Self.longestLine { throw Self.nonsense([]) }
            try take(upTo: Self.longestLine)
        }
    }

    /// Waits for bytes.
    private func take(upTo count: Int) throws(ImageError) {
        let deadline = SystemClock.monotonic.now() + Self.patience
        do throws(SystemError) {
            try Channel.awaitInput(ends.input) { isInterrupted() || SystemClock.monotonic.now() > deadline }
        } catch {
            if isInterrupted() { throw Self.lost(error) }
            throw ImageError(
                .source("ETIMEDOUT (nothing came from the program that serves the image for \(Self.patience / 1_000_000_000) s: the connection seems to be cut)"))
        }
        do throws(SystemError) {
            let more = try Channel.read(ends.input, upTo: count)
            if more.isEmpty { throw SystemError(Errno.EPIPE, in: "read") }
            pending += more
        } catch { throw Self.lost(error) }
    }

    private static func lost(_ error: SystemError) -> ImageError {
        ImageError(.source("\(error.name) (the program that serves the image is gone, or the connection to it)"))
    }

    private static func nonsense(_ words: [String]) -> ImageError {
        let line = printable(Array(words.joined(separator: " ").utf8))
        return ImageError(.source("EPROTO (the program that serves the image says \"\(line.prefix(100))\": docs/protocol.md tells what it has to say)"))
    }
}
