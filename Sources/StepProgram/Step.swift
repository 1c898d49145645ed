/// One checked system call, or one of the three other operations of the step loop.
///
/// A step is data: it is built, printed, compared and encoded without being run.
package struct Step: Sendable, Equatable {
    package enum Operation: Sendable, Equatable {
        case call(SystemCall)
        /// A call of the i386 table, made by `int $0x80`: its arguments have 32 bits.
        case call32(SystemCall32)
        /// Wait until the 32-bit word at argument 0 has reached argument 1.
        case wait
        /// Increment the 32-bit word at argument 0 and wake all tasks that wait for it.
        case advance
        /// Leave the loop (a checkpoint's programs only).
        case end
    }

    package enum Argument: Sendable, Equatable {
        case value(UInt64)
        /// The result of an earlier step of the same program.
        case result(of: Int)
        /// What eight bytes at an address hold when the step runs (written by an earlier step).
        case stored(at: UInt64)
        /// The address of another task's program, or of its status slot.
        case program(Int)
        case slot(Int)
    }

    /// The result that the loop accepts. Any other result is a failure of the step, and of the restart.
    package enum Check: Sendable, Equatable {
        case none
        case noError
        case equals(Int64)
    }

    package var operation: Operation
    package var arguments: [Argument]
    package var check: Check
    /// What the step does to which object, in words for `--dry-run` and errors.
    package var note: String

    package init(_ operation: Operation, _ arguments: [Argument], check: Check, note: String) {
        precondition(arguments.count <= 6, "a system call has six arguments at most")
        self.operation = operation
        self.arguments = arguments
        self.check = check
        self.note = note
    }
}

extension Step.Argument: ExpressibleByIntegerLiteral {
    package init(integerLiteral value: UInt64) { self = .value(value) }

    /// A signed or narrower value, sign-extended as a C caller would.
    package static func signed(_ value: Int64) -> Self { .value(UInt64(bitPattern: value)) }
    package static func number(_ value: some BinaryInteger) -> Self { .value(UInt64(truncatingIfNeeded: value)) }
}

/// The program of one task: its steps in order.
package struct Program: Sendable {
    /// The task in words, e.g. `4711 bash`.
    package var title: String
    package var steps: [Step] = []
    /// Whether notes are made. A program that is neither run nor printed needs none, and most of the work is in them.
    private let hasNotes: Bool

    package init(title: String, hasNotes: Bool = true) {
        self.title = title
        self.hasNotes = hasNotes
    }

    /// Appends a system call; its index can be used as `.result(of:)` by later steps.
    @discardableResult
    package mutating func call(
        _ call: SystemCall, _ arguments: [Step.Argument] = [], check: Step.Check = .noError, _ note: @autoclosure () -> String = ""
    ) -> Int {
        steps.append(Step(.call(call), arguments, check: check, note: hasNotes ? note() : ""))
        return steps.count - 1
    }

    /// Appends a call of the i386 table, for state that the kernel keeps differently for 32-bit programs.
    ///
    /// - Precondition: every argument is below 4 GiB: the kernel takes only its lower half.
    @discardableResult
    package mutating func call32(
        _ call: SystemCall32, _ arguments: [Step.Argument] = [], check: Step.Check = .noError, _ note: @autoclosure () -> String = ""
    ) -> Int {
        for case .value(let value) in arguments { precondition(value >> 32 == 0, "a 32-bit argument") }
        steps.append(Step(.call32(call), arguments, check: check, note: hasNotes ? note() : ""))
        return steps.count - 1
    }

    package mutating func wait(for word: UInt64, toReach value: UInt32, _ note: @autoclosure () -> String) {
        steps.append(Step(.wait, [.value(word), .number(value)], check: .none, note: hasNotes ? note() : ""))
    }

    package mutating func advance(_ word: UInt64, _ note: @autoclosure () -> String) {
        steps.append(Step(.advance, [.value(word)], check: .none, note: hasNotes ? note() : ""))
    }

    package mutating func end() { steps.append(Step(.end, [], check: .none, note: "back to the stub")) }
}
