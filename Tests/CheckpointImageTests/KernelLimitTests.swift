import CheckpointImage
import FoundationEssentials
import Testing

/// What the kernel takes of a program, the format can hold: the reader refuses none of it.
@Suite struct KernelLimitTests {
    /// KTIME_MAX
    private static let longest = UInt64(Int64.max)

    private func accepts(_ change: (inout ImageRecords) -> Void) -> Bool {
        var records = Sample.records()
        change(&records)
        return (try? CheckpointImage(validating: records)) != nil
    }

    @Test func timesAsLongAsTheKernelCounts() {
        #expect(
            accepts { records in
                records.openFiles[6].timer.remaining = Self.longest
                records.openFiles[6].timer.interval = Self.longest
                records.processes[0].posixTimers[0].remaining = Self.longest
                records.processes[0].posixTimers[0].interval = Self.longest
                records.processes[0].timers = [ImageIntervalTimer()]
                records.processes[0].timers[0].remaining = Self.longest / 1000 + 1
                records.processes[0].timers[0].interval = Self.longest / 1000 + 1
                records.threads[0].restartBlock.kind = .futex
                records.threads[0].restartBlock.remaining = Self.longest
                records.threads[1].timeout.remaining = Self.longest
            })
    }

    @Test func addressesThatNoProgramHas() {
        for address in [0x7fff_ffff_f000, 0xffff_8000_0000_0000, .max] as [UInt64] {
            #expect(
                accepts { records in
                    records.threads[0].clearChildTid_p = address
                    records.threads[0].robustList = address
                    records.threads[0].alternateStack.address = address
                    records.threads[0].alternateStack.size = .max
                    records.threads[0].restartBlock.kind = .nanosleep
                    records.threads[0].restartBlock.userAddress = address
                    records.signalActions[0].actions[0].handler = address
                    records.signalActions[0].actions[0].restorer = address
                })
        }
    }

    @Test func offsetsWithoutASign() {
        #expect(accepts { $0.openFiles[1].offset = .max })
        #expect(
            accepts { records in
                records.openFiles[1].named.identity.path = Data("/proc/10/mem".utf8)
                records.openFiles[1].offset = -4096
            })
    }

    @Test func endSignalsOfTheLowestByteOfCloneFlags() {
        for signal: UInt32 in [0, 64, 65, 255] {
            #expect(
                accepts { records in
                    records.processes[1].exitSignal = signal
                    records.processes[2].exitSignal = signal
                })
        }
    }

    @Test func everySecureBit() { #expect(accepts { $0.threads[0].credentials.secureBits = 0xfff }) }

    @Test func filesAsLargeAsOffsetsGo() {
        #expect(accepts { $0.memoryObjects[0].size = UInt64(Int64.max) })
        #expect(!accepts { $0.memoryObjects[0].size = 1 << 63 })
    }

    @Test func descriptorsUpToTheLargestLimit() { #expect(accepts { $0.fileTables[0].descriptors[3].number = 0x7fff_ffbf }) }

    @Test func clocksOfAnyTimeNamespace() {
        #expect(
            accepts { records in
                records.header.begin.monotonic = .max
                records.namespaces.append(Sample.namespace(2, .time))
                records.namespaces[1].time.monotonicOffset = .min
            })
    }
}
