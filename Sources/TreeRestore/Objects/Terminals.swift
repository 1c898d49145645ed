internal import CheckpointImage
internal import Kernel
internal import RestorePlan

/// Makes the ptys of an image, with their settings and what waited in them. The tasks inherit both ends.
enum Terminals {
    /// - Preconditions: runs in the inner half; no process uses what stands at the numbers of `high`.
    static func make(_ plan: RestorePlan) throws(SystemError) {
        let all = plan.valid.image.terminals
        var left = all.indices.filter { !all[$0].outside }
        // First those that can have their old numbers: the others take any that is free.
        for place in left {
            guard let master = try Pty.open(number: all[place].number) else { continue }
            try make(all[place], master.number, at: place, plan.high)
            left.removeAll { $0 == place }
        }
        for place in left {
            let master = try Pty.open()
            try make(all[place], master.number, at: place, plan.high)
        }
    }

    private static func make(
        _ terminal: ImageTerminal, _ master: Int32, at place: Int, _ high: RestorePlan.HighDescriptors
    ) throws(SystemError) {
        let size = [terminal.rows, terminal.columns, terminal.width, terminal.height].flatMap {
            [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)]
        }
        let settings = TerminalSettings(terminal.settings.asBytes)
        try TerminalControl.set(master, size: size)
        if terminal.slaveUnused {
            // To open the slave would be to use it.
            if let settings { try TerminalControl.set(master, settings: settings.bytes) }
        } else {
            let slave = try Pty.openSlave(of: master)
            if let settings {
                let contents = Pty.Contents(
                    input: terminal.input.asBytes, lineEnds: terminal.lineEnds, output: terminal.output.asBytes,
                    held: Pty.Hold(rawValue: UInt8(truncatingIfNeeded: terminal.held)) ?? .none)
                try Pty.put(contents, into: master, slave.number, settings)
                Pty.give(slave.number, owner: terminal.owner, group: terminal.group, mode: terminal.mode)
            }
            try DescriptorTable.place(slave.number, at: high.terminalSlave(place))
        }
        if terminal.packets { try Pty.setPackets(master, true) }
        try DescriptorTable.place(master, at: high.terminal(place))
    }
}
