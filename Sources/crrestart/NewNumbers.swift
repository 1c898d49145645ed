import CommandSupport
import LinuxABI
import RestorePlan
import TreeRestore

/// The output of `--no-pids`: the new number for each old one, and the old ones that are still in memory.
enum NewNumbers {
    static func show(_ renumbering: Renumbering, _ kept: [KeptNumber]) {
        var remarks: [UInt32: String] = [:]
        for one in kept where one.place == .threadWord {
            remarks[one.new] = "its C library goes on calling it \(one.old) (0x\(String(one.address, radix: 16)))"
        }
        for line in renumbering.lines(remarks: remarks) { Messages.error(line) }
        for one in kept where one.place == .heldMutex {
            Messages.error(
                "\(one.new) \(one.command) holds a robust mutex as \(one.old) (0x\(String(one.address, radix: 16))): if it ends without unlocking it, no waiter is told")
        }
        if !remarks.isEmpty {
            Messages.error("pthread_kill, pthread_cancel, robust and priority-inheriting mutexes use the number that the C library has noted")
        }
        Messages.error(
            "programs keep old numbers in memory and in files, for instance $$ and $! of a shell, and in lock files")
    }

    /// Two members of an object.
    static func json(_ renumbering: Renumbering, _ kept: [KeptNumber]) -> String {
        let numbers = renumbering.pairs.map {
            "{\"old\": \($0.old), \"new\": \($0.new), \"command\": \(jsonString($0.title))}"
        }
        let places = kept.map { one in
            "{\"old\": \(one.old), \"new\": \(one.new), \"pid\": \(one.process), \"address\": \"0x\(String(one.address, radix: 16))\", \"place\": \"\(name(one.place))\"}"
        }
        return
            "\"numbers\": [\(numbers.joined(separator: ", "))], \"kept\": [\(places.joined(separator: ", "))], "
    }

    private static func name(_ place: KeptNumber.Place) -> String {
        switch place {
        case .threadWord: "thread word"
        case .heldMutex: "robust mutex"
        }
    }
}
