package import ArchState
package import CheckpointImage

/// What a restart needs to know of this host, asked once before anything is decided.
///
/// Values only: tests make them up.
package struct HostFacts: Sendable {
    /// A file named in the image, as it is here.
    package struct File: Sendable {
        package var size: UInt64
        package var modified: Int64
        package var mode: UInt32
        package var buildID: [UInt8]

        package init(size: UInt64, modified: Int64, mode: UInt32, buildID: [UInt8]) {
            self.size = size
            self.modified = modified
            self.mode = mode
            self.buildID = buildID
        }
    }

    package struct Range: Sendable, Equatable {
        package var start: UInt64
        package var end: UInt64

        package init(start: UInt64, end: UInt64) {
            self.start = start
            self.end = end
        }
    }

    package var architecture = ""
    package var pageSize: UInt64 = 4096
    /// By path: what is there, or the name of the errno.
    package var files: [String: Result<File, MissingFile>] = [:]
    /// Numbers of the image that are taken here, and by whom.
    package var takenPids: [UInt32: String] = [:]
    /// Numbers that neither the image nor anybody here has: as many as placeholders are needed.
    package var spareNumbers: [UInt32] = []
    /// Likewise for all tasks of the tree, if they shall have new ones.
    package var freshNumbers: [UInt32] = []
    package var cpu = CPUOffer(features: [])
    package var xsaveLayout: XSaveLayout?
    /// The vdso of this kernel: sizes, checksum, and where the tool itself has its parts.
    package var vdso = ImageVdso()
    package var vdsoParts: [Range] = []
    /// What this kernel gives to 32-bit programs, and where in its code an `int $0x80` is. Nil where it runs
    /// none, or where the image holds none.
    package var compatVdso: ImageVdso?
    package var compatCallOffset: UInt64 = 0
    /// Mappings of the tool itself: nothing may be put there before they are gone.
    package var ownMappings: [Range] = []
    package var ownRseq: (address: UInt64, size: UInt32, signature: UInt32) = (0, 0, 0)
    /// What a task starts with unless a step changes it.
    package var ownCredentials = ImageCredentials()
    package var ownScheduling = ImageScheduling()
    package var ownOomScoreAdjustment: Int32 = 0
    /// By RLIMIT_* number.
    package var hardLimits: [UInt64] = []
    package var mayRaiseLimits = false
    package var mayMakeNamespaces = true
    package var numbers = NumberFacts()
    package var bootID = ""
    package var mayMakeTimeNamespace = true
    /// Which of 0, 1, 2 of the tool are terminals.
    package var terminals: [Bool] = [false, false, false]
    /// Which of them an epoll can watch.
    package var watchable: [Bool] = [true, true, true]
    /// PR_TIMER_CREATE_RESTORE_IDS, TFD_IOC_SET_TICKS, CAP_WAKE_ALARM.
    package var mayChooseTimerIDs = true
    package var maySetExpirations = true
    package var mayWakeSystem = true
    /// Semaphore sets that are here, by number, and whether one can be made with a given number.
    package var semaphoreSets: [UInt32: SemaphoreSet] = [:]
    package var mayChooseSemaphoreNumbers = true
    package var cgroups = CgroupFacts()

    package init() {}
}

package struct MissingFile: Error, Sendable, Equatable {
    package var errno: String

    package init(errno: String) { self.errno = errno }

    /// It is there, but not for crrestart.
    var isRefusal: Bool { errno == "EACCES" || errno == "EROFS" }

    var help: String {
        switch errno {
        case "EACCES": "the user of crrestart may not open it as the program had it: be root, or change its mode"
        case "EROFS": "the program had it open for writing: its file system is read-only here"
        default: "the file existed at the checkpoint: put it back"
        }
    }
}

/// What the user chose.
package struct RestartOptions: Sendable {
    /// A new pid namespace, or the pids of this one; nil: the plan decides.
    package var newPidNamespace: Bool?
    /// How pages get from the image into tasks.
    package var delivery = PageDelivery.inPlace
    /// The image comes on standard input: the tree gets another one.
    package var imageIsStandardInput = false
    /// The tree has the numbers of the image; otherwise fresh ones of this pid namespace.
    package var keepsPids = true
    /// No `set_tid` even where it is to be had: pids come from `ns_last_pid`.
    package var usesLastPid = false
    /// Keeps the source kernel's vdso beside this kernel's even where the two are the same.
    package var keepsOldVdso = false
    package var time = TimeModel.relative
    /// Refuses a host that lacks instructions which the source host offered.
    package var isStrictAboutCPU = false
    package var cgroups = CgroupOptions()

    package init() {}
}

/// One reason why this host cannot run the image.
package struct HostFinding: Sendable, Equatable {
    package var object: String
    package var reason: String
    package var help: String

    package var line: String { "\(object): \(reason)" + (help.isEmpty ? "" : " (\(help))") }
}
