import CheckpointImage
import FoundationEssentials
import Testing

/// Rules of namespaces: each record by itself, the pid namespaces among each other, and who is in which one.
extension RuleTests {
    static let namespaces: [Breach] = [
        Breach(.zeroID, "namespace") { $0.namespaces[0].id = 0 },
        Breach(.duplicateID, "namespace 1") { change(&$0) { $0.namespaces[1].id = 1 } },
        Breach(.namespaceKind, "namespace 1") { $0.namespaces[0].kind = .UNRECOGNIZED(9) },
        // What a pid namespace holds in a mount namespace, and the other way round.
        Breach(.namespaceKind, "namespace 3") { change(&$0) { $0.namespaces[2].pid = ImagePidNamespace() } },
        Breach(.namespaceKind, "namespace 2") { change(&$0) { $0.namespaces[1].mount = ImageMountNamespace() } },
        Breach(.namespaceKind, "namespace 2") { records in
            records.namespaces.append(Sample.namespace(2, .network))
            records.namespaces[1].time.monotonicOffset = 1
        },
        // The owner is a user namespace.
        Breach(.noNamespace, "namespace 2") { change(&$0) { $0.namespaces[1].owner = 1 } },
        Breach(.noNamespace, "namespace 2") { change(&$0) { $0.namespaces[1].owner = 9 } },
        // Nested in itself, in one that is not there, in one of another kind; a kind that is not nested; in none.
        Breach(.namespaceParent, "namespace 2") { change(&$0) { $0.namespaces[1].parent = 2 } },
        Breach(.namespaceParent, "namespace 2") { change(&$0) { $0.namespaces[1].parent = 9 } },
        Breach(.namespaceParent, "namespace 2") { change(&$0) { $0.namespaces[1].parent = 3 } },
        Breach(.namespaceParent, "namespace 3") { change(&$0) { $0.namespaces[2].parent = 3 } },
        Breach(.namespaceParent, "namespace 2") { change(&$0) { $0.namespaces[1].parent = 0 } },
        Breach(.namespaceParent, "namespace 41") { records in
            change(&records) { records in
                for depth in UInt32(1)...40 {
                    records.namespaces.append(Sample.namespace(10 + depth, .pid, parent: depth == 1 ? 2 : 9 + depth))
                }
            }
        },
        Breach(.namespaceInit, "namespace 2") { change(&$0) { $0.namespaces[1].pid.init_p = 10 } },
        Breach(.namespaceInit, "namespace 2") { change(&$0) { $0.namespaces[1].pid.init_p = 99 } },
        // No process can be where there is no init, or a dead one.
        Breach(.namespaceInit, "process 12") { change(&$0) { $0.namespaces[1].pid.init_p = 0 } },
        Breach(.namespaceInit, "namespace 2") { records in
            change(&records) { records in
                records.processes[1].innerPids = [2]
                records.threads[2].innerTids = [2]
            }
        },
        Breach(.namespaceInit, "process 13") { change(&$0) { $0.processes[2].innerPids = [1] } },
        Breach(.namespaceNumbers, "process 12") { change(&$0) { $0.processes[1].innerPids = [] } },
        Breach(.namespaceNumbers, "process 12") { change(&$0) { $0.processes[1].innerPids = [1, 2] } },
        Breach(.namespaceNumbers, "process 10") { $0.processes[0].innerPids = [1] },
        Breach(.namespaceNumbers, "process 13") { change(&$0) { $0.processes[2].innerPids = [0] } },
        Breach(.namespaceNumbers, "process 13") { change(&$0) { $0.processes[2].innerGroups = [4_194_305] } },
        Breach(.namespaceNumbers, "process 13") { records in
            change(&records) { records in
                records.processes[2].session = 0
                records.processes[2].innerSessions = [7]
            }
        },
        Breach(.namespaceNumbers, "thread 12 of process 12") { change(&$0) { $0.threads[2].innerTids = [5] } },
        Breach(.namespaceNumbers, "thread 11 of process 10") { change(&$0) { $0.threads[1].innerTids = [5] } },
        Breach(.namespaceMember, "process 13") { records in
            change(&records) { records in
                records.processes[2].pidNamespace = 1
                records.processes[2].innerPids = []
                records.processes[2].innerGroups = []
                records.processes[2].innerSessions = []
            }
        },
        // A process is in a pid namespace that is there, also one that is dead.
        Breach(.noNamespace, "process 10") { $0.processes[0].pidNamespace = 0 },
        Breach(.noNamespace, "process 12") { $0.processes[1].pidNamespace = 2 },
        Breach(.noNamespace, "process 12") { change(&$0) { $0.processes[1].pidNamespace = 3 } },
        Breach(.noNamespace, "process 13") { $0.processes[2].pidNamespace = 0 },
        // Children in a namespace that is not there, in an outer one, in a mount namespace.
        Breach(.noNamespace, "thread 12 of process 12") { change(&$0) { $0.threads[2].namespaces.pidForChildren = 9 } },
        Breach(.noNamespace, "thread 12 of process 12") { change(&$0) { $0.threads[2].namespaces.pidForChildren = 1 } },
        Breach(.noNamespace, "thread 12 of process 12") { change(&$0) { $0.threads[2].namespaces.pidForChildren = 3 } },
        Breach(.noNamespace, "thread 10 of process 10") { $0.threads[0].namespaces.mount = 1 },
        Breach(.noNamespace, "thread 10 of process 10") { $0.threads[0].namespaces.mount = 9 },
        Breach(.noNamespace, "thread 11 of process 10") { $0.threads[1].namespaces.timeForChildren = 1 },
        // Names read in a namespace that is not there, or in one that has no names of files.
        Breach(.noNamespace, "process 10") { $0.processes[0].executable.mountNamespace = 9 },
        Breach(.noNamespace, "directories 1") { $0.directories[0].working.mountNamespace = 1 },
        Breach(.noNamespace, "directories 2") { $0.directories[1].root.mountNamespace = 9 },
        Breach(.noNamespace, "mapping 0x404000 of address space 1") { $0.addressSpaces[0].mappings[1].file.mountNamespace = 9 },
        Breach(.noNamespace, "open file 2") { $0.openFiles[1].named.identity.mountNamespace = 9 },
        Breach(.noNamespace, "open file 9") { $0.openFiles[8].device.identity.mountNamespace = 1 },
        Breach(.noNamespace, "namespace 3") { change(&$0) { $0.namespaces[2].mount.procNamespace = 9 } },
        Breach(.noNamespace, "namespace 3") { change(&$0) { $0.namespaces[2].mount.procNamespace = 3 } },
        Breach(.noNamespace, "namespace 3") { change(&$0) { $0.namespaces[2].mount.procFlags = 16 } },
    ]

    private static func change(_ records: inout ImageRecords, _ body: (inout ImageRecords) -> Void) {
        Sample.addNamespaces(to: &records)
        body(&records)
    }

    /// Each kind in the field of a thread that is for it, and in none of the others.
    @Test func everyKindHasItsField() throws {
        let fields: [(WritableKeyPath<ImageNamespaces, UInt32>, ImageNamespace.Kind)] = [
            (\.mount, .mount), (\.network, .network), (\.ipc, .ipc), (\.hostName, .hostName), (\.user, .user), (\.cgroup, .cgroup),
            (\.time, .time), (\.timeForChildren, .time), (\.pidForChildren, .pid),
        ]
        #expect(Set(fields.map(\.1)) == Set(ImageNamespace.Kind.allCases))
        for (field, kind) in fields {
            for other in ImageNamespace.Kind.allCases {
                var records = Sample.records()
                records.namespaces.append(Sample.namespace(2, other, parent: other == .pid ? 1 : 0))
                records.threads[0].namespaces[keyPath: field] = 2
                let isRefused = (try? CheckpointImage(validating: records)) == nil
                #expect(isRefused == (kind != other), "\(other) in the field for \(kind)")
            }
        }
    }

    @Test func numbersInNamespaces() throws {
        var records = Sample.records()
        Sample.addNamespaces(to: &records)
        let image = try CheckpointImage(validating: records)
        #expect(image.thread(1, in: 1)?.tid == 12)
        #expect(image.thread(12, in: 0)?.ownTid == 1)
        #expect(image.thread(12, in: 1) == nil)
        #expect(image.holds(1, isThread: false, in: 1) && !image.holds(11, isThread: false, in: 0))
        #expect(image.process(12).map(image.isInit) == true && image.process(10).map(image.isInit) == false)
    }

    /// The namespaces that a restart makes are counted, whatever their ids are.
    @Test func namespacesThatAreMade() throws {
        var records = Sample.records()
        Sample.addNamespaces(to: &records)
        let image = try CheckpointImage(validating: records)
        #expect(image.nestedPidNamespaces == [NestedPidNamespace(id: 2, parent: 0, initPid: 12)])
        #expect(image.ownMountNamespaces == [OwnMountNamespace(id: 3, procNamespace: 1, procFlags: 14)])
        #expect(image.processes.map(image.pidNamespace) == [0, 1, 1])
        #expect(image.processes.map(image.mountNamespace) == [0, 1, 0])
        #expect(image.threads.map(image.childrenNamespace) == [1, 0, 0])
        #expect(image.lineage(ofNamespace: 1) == [1] && image.lineage(ofNamespace: 0).isEmpty)
    }

    @Test func clocksAreThoseOfTheRootsTimeNamespace() throws {
        var records = Sample.records()
        #expect(try CheckpointImage(validating: records).clockOffsets == (0, 0))
        records.namespaces.append(Sample.namespace(2, .time))
        records.namespaces[1].time.monotonicOffset = 5
        records.namespaces[1].time.boottimeOffset = -6
        // That of another process is another one.
        records.threads[2].namespaces.time = 2
        #expect(try CheckpointImage(validating: records).clockOffsets == (0, 0))
        records.threads[0].namespaces.time = 2
        #expect(try CheckpointImage(validating: records).clockOffsets == (5, -6))
    }
}

extension Sample {
    /// The child becomes the init of a pid namespace with its own `/proc`; the zombie is in it. The root has its
    /// children there.
    static func addNamespaces(to records: inout ImageRecords) {
        var inner = namespace(2, .pid, parent: 1)
        inner.pid.init_p = 12
        var mounts = namespace(3, .mount)
        mounts.mount.procNamespace = 2
        mounts.mount.procFlags = 14
        records.namespaces += [inner, mounts]
        for (index, number) in [(1, UInt32(1)), (2, 2)] {
            records.processes[index].pidNamespace = 2
            records.processes[index].innerPids = [number]
            records.processes[index].innerGroups = [0]
            records.processes[index].innerSessions = [0]
        }
        records.threads[2].namespaces.mount = 3
        records.processes[1].executable.mountNamespace = 3
        records.threads[0].namespaces.pidForChildren = 2
        records.threads[2].innerTids = [1]
    }
}
