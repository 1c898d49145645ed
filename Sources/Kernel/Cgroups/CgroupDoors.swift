internal import LinuxABI

/// Moves tasks into control groups. The file of each group is opened once and kept open.
package final class CgroupDoors {
    private var descriptors: [[UInt8]: Int32] = [:]

    package init() {}

    deinit { for number in descriptors.values { _ = Descriptor(owning: number) } }

    /// - Parameter forThread: the task alone, not its whole process.
    package func put(_ task: Int32, into directory: CgroupDirectory, forThread: Bool) throws(SystemError) {
        try FaultPoint.cgroupMove.pass("write")
        let path = directory.entrance(forThread: forThread)
        let number: Int32
        if let known = descriptors[path] { number = known } else {
            number = try Descriptor.open(path, Int32(OpenFlag.O_WRONLY)).release()
            descriptors[path] = number
        }
        let file = Descriptor(owning: number)
        do throws(SystemError) { try file.write(Array(String(task).utf8)) } catch {
            _ = file.release()
            throw error
        }
        _ = file.release()
    }
}
