/// Commands and flags of semctl(2), semget(2), shmctl(2), shmat(2) and msgctl(2).
///
/// - Source: linux/ipc.h, linux/sem.h, linux/shm.h, linux/msg.h.
package enum IPC {
    package static let IPC_CREAT: UInt64 = 512
    package static let IPC_EXCL: UInt64 = 1024
    package static let IPC_NOWAIT: UInt64 = 2048
    package static let IPC_RMID: UInt64 = 0
    package static let IPC_SET: UInt64 = 1
    package static let IPC_STAT: UInt64 = 2
    package static let IPC_INFO: UInt64 = 3
    package static let IPC_64: UInt64 = 256
    package static let SEM_UNDO: UInt64 = 4096
    package static let GETPID: UInt64 = 11
    package static let GETVAL: UInt64 = 12
    package static let GETALL: UInt64 = 13
    package static let GETNCNT: UInt64 = 14
    package static let GETZCNT: UInt64 = 15
    package static let SETVAL: UInt64 = 16
    package static let SETALL: UInt64 = 17
    package static let SEM_STAT: UInt64 = 18
    package static let SEM_INFO: UInt64 = 19
    package static let SEM_STAT_ANY: UInt64 = 20
    package static let SHM_RDONLY: UInt64 = 4096
    package static let SHM_RND: UInt64 = 8192
    package static let SHM_REMAP: UInt64 = 16384
    package static let SHM_EXEC: UInt64 = 32768
    package static let SHM_LOCK: UInt64 = 11
    package static let SHM_UNLOCK: UInt64 = 12
    package static let SHM_STAT: UInt64 = 13
    package static let SHM_INFO: UInt64 = 14
    package static let SHM_STAT_ANY: UInt64 = 15
    package static let SHM_HUGETLB: UInt64 = 2048
    package static let SHM_NORESERVE: UInt64 = 4096
    package static let SHM_DEST: UInt64 = 512
    package static let SHM_LOCKED: UInt64 = 1024
    package static let MSG_STAT: UInt64 = 11
    package static let MSG_INFO: UInt64 = 12
    package static let MSG_STAT_ANY: UInt64 = 13
    package static let MSG_NOERROR: UInt64 = 4096
    package static let MSG_EXCEPT: UInt64 = 8192
    package static let MSG_COPY: UInt64 = 16384
}
