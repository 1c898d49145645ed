/// The rules for the contents of records, and for records that refer to each other; one case for each rule.
package enum ImageRule: String, Sendable, CaseIterable {
    // Identity.
    case formatVersion, pageSize, architecture, imageIdentity, parentImage
    case zeroID, duplicateID, tooMany
    // The tree.
    case noProcess, rootIsFirst, rootHasEnded, oneRoot, noParent, pidRange
    case noLeader, leaderFirst, threadOrder, noSuchProcess, exitedThread
    case noAddressSpace, noFileTable, noDirectories, noActions, threadShares, zombieThreads
    case state, exitStatus
    case namespaceParent, namespaceInit, namespaceNumbers, namespaceMember, noNamespace, namespaceKind
    // Parts of tasks.
    case signalRange, endSignal, duplicateSignal, siginfo, timer, limit, umask, name, dumpable, outOfMemoryScore, attributes
    case cpuFeatures, clocks, vdso
    case cpuRecord, address, credentials, scheduling, restartBlock
    case callFilter, noCallFilter, callDispatch
    case cgroup, noCgroups
    case sharedActions, sharedDiffers
    // Names.
    case pathMissing, pathRelative, pathWithZero
    // Memory.
    case mappingEmpty, mappingAlignment, mappingOrder, mappingBeyond, protection, mappingFlags, mappingKind
    case mappingOffset, noMemoryObject, areaOrder, auxiliaryVector
    case runCounts, runEmpty, runOrder, runOutside, objectSize, wordSize
    case memoryAttributes, mappingName, seals, fileAttribute, hugePages, asynchronousRing
    // Files.
    case descriptorRange, descriptorOrder, noOpenFile, fileKind, fileOffset, noPipe, preferred
    case procTask, procName, fileOwner
    case pipeCapacity, pipeContents, lockKind, lockRange, lockFile, externalName
    case lockName, noTerminal, terminalRange, terminalSession, terminalEnds
    // Objects.
    case eventCount, clock, timerRange, timerFlags, notify, noSuchThread
    case socketType, socketState, socketName, socketPeer, socketQueue, socketOption
    case tcpState, tcpAddress, tcpStream, tcpPeer
    case networkSocket, networkAddress
    case epollEvents, epollTwice, epollLoop, semaphoreRange, semaphoreTwice, messageRange, messageTwice
    case watchNumbers, watchMask, watchEvents, pidFileTask, segmentRange, segmentTwice, queueName, queueRange, queueNotification
    // Pages.
    case sharers, heldPages
    case noOwner, twoSections, pagesDiffer, pagesMissing

    /// How the subject breaks the rule.
    package var text: String {
        switch self {
        case .formatVersion: "the format version is not that of the file"
        case .pageSize: "the page size is not 4096 bytes"
        case .architecture: "the architecture is not named"
        case .imageIdentity: "the identity has not 16 bytes"
        case .parentImage: "the parent image is not named by an identity of 16 bytes, a file name and an absolute directory"
        case .zeroID: "the id is 0"
        case .duplicateID: "the id is there twice"
        case .tooMany: "there are too many of them"
        case .noProcess: "there is no process"
        case .rootIsFirst: "the root is not the first process"
        case .rootHasEnded: "the root has ended"
        case .oneRoot: "a second process has no parent"
        case .noParent: "its parent does not come before it"
        case .pidRange: "a pid is not within 1...4194304"
        case .noLeader: "it has no thread"
        case .leaderFirst: "its first thread is not the leader"
        case .threadOrder: "the threads are not side by side in ascending order"
        case .exitedThread: "a thread that has exited is not the first of a process with living ones, or holds more than its status"
        case .noSuchProcess: "its process does not exist"
        case .noAddressSpace: "its address space does not exist"
        case .noFileTable: "its file table does not exist"
        case .noDirectories: "its directories do not exist"
        case .noActions: "its signal actions do not exist"
        case .threadShares: "it has other memory or other signal actions than its process"
        case .zombieThreads: "it is a zombie and has threads"
        case .state: "its state is unknown"
        case .exitStatus: "the exit status is out of range"
        case .namespaceParent: "its parent does not come before it, or it is nested too deeply"
        case .namespaceInit: "the first process of a pid namespace is not number 1 there, or has ended before others"
        case .namespaceNumbers: "it has not one number within 1...4194304 for each of its pid namespaces"
        case .namespaceMember: "its pid namespace is not that of its parent nor nested in it"
        case .noNamespace: "a namespace does not exist, or is not one that it can have"
        case .namespaceKind: "its kind is unknown, or what it holds is of another kind"
        case .signalRange: "a signal is not within 1...64"
        case .endSignal: "the signal of its end is not within 0...255"
        case .duplicateSignal: "a signal has two actions"
        case .siginfo: "a pending signal has not 128 bytes"
        case .timer: "a timer is out of range"
        case .limit: "a limit is out of range"
        case .umask: "the umask is out of range"
        case .name: "the command name is longer than 15 bytes or holds a zero byte"
        case .dumpable: "the dumpable state is out of range"
        case .outOfMemoryScore: "the out-of-memory score is out of range"
        case .attributes: "an attribute is out of range"
        case .cpuFeatures: "a processor feature is not known to this version"
        case .clocks: "a clock is out of range"
        case .vdso: "the vdso is not what its size and checksum say"
        case .cpuRecord: "a CPU record is out of range or there twice"
        case .address: "an address is not one of user space"
        case .credentials: "the credentials are out of range"
        case .scheduling: "the scheduling parameters are out of range"
        case .restartBlock: "the restart block is out of range"
        case .callFilter: "it is no filter of system calls that a kernel takes"
        case .noCallFilter: "a filter of its system calls does not exist, or does not go with the others"
        case .callDispatch: "which of its system calls come back as signals is out of range"
        case .cgroup: "the name of a cgroup is out of range"
        case .noCgroups: "its cgroups are not in the header"
        case .sharedActions: "it shares signal actions, but no memory, with another process"
        case .sharedDiffers: "it has another root directory than its process"
        case .pathMissing: "a path is missing"
        case .pathRelative: "a path is not absolute"
        case .pathWithZero: "a path holds a zero byte"
        case .mappingEmpty: "a mapping ends before it starts"
        case .mappingAlignment: "a mapping is not on page boundaries"
        case .mappingOrder: "the mappings are not ascending and disjoint"
        case .mappingBeyond: "a mapping lies outside of user space"
        case .protection: "a mapping has unknown protection bits"
        case .mappingFlags: "a mapping has unknown flags"
        case .mappingKind: "a mapping is of an unknown kind"
        case .mappingOffset: "the offset of a mapping is out of range"
        case .noMemoryObject: "its memory object does not exist"
        case .areaOrder: "an area ends before it starts"
        case .auxiliaryVector: "the auxiliary vector has a wrong length"
        case .runCounts: "there are not as many run lengths as runs"
        case .runEmpty: "a run of pages is empty"
        case .runOrder: "the runs of pages are not ascending and disjoint"
        case .runOutside: "a run of pages lies outside of private mappings or of the object"
        case .memoryAttributes: "an attribute of the whole memory is out of range"
        case .mappingName: "the name of a mapping is too long, or has a zero byte"
        case .seals: "the seals are out of range"
        case .hugePages: "memory from the pool of huge pages is not made of whole ones, or of a kind that cannot be"
        case .fileAttribute: "an extended attribute is neither of the user nor an access control list, or too long"
        case .asynchronousRing: "a ring of io_setup(2) does not fit its mapping, or has numbers out of range"
        case .objectSize: "the size is out of range"
        case .wordSize: "it is of a 32-bit program or call, which this architecture does not have"
        case .descriptorRange: "a descriptor is not below 2147483584"
        case .descriptorOrder: "the descriptors are not ascending"
        case .noOpenFile: "an open file does not exist"
        case .fileKind: "it is of an unknown kind"
        case .fileOffset: "the offset is out of range"
        case .noPipe: "its pipe does not exist"
        case .preferred: "what stands in is not descriptor 0, 1 or 2, nor (3) the terminal"
        case .procTask: "the task whose /proc it is of does not exist"
        case .procName: "its name leads out of the /proc of its task"
        case .fileOwner: "what gets its signals is not a task or process group of the tree"
        case .pipeCapacity: "the capacity is out of range"
        case .pipeContents: "it holds more than its capacity"
        case .noTerminal: "its terminal does not exist"
        case .terminalRange: "its numbers, settings or contents are out of range"
        case .terminalSession: "its session or foreground process group is not one of the tree, or has two terminals"
        case .terminalEnds: "its master is there twice, or is not in the tree"
        case .lockKind: "a lock is of a kind that does not belong there"
        case .lockRange: "the range of a lock is out of bounds"
        case .lockFile: "a lock is on a file that is not open for it"
        case .externalName: "an external file has no name"
        case .eventCount: "the count is larger than an eventfd can hold"
        case .clock: "a clock is unknown, or is that of another process"
        case .timerRange: "the times of a timer are out of range"
        case .timerFlags: "a timer has unknown flags"
        case .notify: "a timer notifies in an unknown way"
        case .noSuchThread: "the thread that a timer notifies does not exist"
        case .epollEvents: "a registration has events that do not go together"
        case .epollTwice: "a file is registered twice by one number"
        case .epollLoop: "it watches itself"
        case .semaphoreRange: "the semaphores are out of range"
        case .semaphoreTwice: "there are two sets with one number or key"
        case .messageRange: "the messages are out of range"
        case .messageTwice: "there are two queues with one number or key"
        case .watchNumbers: "the numbers of its watches do not ascend from 1"
        case .watchMask: "a watch is for events that there are not"
        case .watchEvents: "an event that waits is not one that a file or directory could cause"
        case .segmentRange: "the shared memory segment is out of range"
        case .segmentTwice: "there are two shared memory segments with one number or key"
        case .queueName: "it is no name of a message queue"
        case .queueRange: "the message queue is out of range"
        case .queueNotification: "no process can be told of a message like that"
        case .pidFileTask: "it stands for a task that is not there"
        case .socketType: "it is a unix socket of an unknown type"
        case .socketState: "what a unix socket is, listening or connected, contradicts itself"
        case .socketName: "the name of a unix socket is none"
        case .socketPeer: "what a unix socket is connected with is not connected with it"
        case .socketQueue: "what waits in a unix socket cannot be there"
        case .networkSocket: "it is a socket that no kernel can make"
        case .networkAddress: "an address of a socket is none of its family"
        case .socketOption: "an option of a socket is unknown, or there twice"
        case .lockName: "its name is none of 16 hexadecimal digits"
        case .tcpState: "what a TCP socket is, listening or connected, contradicts itself"
        case .tcpAddress: "the address of a TCP socket is none"
        case .tcpStream: "what is under way on a TCP connection contradicts itself"
        case .tcpPeer: "what a TCP socket is connected with is not connected with it"
        case .sharers: "they are not held by several address spaces, in ascending order"
        case .heldPages: "a holder has pages that are not there, or that it has from elsewhere, too"
        case .noOwner: "the owner does not exist"
        case .twoSections: "there are two sections of pages"
        case .pagesDiffer: "the section has other pages than the owner"
        case .pagesMissing: "the section is missing"
        }
    }
}

/// Refuses unless `kept`.
@inline(__always)
func require(_ kept: Bool, _ rule: ImageRule, _ subject: @autoclosure () -> String) throws(ImageError) {
    if !kept { throw .rule(rule, subject()) }
}
