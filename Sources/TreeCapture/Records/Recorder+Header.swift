internal import ArchState
internal import CheckpointImage
internal import Kernel

extension Recorder {
    /// Fills in the header: all of it, here alone.
    ///
    /// - Preconditions: the processes are in their order, the root first.
    mutating func recordHeader() {
        let host = sight.host
        records.header.formatVersion = ImageFormat.version
        records.header.toolVersion = ToolVersion.current
        records.header.kernelRelease = host.kernelRelease
        records.header.kernelVersion = host.kernelVersion
        records.header.hostName = host.name
        records.header.bootID = host.bootID
        records.header.architecture = host.architecture
        records.header.pageSize = UInt32(host.pageSize)
        records.header.root = records.processes.first?.pid ?? 0
        records.header.outsideSession = outsideSession
        records.header.outsideGroup = outsideGroup
        records.header.cpuFeaturesInUse = featuresInUse
        records.header.begin.realtime = sight.instant.realtime
        records.header.begin.monotonic = sight.instant.monotonic
        records.header.begin.boottime = sight.instant.boottime
        let offer = (try? CPUOffer(leaves: host.processorLeaves)) ?? CPUOffer(features: CPUOffer.everywhere)
        records.header.cpuFeaturesOffered = offer.features.rawValue
        records.header.cpuInstructionsOffered = offer.instructions.rawValue
        if let vdso = host.vdso { records.header.vdso = Self.record(vdso) }
        if records.addressSpaces.contains(where: \.is32Bit), let compat = host.compatVdso {
            records.header.vdso32 = Self.record(compat)
        }
        if let lock = sight.lock {
            records.header.lock.id = lock.id
            records.header.lock.connections = UInt32(clamping: lock.connections)
        }
        records.header.cgroupSets = sight.cgroups.map { seen in
            var set = ImageCgroupSet()
            set.cgroups = seen.text.value.all.map { membership in
                var cgroup = ImageCgroup()
                cgroup.hierarchy = membership.hierarchy
                cgroup.path = membership.pathBytes.asData
                return cgroup
            }
            return set
        }
    }

    private static func record(_ seen: VdsoSight) -> ImageVdso {
        var vdso = ImageVdso()
        vdso.dataSize = UInt32(truncatingIfNeeded: seen.dataSize)
        vdso.codeSize = UInt32(truncatingIfNeeded: seen.codeSize)
        vdso.checksum = seen.checksum
        vdso.code = seen.code.bytes.asData
        return vdso
    }
}
