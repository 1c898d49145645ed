internal import CCodec
internal import CKernel
internal import LinuxABI

/// Where the running kernel keeps the members of its structures, and the numbers of its types.
///
/// The kernel's own description has megabytes. What was looked up once is kept in a small file for the next start
/// (``KeptFile``), beside what identifies the kernel; the description is opened only for a question that is new.
final class KernelLayout {
    private let file: KeptFile?
    private let kernel: [UInt8]?
    private var answers: [String: Int]
    private var hasNew = false
    private var types: KernelTypes?
    /// Numbers of structures in `types`.
    private var structures: [String: Int?] = [:]

    /// Of the running kernel. To make it costs next to nothing and cannot fail; to ask can.
    convenience init() { self.init(keptIn: KeptFile.ofUser("kernel-layout"), kernel: KernelLayoutText.runningKernel()) }

    /// - Parameter kernel: what identifies it; nil: nothing does, and nothing is kept.
    init(keptIn file: KeptFile?, kernel: [UInt8]?) {
        self.file = file
        self.kernel = kernel
        if let kernel, let text = file?.read() { answers = KernelLayoutText.decode(text, kernel) ?? [:] } else { answers = [:] }
    }

    deinit { keep() }

    /// Writes down what was learned since, if anything was.
    func keep() {
        guard hasNew, let file, let kernel else { return }
        hasNew = false
        file.write(KernelLayoutText.encode(answers, kernel))
    }

    /// Bytes from the beginning of a structure to a member, found by names such as `nanosleep.clockid`.
    ///
    /// - Throws: `ENOENT` on kernels without description (`CONFIG_DEBUG_INFO_BTF`), `EBADMSG`: there is no such member.
    func offset(_ structure: String, _ path: String) throws(SystemError) -> Int {
        guard let found = try optionalOffset(structure, path) else { throw malformed("BTF: no \(structure) \(path)") }
        return found
    }

    /// The same; nil: there is no such member.
    func optionalOffset(_ structure: String, _ path: String) throws(SystemError) -> Int? {
        try answer("offset \(structure) \(path)") { types in
            self.number(of: structure, types).flatMap { types.optionalMember(path, of: $0)?.offset }
        }
    }

    /// Bytes of a structure.
    func size(_ structure: String) throws(SystemError) -> Int {
        let found = try answer("size \(structure)") { types in self.number(of: structure, types).map { types.size(of: $0) } }
        guard let found else { throw malformed("BTF: no \(structure)") }
        return found
    }

    /// The number of a function's type.
    func function(_ name: String) throws(SystemError) -> Int {
        let found = try answer("function \(name)") { types in try? types.find(name, .function) }
        guard let found else { throw malformed("BTF: no \(name)") }
        return found
    }

    /// A number that stays the same until the next boot. Nil: it could not be learned, and will be asked for again.
    func ofThisBoot(_ name: String, _ ask: () -> Int?) -> Int? {
        guard let boot = try? bootID() else { return ask() }
        let prefix = "boot \(boot) "
        if let known = answers[prefix + name] { return known }
        guard let found = ask() else { return nil }
        answers = answers.filter { !$0.key.hasPrefix("boot ") || $0.key.hasPrefix(prefix) }
        answers[prefix + name] = found
        hasNew = true
        return found
    }

    private func number(of structure: String, _ types: KernelTypes) -> Int? {
        if let known = structures[structure] { return known }
        let found = try? types.find(structure, .structure)
        structures[structure] = .some(found)
        return found
    }

    private func answer(_ question: String, _ ask: (KernelTypes) -> Int?) throws(SystemError) -> Int? {
        if let known = answers[question] { return known == KernelLayoutText.none ? nil : known }
        let types: KernelTypes
        if let opened = self.types { types = opened } else {
            types = try KernelTypes.ofRunningKernel()
            self.types = types
        }
        let found = ask(types)
        answers[question] = found ?? KernelLayoutText.none
        hasNew = true
        return found
    }
}

/// The text in which ``KernelLayout`` keeps its answers.
///
/// ```
/// TreeRestore kernel layout 1
/// kernel BUILD-ID BYTES-OF-THE-DESCRIPTION RELEASE VERSION
/// 1208 offset task_struct restart_block       any number of these, in the order of their bytes; -1: there is none
/// 0 boot BOOT-ID landlock                     what holds until the next boot
/// end CRC32C-OF-ALL-LINES-ABOVE
/// ```
enum KernelLayoutText {
    static let none = -1
    private static let title = "TreeRestore kernel layout 1\n"
    /// Above every offset, size and number of a type.
    private static let limit = 1 << 24

    /// What identifies the running kernel; nil where it tells no build id.
    static func runningKernel() -> [UInt8]? {
        guard let notes = try? readKernelText("/sys/kernel/notes"), let id = BuildID.find(inNotes: notes), !id.isEmpty,
            let description = try? FileStatus(of: KernelTypes.path)
        else { return nil }
        return kernel(id, descriptionSize: description.size, .current())
    }

    static func kernel(_ buildID: [UInt8], descriptionSize: Int64, _ identity: KernelIdentity) -> [UInt8] {
        let words = [buildID.map(hexByte).joined(), "\(descriptionSize)", identity.release, identity.version]
        return Array("kernel \(words.joined(separator: " "))\n".utf8)
    }

    static func encode(_ answers: [String: Int], _ kernel: [UInt8]) -> [UInt8] {
        let lines = answers.map { "\($0.value) \($0.key)\n" }.sorted()
        let text = Array(title.utf8) + kernel + lines.flatMap(\.utf8)
        return text + Array("end \(checksum(text))\n".utf8)
    }

    /// Nil: it is of another kernel, of another version of this text, or not as it was written.
    static func decode(_ bytes: [UInt8], _ kernel: [UInt8]) -> [String: Int]? {
        let head = Array(title.utf8) + kernel
        guard bytes.starts(with: head), bytes.last == .newline, let end = bytes.dropLast().lastIndex(of: .newline),
            end + 1 >= head.count,
            bytes[(end + 1)...].elementsEqual("end \(checksum(Array(bytes[...end])))\n".utf8)
        else { return nil }
        var answers: [String: Int] = [:]
        for line in bytes[head.count..<(end + 1)].split(separator: .newline) {
            guard let blank = line.firstIndex(of: .blank), let value = Int(String(decoding: line[..<blank], as: UTF8.self)),
                value >= none, value < limit
            else { return nil }
            answers[String(decoding: line[(blank + 1)...], as: UTF8.self)] = value
        }
        return answers
    }

    private static func checksum(_ bytes: [UInt8]) -> String {
        // The array outlives the call, which only reads.
        let sum = unsafe bytes.withUnsafeBytes { unsafe ccodec_crc32c(0, $0.baseAddress, $0.count) }
        return String(sum, radix: 16)
    }

    private static func hexByte(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }
}
