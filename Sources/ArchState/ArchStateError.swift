/// A CPU state that is refused: by which rule, in which feature, and what was found there.
package struct ArchStateError: Error, Equatable, Sendable {
    /// One reason to refuse. Each has a test of its own.
    package enum Rule: String, CaseIterable, Sendable {
        // Records of any architecture
        case unknownFeature = "feature is not known to this version"
        case foreignFeature = "feature belongs to another architecture"
        case duplicateRecord = "feature appears twice"
        case missingRecord = "a required record is missing"
        case recordSize = "record has the wrong size"
        case recordVersion = "record has an unknown version"
        case recordOrder = "records are not in the order of their numbers"
        case reservedBits = "reserved bits are set"
        case contradiction = "records contradict each other"
        case notInUse = "record holds the initial state, which is never recorded"

        // Register sets as the kernel gives them
        case registerSetSize = "register set has the wrong size"
        case registerSetHeader = "register set has a header that cannot be right"
        case unknownSelector = "segment selector is none that a program is given"
        case unknownComponent = "extended state has a component that cannot be recorded"

        // The host's layout
        case layoutMissing = "processor does not describe its extended state"
        case layoutInconsistent = "processor describes its extended state inconsistently"
        case notOffered = "this processor does not have it"

        // General registers
        case privilegedFlags = "flags are set that a program cannot set"
        case fixedFlags = "flags are clear that are always set"
        case segmentRange = "segment is not one of the symbolic ones"
        case nullCodeSegment = "code segment is null"
        case codeSegment = "code segment is not a code segment"
        case stackSegment = "stack segment is not a data segment"
        case instructionPointer = "instruction pointer is not in user space"
        case basePointer = "segment base is not in user space"

        // Vector state
        case controlRegister = "control register has bits outside of its mask"
        case tileConfiguration = "tile configuration is not one that LDTILECFG would load"
        case vectorLength = "vector length is none that the architecture has"
        case registerWidth = "register has a width that the architecture lacks, or a value beyond it"

        // Debug registers, descriptors, shadow stack
        case debugAddress = "debug address is not in user space or not aligned to its length"
        case debugControl = "debug control has bits that ptrace does not allow"
        case descriptor = "descriptor is neither empty nor a present 32-bit data segment of privilege 3"
        case shadowStackPointer = "shadow stack pointer is not an aligned user-space address"
    }

    package var rule: Rule
    package var feature: CPUFeature?
    /// What was found: a register and its value, a size, a number.
    package var detail: String

    package init(_ rule: Rule, in feature: CPUFeature? = nil, detail: String = "") {
        self.rule = rule
        self.feature = feature
        self.detail = detail
    }
}

extension ArchStateError: CustomStringConvertible {
    package var description: String {
        let subject = feature.map { "\($0.name): " } ?? ""
        return "cannot use CPU state: \(subject)\(rule.rawValue)\(detail.isEmpty ? "" : " (\(detail))")"
    }
}

/// A value as error texts show it.
func hex(_ value: some BinaryInteger) -> String { "0x" + String(value, radix: 16) }
