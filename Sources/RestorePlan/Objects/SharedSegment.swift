package import CheckpointImage
import LinuxABI
import StepProgram

extension HostFacts {
    /// A System V shared memory segment of this host.
    package struct SharedSegment: Sendable {
        package var key: UInt32
        package var size: UInt64
        /// Mappings of it in all processes.
        package var attached: UInt64
        package var rights: SemaphoreSet.Rights

        package init(key: UInt32, size: UInt64, attached: UInt64, rights: SemaphoreSet.Rights) {
            self.key = key
            self.size = size
            self.attached = attached
            self.rights = rights
        }
    }
}

/// What is done with a System V shared memory segment before the tree is made.
///
/// A segment outlives the processes that have it attached, unless it has been removed. One that still exists, and that no process
/// has attached, gets the contents of the image; one that does not exist any more is made again with its number.
package struct SharedSegmentPlan: Sendable, Equatable {
    package let object: UInt32
    package let segment: ImageSharedSegment
    package let isMade: Bool

    /// Nil: the segment cannot be used or made here, and there is a finding.
    ///
    /// - Parameter credentials: of the tree's threads. An image can claim anything: what none of them may change is left alone.
    init?(
        _ object: ImageMemoryObject, _ facts: HostFacts, by credentials: [ImageCredentials], _ find: (String, String, String) -> Void
    ) {
        self.object = object.id
        segment = object.segment
        let name = "System V shared memory \(segment.number)" + (segment.key == 0 ? "" : " (key 0x\(String(segment.key, radix: 16)))")
        let remove = "ipcrm -m \(segment.number) removes that one"
        if let here = facts.sharedSegments[segment.number] {
            isMade = false
            if here.attached > 0 {
                find(name, "its number belongs to a segment that is attached here (\(here.attached) times)", "end the processes that ipcs -mp shows")
                return nil
            }
            if here.key != segment.key || here.size != object.size || segment.removed {
                find(name, "its number belongs to another segment here", remove)
                return nil
            }
            if !credentials.contains(where: here.rights.letChange) {
                find(name, "belongs to user \(here.rights.owner), and no task of the tree may change it", remove)
                return nil
            }
            return
        }
        isMade = true
        if segment.key != 0, let other = facts.sharedSegments.first(where: { $0.value.key == segment.key })?.key {
            find(name, "its key belongs to segment \(other) here", "ipcrm -m \(other) removes that one")
            return nil
        }
        if !facts.mayChooseSegmentNumbers {
            find(name, "is gone, and cannot be made again with its number", "CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN is needed: be root")
            return nil
        }
    }
}

extension PlanBuilder {
    /// Attaches a segment where its first byte lies. What follows is attached with that.
    ///
    /// - Source: shmop(2).
    mutating func attach(_ program: inout Program, _ mapping: ImageMapping, _ segment: ImageSharedSegment) {
        let isReadOnly = !mapping.has(.mayWrite)
        if mapping.offset == 0 {
            program.call(
                .shmat, [.number(segment.number), .value(mapping.start), .value(isReadOnly ? IPC.SHM_RDONLY : 0)],
                check: .equals(Int64(bitPattern: mapping.start)), "System V shared memory \(segment.number)")
        }
        let given = Protection.PROT_READ | (isReadOnly ? 0 : Protection.PROT_WRITE)
        if UInt64(mapping.protection) != given {
            program.call(.mprotect, [.value(mapping.start), .value(mapping.end - mapping.start), .number(mapping.protection)])
        }
    }
}
