import CheckpointImage
import FoundationEssentials

/// Rules of kernel objects: eventfds, timerfds, epolls, POSIX timers, semaphore sets.
extension RuleTests {
    static let objects: [Breach] = [
        Breach(.eventCount, "open file 5") { $0.openFiles[4].event.count = .max },
        Breach(.clock, "open file 7") { $0.openFiles[6].timer.clock = 2 },
        Breach(.timerFlags, "open file 7") { $0.openFiles[6].timer.flags = 4 },
        Breach(.timerRange, "open file 7") { $0.openFiles[6].timer.remaining = 1 << 63 },
        Breach(.timerRange, "open file 7") { $0.openFiles[6].timer.interval = .max },
        Breach(.descriptorRange, "open file 8") { $0.openFiles[7].epoll.registrations[0].number = 0x7fff_ffc0 },
        Breach(.noOpenFile, "open file 99 of open file 8") { $0.openFiles[7].epoll.registrations[0].file = 99 },
        Breach(.epollTwice, "open file 8") {
            $0.openFiles[7].epoll.registrations.append($0.openFiles[7].epoll.registrations[0])
        },
        // EPOLLEXCLUSIVE with EPOLLONESHOT.
        Breach(.epollEvents, "open file 8") { $0.openFiles[7].epoll.registrations[0].events = 3 << 28 | 1 << 30 },
        Breach(.epollLoop, "open file 8") { $0.openFiles[7].epoll.registrations[0].file = 8 },
        Breach(.epollLoop, "open file 8") { records in
            var other = records.openFiles[7]
            other.id = 20
            other.epoll.registrations[0].file = 8
            records.openFiles[7].epoll.registrations[0].file = 20
            records.openFiles.append(other)
        },
        Breach(.timerRange, "timer 2147483648 of process 10") { $0.processes[0].posixTimers[1].id = 1 << 31 },
        Breach(.timerRange, "timer 3 of process 10") { $0.processes[0].posixTimers[0].remaining = .max },
        Breach(.timerRange, "timer 3 of process 10") { $0.processes[0].posixTimers[0].interval = .max },
        Breach(.timerRange, "timer 3 of process 10") { $0.processes[0].posixTimers[0].overrun = .max },
        Breach(.duplicateID, "timer 3 of process 10") { $0.processes[0].posixTimers[1].id = 3 },
        Breach(.clock, "timer 3 of process 10") { $0.processes[0].posixTimers[0].clock = 2 },
        // CPU time of another process; the clock of a device.
        Breach(.clock, "timer 3 of process 10") { $0.processes[0].posixTimers[0].clock = ~12 << 3 | 2 },
        Breach(.clock, "timer 3 of process 10") { $0.processes[0].posixTimers[0].clock = ~4 << 3 | 3 },
        Breach(.notify, "timer 3 of process 10") { $0.processes[0].posixTimers[0].notify = .UNRECOGNIZED(9) },
        Breach(.signalRange, "timer 3 of process 10") { $0.processes[0].posixTimers[0].signal = 0 },
        Breach(.signalRange, "timer 7 of process 10") { $0.processes[0].posixTimers[1].signal = 65 },
        Breach(.noSuchThread, "timer 7 of process 10") { $0.processes[0].posixTimers[1].thread = 12 },
        Breach(.semaphoreRange, "semaphore set 1") { $0.semaphoreSets[0].number = 1 << 31 },
        Breach(.semaphoreRange, "semaphore set 1") { $0.semaphoreSets[0].mode = 0o1000 },
        Breach(.semaphoreRange, "semaphore set 1") { $0.semaphoreSets[0].values = [] },
        Breach(.semaphoreRange, "semaphore set 1") { $0.semaphoreSets[0].values[1] = 32768 },
        Breach(.semaphoreTwice, "semaphore set 2") { records in
            var other = records.semaphoreSets[0]
            other.id = 2
            records.semaphoreSets.append(other)
        },
        Breach(.semaphoreTwice, "semaphore set 2") { records in
            var other = records.semaphoreSets[0]
            other.id = 2
            other.number = 6
            records.semaphoreSets.append(other)
        },
        Breach(.messageRange, "message queue 1") { records in
            records.messageQueues = [Sample.messages()]
            records.messageQueues[0].messages[0].type = 0
        },
        Breach(.messageRange, "message queue 1") { records in
            records.messageQueues = [Sample.messages()]
            records.messageQueues[0].limit = 1 << 31
        },
        Breach(.messageTwice, "message queue 2") { records in
            records.messageQueues = [Sample.messages(), Sample.messages()]
            records.messageQueues[1].id = 2
        },
        Breach(.zeroID, "semaphore set") { $0.semaphoreSets[0].id = 0 },
        Breach(.cgroup, "set 1 of cgroups") {
            Sample.addCgroups(to: &$0)
            $0.header.cgroupSets[0].cgroups[0].path = path("m")
        },
        Breach(.cgroup, "set 1 of cgroups") {
            Sample.addCgroups(to: &$0)
            $0.header.cgroupSets[0].cgroups[0].path = path("/m/../../etc")
        },
        Breach(.cgroup, "set 1 of cgroups") {
            Sample.addCgroups(to: &$0)
            $0.header.cgroupSets[0].cgroups[0].path = path("/m//n")
        },
        Breach(.cgroup, "set 1 of cgroups") {
            Sample.addCgroups(to: &$0)
            $0.header.cgroupSets[0].cgroups[0].path = path("/m\0")
        },
        Breach(.cgroup, "set 1 of cgroups") {
            Sample.addCgroups(to: &$0)
            $0.header.cgroupSets[0].cgroups[0].hierarchy = "a/b"
        },
        Breach(.cgroup, "set 1 of cgroups") {
            Sample.addCgroups(to: &$0)
            $0.header.cgroupSets[0].cgroups[1].hierarchy = "memory"
        },
        Breach(.noCgroups, "process 10") {
            Sample.addCgroups(to: &$0)
            $0.processes[0].cgroupSet = 3
        },
        Breach(.noCgroups, "thread 11 of process 10") {
            Sample.addCgroups(to: &$0)
            $0.threads[1].cgroupSet = 3
        },
    ]

    private static func path(_ text: String) -> Data { Data(text.utf8) }
}
