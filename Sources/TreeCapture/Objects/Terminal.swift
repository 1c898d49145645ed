internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// Terminals. One whose master the tree holds is a pty of its own, and is saved; any other belongs to a process outside, and the
/// terminal of crrestart takes its place.
///
/// Details: `terminal`, its number, the same for all open files of one terminal; `inside`, where the tree holds its master; `hung`,
/// where it has been hung up. At the first open file of each terminal also `device`, `settings`, `size`, and for a pty `pty` (its
/// number), `session` (as seen from here), `exclusive`, `locked`, `packets`, `unused`, `early`, `input`, `lineEnds`, `output`,
/// `held`, `fileOwner`, `fileGroup`, `fileMode`.
enum TerminalEnd: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool {
        sight.status.kind == .characterDevice && sight.status.isTerminal && !sight.isPathOnly
    }

    // MARK: - Look

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        // A tree that is looked at while it runs would lose what waits in its ptys.
        let standsStill = tree.sight.processes.first?.stat.value.state == UInt8(ascii: "t")
        if standsStill && sights.contains(where: \.status.isTerminalMaster) { Pty.awaitTurn() }
        var order: [UInt32] = []
        var files: [UInt32: [Int]] = [:]
        var number: UInt64 = 0
        for index in sights.indices {
            do throws(SystemError) {
                let copy = try Descriptor.open(task: sights[index].holder.rawValue).duplicate(remote: sights[index].number)
                let device = try TerminalControl.device(copy.number)
                if files[device] == nil { order.append(device) }
                files[device, default: []].append(index)
            } catch {
                if error.number != Errno.EIO {
                    sights[index].fail(error)
                    continue
                }
                // Of a terminal that has been hung up nothing can be told, nor does anything matter.
                number += 1
                sights[index].details["hung"] = "1"
                sights[index][number: "terminal"] = number
            }
        }
        for device in order {
            guard let places = files[device] else { continue }
            number += 1
            let master = places.first { sights[$0].status.isTerminalMaster }
            for place in places {
                sights[place][number: "terminal"] = number
                if master != nil { sights[place].details["inside"] = "1" }
            }
            let first = places[0]
            sights[first][number: "device"] = UInt64(device)
            do throws(SystemError) {
                let seen = sights[master ?? first]
                let copy = try Descriptor.open(task: seen.holder.rawValue).duplicate(remote: seen.number)
                sights[first].details["settings"] = RawText(try TerminalControl.settings(copy.number))
                sights[first].details["size"] = RawText(try TerminalControl.size(copy.number))
                guard master != nil else { continue }
                let slave = places.first { !sights[$0].status.isTerminalMaster }
                let isHeld = slave != nil || tree.sight.processes.contains { UInt32(bitPattern: $0.stat.value.terminal) == device }
                try look(&sights[first], copy.number, isHeld: isHeld, standsStill)
                guard let slave else { continue }
                let end = try Descriptor.open(task: sights[slave].holder.rawValue).duplicate(remote: sights[slave].number)
                if try Pty.isExclusive(end.number) { sights[first].details["exclusive"] = "1" }
                // Not of /dev/tty.
                if sights[slave].status.specialDevice.majorNumber == DeviceMajor.TTYAUX_MAJOR { continue }
                sights[first].noteOwner(sights[slave].status)
            } catch { sights[first].fail(error) }
        }
    }

    /// - Parameter isHeld: the tree has the slave open.
    private static func look(_ sight: inout OpenFileSight, _ master: Int32, isHeld: Bool, _ standsStill: Bool) throws(SystemError) {
        let number = try Pty.number(of: master)
        sight[number: "pty"] = UInt64(number)
        if let session = TerminalControl.session(master), session != 0 { sight[number: "session"] = UInt64(UInt32(bitPattern: session)) }
        let isLocked = try Pty.isLocked(master)
        if isLocked { sight.details["locked"] = "1" }
        if try Pty.hasPackets(master) { sight.details["packets"] = "1" }
        if let file = try? FileStatus(of: "/dev/pts/\(number)") { sight.noteOwner(file) }
        if !isHeld && !Pty.hasLostSlave(master) {
            sight.details["unused"] = "1"
            // Only an echo can be there: bytes wait which only a slave that is opened for the first time would show.
            if Pty.hasOutput(master) { sight.details["early"] = "1" }
            return
        }
        guard standsStill else { return }
        let contents = try Pty.contents(of: master)
        if !contents.input.isEmpty { sight.details["input"] = RawText(contents.input) }
        if !contents.output.isEmpty { sight.details["output"] = RawText(contents.output) }
        if !contents.lineEnds.isEmpty {
            sight.details["lineEnds"] = RawText(Array(contents.lineEnds.map(String.init).joined(separator: " ").utf8))
        }
        if contents.held != .none { sight[number: "held"] = UInt64(contents.held.rawValue) }
    }

    // MARK: - Record

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        if let failure = sight.failure {
            return .refused("is a terminal that cannot be looked at: \(failure.errno)", help: failure.call)
        }
        guard let number = sight[number: "terminal"].map({ UInt32(truncatingIfNeeded: $0) }) else {
            if sight.status.isTerminalMaster { return .refused("is the master of a pseudo-terminal that cannot be looked at") }
            var object = Outside.standIn(for: recorder.places[id - 1], sight.target.shown)
            object.terminal = true
            return .object(.outside(object))
        }
        let isInside = sight.details["inside"] != nil || sight.details["hung"] != nil
        if !recorder.records.terminals.contains(where: { $0.id == number }) {
            switch terminal(sight, number, isInside: isInside, recorder) {
            case .terminal(let record): recorder.records.terminals.append(record)
            case .refused(let refusal): return .refused(refusal.reason, help: refusal.help)
            }
        }
        if isInside {
            var end = ImageTerminalEnd()
            end.terminal = number
            end.master = sight.status.isTerminalMaster
            return .object(.terminal(end))
        }
        var object = Outside.standIn(for: recorder.places[id - 1], sight.target.shown)
        object.terminal = true
        object.terminalID = number
        return .object(.outside(object))
    }

    private enum Recorded {
        case terminal(ImageTerminal)
        case refused(Refusal)
    }

    /// - Parameter sight: the first open file of the terminal.
    private static func terminal(
        _ sight: OpenFileSight, _ number: UInt32, isInside: Bool, _ recorder: FileRecorder
    ) -> Recorded {
        var terminal = ImageTerminal()
        terminal.id = number
        terminal.outside = !isInside
        if sight.details["hung"] != nil { return .terminal(terminal) }
        let device = sight[number: "device"] ?? 0
        let users = recorder.sight.processes.filter { UInt32(bitPattern: $0.stat.value.terminal) == device && device != 0 }
        if let leader = users.first(where: { $0.stat.value.session == $0.pid.rawValue }) {
            terminal.session = recorder.numbers.process(leader.pid) ?? 0
        } else if isInside, let session = sight[number: "session"] {
            return .refused(
                Refusal(
                    "is the master of /dev/pts/\(sight[number: "pty"] ?? 0), the controlling terminal of session \(session), which is not in the tree",
                    help: "checkpoint a tree that holds both"))
        }
        if let group = users.first?.stat.value.terminalGroup, group > 0 { terminal.foreground = recorder.numbers.group(HostPid(group)) ?? 0 }
        if let settings = sight.details["settings"]?.bytes, isInside || terminal.foreground != 0 || terminal.session != 0 {
            if let known = TerminalSettings(settings), known.lineDiscipline != 0 {
                return .refused(
                    Refusal(
                        "is the terminal \(sight.target.shown) with line discipline \(known.lineDiscipline), which cannot be saved yet",
                        help: "end the protocol that runs over it"))
            }
            terminal.settings = settings.asData
        }
        if let size = sight.details["size"]?.bytes, size.count == TerminalControl.windowSize {
            func word(_ at: Int) -> UInt32 { UInt32(size[at]) | UInt32(size[at + 1]) << 8 }
            (terminal.rows, terminal.columns, terminal.width, terminal.height) = (word(0), word(2), word(4), word(6))
        }
        guard isInside else { return .terminal(terminal) }
        if sight.details["early"] != nil {
            return .refused(
                Refusal(
                    "is the master of /dev/pts/\(sight[number: "pty"] ?? 0), to which bytes were written before any process opened the terminal",
                    help: "checkpoint when the program that is to read them has opened it"))
        }
        terminal.number = UInt32(truncatingIfNeeded: sight[number: "pty"] ?? 0)
        terminal.exclusive = sight.details["exclusive"] != nil
        terminal.locked = sight.details["locked"] != nil
        terminal.packets = sight.details["packets"] != nil
        terminal.slaveUnused = sight.details["unused"] != nil
        terminal.input = (sight.details["input"]?.bytes ?? []).asData
        terminal.output = (sight.details["output"]?.bytes ?? []).asData
        terminal.lineEnds = (sight.details["lineEnds"]?.bytes ?? []).split(separator: UInt8(ascii: " ")).compactMap { UInt32(String(decoding: $0, as: UTF8.self)) }
        terminal.held = UInt32(truncatingIfNeeded: sight[number: "held"] ?? 0)
        terminal.owner = UInt32(truncatingIfNeeded: sight[number: "fileOwner"] ?? 0)
        terminal.group = UInt32(truncatingIfNeeded: sight[number: "fileGroup"] ?? 0)
        terminal.mode = UInt32(truncatingIfNeeded: sight[number: "fileMode"] ?? 0o620)
        return .terminal(terminal)
    }
}

extension OpenFileSight {
    fileprivate mutating func noteOwner(_ file: FileStatus) {
        self[number: "fileOwner"] = UInt64(file.owner)
        self[number: "fileGroup"] = UInt64(file.group)
        self[number: "fileMode"] = UInt64(file.mode & 0o777)
    }
}
