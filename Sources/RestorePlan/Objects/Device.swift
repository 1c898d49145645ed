import CheckpointImage
import LinuxABI
import StepProgram

/// Devices without a state of their own, or only with a position, are opened again by name.
enum DevicePlan: ObjectPlan {
    static func check(_ file: PlannedFile<ImageDeviceFile>, _ host: ObjectHost, _ findings: inout HostFindings) {
        FileCheck(host.facts).checkOpen(file.state.identity, host.holders.request(file.file, file.state.identity), by: host.place(of: file.file), &findings)
    }

    static func make(_ bundle: [PlannedFile<ImageDeviceFile>], _ program: inout Program, _ builder: inout PlanBuilder) {
        for file in bundle {
            builder.openAgain(&program, file.file, file.state.identity, as: file.number)
            skipMessages(file, &program, &builder)
        }
    }

    /// Goes to where a reader of kernel messages was. After another boot all messages are new to it.
    ///
    /// - Source: Documentation/ABI/testing/dev-kmsg: SEEK_END is behind the last message, and each read gives one.
    private static func skipMessages(
        _ file: PlannedFile<ImageDeviceFile>, _ program: inout Program, _ builder: inout PlanBuilder
    ) {
        guard file.state.readMessages != 0, builder.image.header.bootID == builder.facts.bootID else { return }
        let known = builder.facts.kernelMessages
        let read = known.count { $0 < file.state.readMessages }
        if read == known.count {
            program.call(.lseek, [.number(file.number), 0, .value(Seek.SEEK_END)], check: .equals(0), "all messages have been read")
            return
        }
        let room = builder.room(messageSize)
        for _ in 0..<read {
            builder.readAway(&program, file.number, room, messageSize, "a message that has been read")
        }
    }

    /// The longest record that a read gives. Source: kernel/printk/internal.h, `PRINTK_MESSAGE_MAX`.
    private static let messageSize = 8192
}
