import Testing

@testable import Kernel

/// Parsers of `/proc` text against recorded text.
@Suite struct ProcTextTests {
    static let stat = """
        4699 (cat) R 4691 4692 3272 34816 -1 4194304 97 0 0 0 0 0 0 0 20 -5 3 0 156080 3133440 406 \
        18446744073709551615 93972493471744 93972493491625 140727601666560 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 \
        93972493507632 93972493509248 93973503582208 140727601670655 140727601670675 140727601670676 \
        140727601672171 256

        """

    @Test func statFields() throws {
        let stat = try ProcessStat(parsing: Array(Self.stat.utf8))
        #expect(stat.pid == 4699)
        #expect(stat.comm == Array("cat".utf8))
        #expect(stat.state == UInt8(ascii: "R"))
        #expect((stat.parent, stat.group, stat.session) == (4691, 4692, 3272))
        #expect(stat.terminal == 34816)
        #expect(stat.terminalGroup == -1)
        #expect(stat.flags == 4_194_304 && !stat.isKernelThread)
        #expect(stat.nice == -5)
        #expect(stat.threadCount == 3)
        #expect(stat.startTime == 156080)
        #expect(stat.codeStart == 93_972_493_471_744 && stat.codeEnd == 93_972_493_491_625)
        #expect(stat.stackStart == 140_727_601_666_560)
        #expect(stat.exitSignal == 17)
        #expect(stat.dataStart == 93_972_493_507_632 && stat.dataEnd == 93_972_493_509_248)
        #expect(stat.breakStart == 93_973_503_582_208)
        #expect(stat.argumentStart == 140_727_601_670_655 && stat.argumentEnd == 140_727_601_670_675)
        #expect(stat.environmentStart == 140_727_601_670_676 && stat.environmentEnd == 140_727_601_672_171)
        #expect(stat.exitStatus == 256)
    }

    @Test(arguments: ["a) R 1 (b", "x\n) S 3", "))", "", " "])
    func statNameWithBracketsAndLines(name: String) throws {
        let text = Array(Self.stat.replacing(name).utf8)
        let stat = try ProcessStat(parsing: text)
        #expect(stat.comm == Array(name.utf8))
        #expect(stat.parent == 4691)
        #expect(ProcessStat.parent(in: text) == 4691)
    }

    @Test func statCutAnywhereIsRefused() {
        let text = Array(Self.stat.utf8)
        let fieldStarts = text.indices.filter { text[$0] == UInt8(ascii: " ") }
        for end in fieldStarts {
            #expect(throws: SystemError.self) { try ProcessStat(parsing: Array(text[..<end])) }
        }
        #expect(throws: SystemError.self) { try ProcessStat(parsing: []) }
    }

    @Test func statusFields() throws {
        let status = try TaskStatus(
            parsing: Array(
                """
                Name:\tod)d\\n
                Umask:\t0027
                State:\tt (tracing stop)
                Tgid:\t4696
                Ngid:\t0
                Pid:\t4700
                PPid:\t4691
                TracerPid:\t12
                Uid:\t1000\t1001\t1002\t4294967295
                Gid:\t100\t101\t102\t103
                FDSize:\t256
                Groups:\t4 24 27\u{20}
                NStgid:\t4696\t1
                NSpid:\t4700\t5
                NSpgid:\t4691\t0
                NSsid:\t3272\t0
                Kthread:\t0
                VmLck:\t      12 kB
                VmRSS:\t    1784 kB
                VmSwap:\t       4 kB
                CoreDumping:\t0
                Threads:\t2
                SigQ:\t3/96365
                SigPnd:\t0000000000000001
                ShdPnd:\t0000000000000200
                SigBlk:\tfffffffe7ffbfeff
                SigIgn:\t0000000000001000
                SigCgt:\t0000000180014a07
                CapInh:\t0000000000000001
                CapPrm:\t000001fffeffffff
                CapEff:\t000001fffefffffe
                CapBnd:\t000001ffffffffff
                CapAmb:\t0000000000000002
                NoNewPrivs:\t1
                Seccomp:\t2
                Seccomp_filters:\t7
                Cpus_allowed:\t3

                """.utf8))
        #expect(status.fileModeMask == 0o27)
        #expect(status.state == UInt8(ascii: "t"))
        #expect((status.processID, status.taskID, status.parent, status.tracer) == (4696, 4700, 4691, 12))
        #expect(status.users == [1000, 1001, 1002, .max])
        #expect(status.groups == [100, 101, 102, 103])
        #expect(status.supplementaryGroups == [4, 24, 27])
        #expect(status.namespaceProcessIDs == [4696, 1])
        #expect(status.namespaceTaskIDs == [4700, 5])
        #expect(status.namespaceGroups == [4691, 0])
        #expect(status.namespaceSessions == [3272, 0])
        #expect(status.isKernelThread == false)
        #expect(status.lockedBytes == 12 << 10)
        #expect(status.residentBytes == 1784 << 10)
        #expect(status.swappedBytes == 4 << 10)
        #expect(status.threadCount == 2)
        #expect(status.queuedSignals == 3)
        #expect(status.pendingSignals == 1)
        #expect(status.sharedPendingSignals == 0x200)
        #expect(status.blockedSignals == 0xffff_fffe_7ffb_feff)
        #expect(status.ignoredSignals == 0x1000)
        #expect(status.caughtSignals == 0x1_8001_4a07)
        #expect(status.inheritableCapabilities == 1)
        #expect(status.permittedCapabilities == 0x1ff_feff_ffff)
        #expect(status.effectiveCapabilities == 0x1ff_feff_fffe)
        #expect(status.boundingCapabilities == 0x1ff_ffff_ffff)
        #expect(status.ambientCapabilities == 2)
        #expect(status.noNewPrivileges)
        #expect(status.seccompMode == 2 && status.seccompFilters == 7)
        #expect(!status.isDumpingCore)
    }

    @Test func statusOfAnotherFileIsRefused() {
        #expect(throws: SystemError(74, in: "parse status")) {
            try TaskStatus(parsing: Array("pos:\t0\n".utf8))
        }
    }

    static let smaps = """
        55d0c1a00000-55d0c1a02000 r--p 00002000 fe:00 254163                     /usr/bin/a\\012b (deleted)
        Size:                  8 kB
        KernelPageSize:        4 kB
        MMUPageSize:           4 kB
        Rss:                   8 kB
        Pss:                   8 kB
        Anonymous:             4 kB
        AnonHugePages:       100 kB
        Swap:                 12 kB
        SwapPss:               1 kB
        THPeligible:           0
        ProtectionKey:         3
        VmFlags: rd mr mw me dw zz sd gd q\u{20}
        7ffd1c3f2000-7ffd1c3f4000 rwxs 00000000 103:10005 0\u{20}
        Rss:                   0 kB
        VmFlags: rd wr ex sh mr mw me ms lo dc dd wf hg nh mg rr sr dp sl ht um uw io pf ss mt ui de nr ac ar\u{20}
        ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
        VmFlags: ex\u{20}

        """

    @Test func smapsFields() throws {
        let maps = try MemoryMap.parse(smaps: Array(Self.smaps.utf8))
        try #require(maps.count == 3)
        let first = maps[0]
        #expect(first.start == 0x55d0_c1a0_0000 && first.end == 0x55d0_c1a0_2000 && first.length == 0x2000)
        #expect(first.protection == .read && !first.isShared)
        #expect(first.offset == 0x2000)
        #expect(first.device == 0xfe00)
        #expect(first.inode == 254163 && first.isFileBacked)
        #expect(first.path == Array("/usr/bin/a\nb".utf8))
        #expect(first.isDeleted)
        #expect(first.pageSize == 4096)
        #expect(first.resident == 8 << 10 && first.anonymous == 4 << 10 && first.swapped == 12 << 10)
        #expect(first.protectionKey == 3)
        #expect(
            first.flags == [.readable, .mayRead, .mayWrite, .mayExecute, .denyWrite, .softDirty, .growsDown])
        #expect(first.unknownFlags == ["zz", "q"])

        let second = maps[1]
        #expect(second.protection == [.read, .write, .execute] && second.isShared)
        #expect(second.device == deviceNumber(major: 0x103, minor: 0x10005))
        #expect(second.path.isEmpty && !second.isDeleted)
        #expect(second.unknownFlags.isEmpty)
        #expect(second.flags.description.split(separator: " ").count == 31)

        #expect(maps[2].start == 0xffff_ffff_ff60_0000)
        #expect(maps[2].path == Array("[vsyscall]".utf8))
        #expect(maps[2].flags == .executable)
    }

    @Test func flagNamesAreDistinct() {
        #expect(Set(MappingFlags.names.map { "\($0.name)" }).count == MappingFlags.names.count)
        #expect(Set(MappingFlags.names.map(\.flag)).count == MappingFlags.names.count)
    }

    @Test func plainMaps() throws {
        let lines = Self.smaps.split(separator: "\n").filter { $0.contains("-") && !$0.contains("kB") }
        let maps = try MemoryMap.parse(maps: Array((lines.joined(separator: "\n") + "\n").utf8))
        #expect(maps.count == 3)
        #expect(maps[0].isDeleted && maps[0].inode == 254163)
        #expect(maps[1].flags.isEmpty)
    }

    @Test(arguments: ["7f00-7e00 r--p 0 0:0 0\n", "7f00 r--p", "7f00-7f10 r", "7f00-7f10 r--p 0 00 0\n", "x"])
    func damagedMapsAreRefused(text: String) {
        #expect(throws: SystemError.self) { try MemoryMap.parse(maps: Array(text.utf8)) }
    }

    @Test func deviceNumbers() {
        // glibc's makedev(0x12345, 0x6789a).
        #expect(deviceNumber(major: 0x12345, minor: 0x6789a) == 0x0001_2000_6783_459a)
        #expect(deviceNumber(major: 8, minor: 1) == 0x801)
    }

    static let limits = """
        Limit                     Soft Limit           Hard Limit           Units     
        Max cpu time              unlimited            unlimited            seconds   
        Max file size             unlimited            unlimited            bytes     
        Max data size             unlimited            unlimited            bytes     
        Max stack size            8388608              unlimited            bytes     
        Max core file size        0                    unlimited            bytes     
        Max resident set          unlimited            unlimited            bytes     
        Max processes             96365                96366                processes 
        Max open files            20000                20001                files     
        Max locked memory         8388608              8388609              bytes     
        Max address space         unlimited            unlimited            bytes     
        Max file locks            unlimited            unlimited            locks     
        Max pending signals       96365                96365                signals   
        Max msgqueue size         819200               819200               bytes     
        Max nice priority         0                    0                    
        Max realtime priority     1                    2                    
        Max realtime timeout      unlimited            unlimited            us        

        """

    @Test func limitLines() throws {
        let limits = try ResourceLimit.parse(Array(Self.limits.utf8))
        #expect(limits.map(\.resource) == Array(0..<16))
        #expect(limits[3] == ResourceLimit(resource: 3, soft: 8_388_608, hard: .max))
        #expect(limits[6] == ResourceLimit(resource: 6, soft: 96365, hard: 96366))
        #expect(limits[14] == ResourceLimit(resource: 14, soft: 1, hard: 2))
    }

    @Test func limitsMissingALineAreRefused() {
        let short = Self.limits.split(separator: "\n").dropLast().joined(separator: "\n") + "\n"
        #expect(throws: SystemError.self) { try ResourceLimit.parse(Array(short.utf8)) }
    }

    @Test func descriptorInfoOfALockedFile() throws {
        let info = try DescriptorInfo(
            parsing: Array(
                """
                pos:\t4096
                flags:\t02100001
                mnt_id:\t27
                ino:\t16220349
                lock:\t1: FLOCK  ADVISORY  WRITE 5049 fe:00:16220349 0 EOF

                """.utf8))
        #expect(info.position == 4096 && info.flags == 0o2100001 && info.mountID == 27)
        #expect(info.inode == 16_220_349)
        #expect(info.isCloseOnExec && info.openFlags == 0o100001)
        #expect(info.locks == [Array("1: FLOCK  ADVISORY  WRITE 5049 fe:00:16220349 0 EOF".utf8)])
        #expect(info.extra.isEmpty)
    }

    @Test func descriptorInfoOfAnEpoll() throws {
        let info = try DescriptorInfo(
            parsing: Array(
                """
                pos:\t0
                flags:\t02
                mnt_id:\t17
                tfd:        0 events:       1f data:                0  pos:0 ino:3718 sdev:f
                inotify wd:1 ino:2 sdev:3 mask:fff

                """.utf8))
        #expect(info.inode == nil && !info.isCloseOnExec)
        #expect(info.extra.count == 2)
        #expect(info.extra[1] == Array("inotify wd:1 ino:2 sdev:3 mask:fff".utf8))
    }

    /// Cut or flipped text gives values or an error, never a trap.
    @Test func damagedTextNeverTraps() {
        let parsers: [(String, ([UInt8]) throws -> Void)] = [
            (Self.stat, { _ = try ProcessStat(parsing: $0) }),
            (Self.stat, { _ = ProcessStat.parent(in: $0) }),
            (Self.smaps, { _ = try MemoryMap.parse(smaps: $0) }),
            (Self.smaps, { _ = try MemoryMap.parse(maps: $0) }),
            (Self.limits, { _ = try ResourceLimit.parse($0) }),
            (Self.limits, { _ = try TaskStatus(parsing: $0) }),
            (Self.smaps, { _ = try DescriptorInfo(parsing: $0) }),
        ]
        for (text, parse) in parsers {
            let bytes = Array(text.utf8)
            for index in bytes.indices {
                try? parse(Array(bytes[..<index]))
                for byte: UInt8 in [0, 9, 10, 32, 58, 57, 255] {
                    var damaged = bytes
                    damaged[index] = byte
                    try? parse(damaged)
                }
            }
        }
    }
}

extension String {
    /// A stat text with another name.
    fileprivate func replacing(_ name: String) -> String {
        let parts = split(separator: "(cat)", maxSplits: 1)
        return parts[0] + "(" + name + ")" + parts[1]
    }
}

extension ProcTextTests {
    @Test func timeOffsets() throws {
        let text = "monotonic          -26 999999999\nboottime             3         5\n"
        let offsets = try parseTimeOffsets(Array(text.utf8))
        #expect(offsets == TimeNamespace.Offsets(monotonic: -25_000_000_001, boottime: 3_000_000_005))
        #expect(throws: SystemError.self) { try parseTimeOffsets(Array("monotonic x 0\n".utf8)) }
        #expect(throws: SystemError.self) { try parseTimeOffsets(Array("monotonic 99999999999999 0\n".utf8)) }
    }
}
