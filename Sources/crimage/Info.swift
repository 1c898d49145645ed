internal import ArchState
internal import ArgumentParser
internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import LinuxABI

/// `crimage info`: the version and host that made the image, when, and how much it holds.
struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Shows where the image comes from and how much it holds.")

    @OptionGroup var argument: ImageArgument

    func run() throws {
        try reporting(argument.path) {
            let loaded = try argument.load()
            print(table(rows(loaded)), terminator: "")
            print("\nasks for\n" + table(Demands(image: loaded.image).rows, indent: "  "), terminator: "")
            print(processor(loaded.image.header), terminator: "")
        }
    }

    /// The processor features that the threads use, and those that the source host and this one offer.
    private func processor(_ header: ImageHeader) -> String {
        let inUse = CPUFeatureSet(rawValue: header.cpuFeaturesInUse)
        let there = CPUOffer(header)
        let isOurs = header.architecture == KernelIdentity.current().machine
        let here = isOurs ? HostCPU.offer : CPUOffer(features: [])
        return "\n" + CPUCompatibility(inUse: inUse, offeredThere: there, offeredHere: here).table + "\n"
    }

    private func rows(_ loaded: LoadedImage) -> [[String]] {
        let image = loaded.image
        let header = image.header
        let zombies = image.processes.count { $0.state == .zombie }
        let stopped = image.processes.count { $0.state == .stopped }
        let states = [
            stopped > 0 ? "\(stopped) stopped" : nil, zombies > 0 ? counted(zombies, "zombie") : nil,
        ]
        .compactMap { $0 }
        let inFlight = image.pipes.flatMap(\.contents).reduce(0) { $0 + $1.count }
        return [
            ["image", argument.path == "-" ? "stdin" : printable(Array(argument.path.utf8))],
            ["size", size(loaded.size)],
            ["identity", header.identity.isEmpty ? "none" : hexadecimal(header.identity.asBytes)],
            ["format version", "\(header.formatVersion)"],
            ["tool version", text(header.toolVersion)],
            ["taken", utc(header.begin.realtime)],
            ["clocks then", clocks(image)],
            ["host", text(header.hostName)],
            ["kernel", "\(text(header.kernelRelease)) \(text(header.kernelVersion))"],
            ["architecture", text(header.architecture)],
            ["root", "\(image.root.pid) \(loaded.commandLine(of: image.root))"],
            [
                "processes",
                "\(image.processes.count)" + (states.isEmpty ? "" : " (\(states.joined(separator: ", ")))"),
            ],
            ["threads", "\(image.threads.count)"],
            [
                "memory",
                "\(size(image.pageCount * UInt64(ImageFormat.pageSize))) saved of "
                    + counted(image.addressSpaces.count, "address space")
                    + (image.memoryObjects.isEmpty
                        ? "" : " and \(counted(image.memoryObjects.count, "memory object"))"),
            ],
        ] + stored(loaded) + [
            ["open files", "\(image.openFiles.count)"],
            [
                "pipes",
                "\(image.pipes.count)" + (inFlight > 0 ? " (\(size(UInt64(inFlight))) in flight)" : ""),
            ],
        ] + cgroups(image)
    }

    /// What the pages take in the file, and which images have those that are left out.
    private func stored(_ loaded: LoadedImage) -> [[String]] {
        let sections = loaded.image.pageSections.filter(\.isChunked)
        var rows: [[String]] = []
        if !sections.isEmpty {
            let (stored, all) = (sections.reduce(0) { $0 + $1.storedBytes }, sections.reduce(0) { $0 + $1.byteCount })
            rows.append(["in the file", "\(size(stored)) for \(size(all)) of memory"])
        }
        var wanted = loaded.image.header
        var parent = loaded.parent
        while wanted.hasParent {
            let isFirst = !rows.contains { $0[0] == "needs" }
            let identity = hexadecimal(wanted.parent.identity.asBytes)
            rows.append([isFirst ? "needs" : "", "\(wanted.parent.name.asText), \(identity)\(parent == nil ? " (missing)" : "")"])
            guard let next = parent else { break }
            (wanted, parent) = (next.image.header, next.parent)
        }
        if let error = loaded.parentError { rows.append(["", error.cause]) }
        return rows
    }

    private func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// One row for each set of control groups; the top group of a hierarchy is left out.
    private func cgroups(_ image: CheckpointImage) -> [[String]] {
        var processes = [Int](repeating: 0, count: image.header.cgroupSets.count)
        var threads = processes
        for process in image.processes where process.cgroupSet != 0 { processes[Int(process.cgroupSet) - 1] += 1 }
        for thread in image.threads where thread.cgroupSet != 0 { threads[Int(thread.cgroupSet) - 1] += 1 }
        return image.header.cgroupSets.enumerated().map { index, set in
            let places = set.cgroups.filter { $0.path != Array("/".utf8).asData }.map { cgroup in
                "\(cgroup.hierarchy.isEmpty ? "v2" : text(cgroup.hierarchy)):\(cgroup.path.asText)"
            }
            let members = [
                processes[index] > 0 ? counted(processes[index], "process", "processes") : nil,
                threads[index] > 0 ? counted(threads[index], "thread") : nil,
            ].compactMap { $0 }
            return [
                index == 0 ? "cgroups" : "", (places.isEmpty ? "/" : places.joined(separator: " ")) + " (\(members.joined(separator: ", ")))",
            ]
        }
    }

    /// The tree's own clocks at the checkpoint.
    private func clocks(_ image: CheckpointImage) -> String {
        let (begin, offsets) = (image.header.begin, image.clockOffsets)
        func seconds(_ nanoseconds: Int64) -> String { "\(nanoseconds / 1_000_000_000) s" }
        let monotonic = seconds(begin.monotonic + offsets.monotonic)
        let boottime = seconds(begin.boottime + offsets.boottime)
        let own = offsets != (0, 0)
        return "monotonic \(monotonic), boot time \(boottime)" + (own ? " (a time namespace of its own)" : "")
    }

    private func text(_ string: String) -> String { printable(Array(string.utf8)) }

    /// Nanoseconds since 1970 as a date, e.g. `2026-01-31 12:00:00 UTC`.
    ///
    /// - Source: Howard Hinnant, "chrono-compatible low-level date algorithms".
    private func utc(_ nanoseconds: Int64) -> String {
        let seconds = Int(nanoseconds / 1_000_000_000)
        guard seconds >= 0 else { return "unknown" }
        let days = seconds / 86400 + 719_468
        let era = days / 146_097
        let dayOfEra = days % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shifted + 2) / 5 + 1
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let time = seconds % 86400
        return
            "\(year)-\(two(month))-\(two(day)) \(two(time / 3600)):\(two(time / 60 % 60)):\(two(time % 60)) UTC"
    }
}
