/// The whole CPU state of one x86 thread, 64-bit or 32-bit: what an image holds of it.
///
/// The state is a mask of features and one record for each feature that the thread has state in.
/// A value made from an image has passed every rule; one made from a live thread is checked by
/// `validated()` before it is written, so that an image never holds what a restart would refuse.
package struct CPUState: Equatable, Sendable {
    package var general: X86GeneralRegisters
    package var extended: X86ExtendedState
    package var debug: X86DebugRegisters?
    package var tls: X86TLSDescriptors?
    package var shadowStack: X86ShadowStack?

    /// The state of a live thread. Debug registers and descriptors that hold nothing are left out.
    package init(
        generalRegisters: X86GeneralRegisters,
        extendedState: X86ExtendedState = X86ExtendedState(),
        debugRegisters: X86DebugRegisters? = nil,
        tlsDescriptors: X86TLSDescriptors? = nil,
        shadowStack: X86ShadowStack? = nil
    ) {
        general = generalRegisters
        extended = extendedState
        debug = debugRegisters.flatMap { $0.isInitial ? nil : $0 }
        tls = tlsDescriptors.flatMap { $0.isInitial ? nil : $0 }
        self.shadowStack = shadowStack
    }

    /// The features that the thread has state in.
    package var features: CPUFeatureSet {
        var features = extended.features
        features.insert(.x86General)
        if general.fsBase != 0 || general.gsBase != 0 { features.insert(.x86Bases) }
        if debug != nil { features.insert(.x86Debug) }
        if tls != nil { features.insert(.x86Segments) }
        if shadowStack != nil { features.insert(.x86ShadowStack) }
        return features
    }

    /// One record for each feature, by number.
    package var records: [CPURecord] {
        var records = [CPURecord(.x86General, general.record)] + extended.records
        if let debug { records.append(CPURecord(.x86Debug, debug.record)) }
        if let tls { records.append(CPURecord(.x86Segments, tls.record)) }
        if let bases = general.basesRecord { records.append(CPURecord(.x86Bases, bases)) }
        if let shadowStack { records.append(CPURecord(.x86ShadowStack, shadowStack.record)) }
        return records.sorted { $0.feature < $1.feature }
    }

    /// Takes the records of an image, which may hold anything: the result has passed every rule.
    package init(records: [CPURecord]) throws(ArchStateError) {
        let bodies = try Self.bodies(of: records, architecture: .x86)
        guard let general = bodies[.x86General] else {
            throw ArchStateError(.missingRecord, in: .x86General)
        }
        self.general = try X86GeneralRegisters(record: general, bases: bodies[.x86Bases])
        extended = X86ExtendedState()
        for (feature, body) in bodies.sorted(by: { $0.key < $1.key }) {
            switch feature {
            case .x86General, .x86Bases: break
            case .x86Debug: debug = try X86DebugRegisters(record: body)
            case .x86Segments: tls = try X86TLSDescriptors(record: body)
            case .x86ShadowStack: shadowStack = try X86ShadowStack(record: body)
            default: try extended.load(body, of: feature)
            }
        }
        try validate()
    }

    /// The state itself if it keeps every rule.
    package func validated() throws(ArchStateError) -> CPUState {
        try validate()
        return self
    }

    private func validate() throws(ArchStateError) {
        try general.validate()
        try extended.validate()
        try debug?.validate()
        try tls?.validate()
        try shadowStack?.validate()
    }

    /// Record bodies by feature: known, of one architecture, each once, by number.
    static func bodies(
        of records: [CPURecord], architecture: Architecture
    ) throws(ArchStateError) -> [CPUFeature: [UInt8]] {
        var bodies: [CPUFeature: [UInt8]] = [:]
        var last: UInt32 = 0
        for record in records {
            guard let number = UInt8(exactly: record.feature), let feature = CPUFeature(rawValue: number) else {
                throw ArchStateError(.unknownFeature, detail: "feature number \(record.feature)")
            }
            guard feature.architecture == architecture else {
                throw ArchStateError(.foreignFeature, in: feature, detail: "in a state of \(architecture.rawValue)")
            }
            guard bodies.updateValue(record.body, forKey: feature) == nil else {
                throw ArchStateError(.duplicateRecord, in: feature)
            }
            guard record.feature > last else { throw ArchStateError(.recordOrder, in: feature) }
            last = record.feature
        }
        return bodies
    }
}
