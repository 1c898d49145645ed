import CheckpointImage
import LinuxABI
import StepProgram

/// Open files that were let through a checkpoint, or that the user replaces: a descriptor of crrestart becomes theirs, see
/// ``DescriptorChoice``, or they are connected anew, see ``ExternalConnection``.
enum ExternalPlan: ObjectPlan {
    static func check(_ file: PlannedFile<ImageExternalFile>, _ host: ObjectHost, _ findings: inout HostFindings) {
        if let choice = host.given.choice(of: file.file.id) {
            if choice.source == .connection { return ExternalConnection.check(file, choice, host, &findings) }
            guard !choice.source.canBeWatched, let epoll = watcher(of: file.file.id, host.image) else { return }
            return findings.find(
                "--fd \(choice.text)", "epoll \(epoll) watches this descriptor, and a file or the null device cannot be watched",
                help: "--fd \(choice.place)=close, or --fd \(choice.place)=fd:M for descriptor M of crrestart, a pipe")
        }
        if host.given.isAssumed { return }
        let name = file.state.identifier.asText
        let number = host.image.firstDescriptor(of: file.file.id)?.number
        let what = file.state.description_p.isEmpty ? "" : " was \(file.state.description_p.asText), and"
        let again = file.state.hasConnection ? "; --reconnect '\(name)' connects it with \(ImageUnixSocket.shown(file.state.connection.address)) again" : ""
        let help =
            number.map { "--fd \($0)=null, --fd \($0)=close, --fd \($0)=/path, --fd \($0)=append:/path, or --fd 'M=\(name)' for descriptor M of crrestart" }
            ?? "--fd 'M=\(name)' for descriptor M of crrestart"
        findings.find(name, "\(host.place(of: file.file))\(what) nothing is in its place", help: help + again)
    }

    private static func watcher(of file: UInt32, _ image: CheckpointImage) -> UInt32? {
        image.openFiles.first { one in
            if case .epoll(let epoll)? = one.object { epoll.registrations.contains { $0.file == file } } else { false }
        }?.id
    }

    /// Where it is only assumed that something is given no step is ever run.
    static func make(_ bundle: [PlannedFile<ImageExternalFile>], _ program: inout Program, _ builder: inout PlanBuilder) {
        for file in bundle {
            guard let index = builder.given.files[file.file.id] else { continue }
            if builder.given.choices[index].source == .connection {
                ExternalConnection.make(file, &program, &builder)
                continue
            }
            program.call(
                .dup3, [.number(builder.high.given(index)), .number(file.number), .value(PlanBuilder.cloexec)],
                check: .equals(Int64(file.number)), "--fd \(builder.given.choices[index].text)")
        }
    }
}

extension PlanBuilder {
    var given: ChosenDescriptors { valid.options.given }
}
