internal import Kernel
internal import LinuxABI
internal import RestorePlan

/// What the user gives the tree by `--fd`: descriptors of crrestart, the null device, or files, opened as a shell would open them.
///
/// They are opened when everything has been checked, and before the first process is forked.
struct GivenDescriptors: ~Copyable {
    /// By choice; -1: nothing.
    private(set) var numbers: [Int32] = []
    private var opened: [Int32] = []

    init(_ chosen: ChosenDescriptors) throws(RestoreError) {
        for (choice, need) in zip(chosen.choices, chosen.needs) {
            guard let need else {
                numbers.append(-1)
                continue
            }
            var flags = need.access | OpenFlag.O_NOCTTY | (need.isNonblocking ? OpenFlag.O_NONBLOCK : 0)
            switch choice.source {
            case .close, .connection: numbers.append(-1)
            case .inherited(let number):
                try Self.requireAccess(number, need, choice)
                numbers.append(Int32(bitPattern: number))
            case .null: try open(Array("/dev/null".utf8), flags, choice)
            case .path(let path, let appends):
                if need.access != OpenFlag.O_RDONLY { flags |= OpenFlag.O_CREAT }
                if appends { flags |= OpenFlag.O_APPEND } else if need.access == OpenFlag.O_WRONLY { flags |= OpenFlag.O_TRUNC }
                try open(path, flags, choice)
            }
        }
    }

    /// Called before anything else of the restart is done: a choice that means nothing is a slip.
    static func requireMeaning(_ chosen: ChosenDescriptors) throws(RestoreError) {
        for (choice, need) in zip(chosen.choices, chosen.needs) where need == nil {
            throw RestoreError("cannot use \(choice.option): EBADF (no process of the tree has that; crimage files shows what they have)", exitStatus: 3)
        }
    }

    private static func requireAccess(_ number: UInt32, _ need: ChosenDescriptors.Need, _ choice: DescriptorChoice) throws(RestoreError) {
        let flags: UInt32
        do throws(SystemError) { flags = try DescriptorTable.flags(of: Int32(bitPattern: number)) } catch {
            throw RestoreError(cannot: "use --fd \(choice.text)", error)
        }
        let has = flags & OpenFlag.O_ACCMODE
        if has == need.access || has == OpenFlag.O_RDWR { return }
        let verb = [OpenFlag.O_RDONLY: "read", OpenFlag.O_WRONLY: "write"][need.access] ?? "read and write"
        throw RestoreError(
            "cannot use --fd \(choice.text): EBADF (the program is to \(verb) there, and descriptor \(number) of crrestart is not open for that)", exitStatus: 3)
    }

    private mutating func open(_ path: [UInt8], _ flags: UInt32, _ choice: DescriptorChoice) throws(RestoreError) {
        do throws(SystemError) {
            let file = try Descriptor.open(path, Int32(bitPattern: flags), mode: 0o666)
            let number = file.release()
            opened.append(number)
            numbers.append(number)
        } catch { throw RestoreError(cannot: "open \(printable(path)) for --fd \(choice.text)", error) }
    }

    deinit { for number in opened { DescriptorTable.close(number) } }
}
