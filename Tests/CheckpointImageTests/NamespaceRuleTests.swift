import CheckpointImage
import Testing

/// Rules of pid and mount namespaces.
extension RuleTests {
    static let namespaces: [Breach] = [
        Breach(.namespaceParent, "pid namespace 1") { change(&$0) { $0.header.pidNamespaces[0].parent = 1 } },
        Breach(.namespaceParent, "pid namespace 32") { records in
            change(&records) { records in
                for parent in UInt32(1)...40 {
                    var deeper = ImagePidNamespace()
                    deeper.parent = parent
                    records.header.pidNamespaces.append(deeper)
                }
            }
        },
        Breach(.namespaceInit, "process 10") { $0.header.rootIsNamespaceInit = true },
        Breach(.namespaceInit, "pid namespace 1") { change(&$0) { $0.header.pidNamespaces[0].init_p = 10 } },
        Breach(.namespaceInit, "pid namespace 1") { change(&$0) { $0.header.pidNamespaces[0].init_p = 99 } },
        // Nobody can be where there is no init, or a dead one.
        Breach(.namespaceInit, "process 12") { change(&$0) { $0.header.pidNamespaces[0].init_p = 0 } },
        Breach(.namespaceInit, "pid namespace 1") { records in
            change(&records) { records in
                records.processes[1].innerPids = [2]
                records.threads[2].innerTids = [2]
            }
        },
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
        Breach(.namespaceInit, "process 13") { change(&$0) { $0.processes[2].innerPids = [1] } },
        Breach(.namespaceMember, "process 13") { records in
            change(&records) { records in
                records.processes[2].pidNamespace = 0
                records.processes[2].innerPids = []
                records.processes[2].innerGroups = []
                records.processes[2].innerSessions = []
            }
        },
        Breach(.noNamespace, "process 12") { $0.processes[1].pidNamespace = 1 },
        Breach(.noNamespace, "thread 12 of process 12") { change(&$0) { $0.threads[2].childrenNamespace = 2 } },
        Breach(.noNamespace, "thread 12 of process 12") { change(&$0) { $0.threads[2].childrenNamespace = 1 } },
        Breach(.noNamespace, "process 12") { $0.processes[1].mountNamespace = 1 },
        Breach(.noNamespace, "mount namespace 1") { change(&$0) { $0.header.mountNamespaces[0].procNamespace = 2 } },
        Breach(.noNamespace, "mount namespace 1") { change(&$0) { $0.header.mountNamespaces[0].procFlags = 16 } },
    ]

    private static func change(_ records: inout ImageRecords, _ body: (inout ImageRecords) -> Void) {
        Sample.addNamespaces(to: &records)
        body(&records)
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
}

extension Sample {
    /// The child becomes the init of a pid namespace with its own `/proc`; the zombie is in it. The root has its
    /// children there.
    static func addNamespaces(to records: inout ImageRecords) {
        var namespace = ImagePidNamespace()
        namespace.init_p = 12
        records.header.pidNamespaces = [namespace]
        var mounts = ImageMountNamespace()
        mounts.procNamespace = 1
        mounts.procFlags = 14
        records.header.mountNamespaces = [mounts]
        for (index, number) in [(1, UInt32(1)), (2, 2)] {
            records.processes[index].pidNamespace = 1
            records.processes[index].innerPids = [number]
            records.processes[index].innerGroups = [0]
            records.processes[index].innerSessions = [0]
        }
        records.processes[1].mountNamespace = 1
        records.threads[0].childrenNamespace = 1
        records.threads[2].innerTids = [1]
    }
}
