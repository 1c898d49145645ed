package import ArchState

extension CPUOffer {
    /// What the source host offered to programs.
    package init(_ header: ImageHeader) {
        self.init(
            features: CPUFeatureSet(rawValue: header.cpuFeaturesOffered),
            instructions: X86InstructionSets(rawValue: header.cpuInstructionsOffered))
    }
}
