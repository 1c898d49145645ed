/// Where lseek(2) counts from.
///
/// - Source: linux/fs.h.
package enum Seek {
    package static let SEEK_SET: UInt64 = 0
    package static let SEEK_CUR: UInt64 = 1
    package static let SEEK_END: UInt64 = 2
    package static let SEEK_DATA: UInt64 = 3
    package static let SEEK_HOLE: UInt64 = 4
}

/// `st_mode`: the kind of a file and its permissions.
///
/// - Source: linux/stat.h.
package enum FileMode {
    package static let S_IFMT: UInt32 = 0o170000
    package static let S_IFSOCK: UInt32 = 0o140000
    package static let S_IFLNK: UInt32 = 0o120000
    package static let S_IFREG: UInt32 = 0o100000
    package static let S_IFBLK: UInt32 = 0o60000
    package static let S_IFDIR: UInt32 = 0o40000
    package static let S_IFCHR: UInt32 = 0o20000
    package static let S_IFIFO: UInt32 = 0o10000
    package static let S_ISUID: UInt32 = 0o4000
    package static let S_ISGID: UInt32 = 0o2000
    package static let S_ISVTX: UInt32 = 0o1000
    package static let S_IRUSR: UInt32 = 0o400
    package static let S_IWUSR: UInt32 = 0o200
    package static let S_IXUSR: UInt32 = 0o100
    package static let S_IRGRP: UInt32 = 0o40
    package static let S_IWGRP: UInt32 = 0o20
    package static let S_IXGRP: UInt32 = 0o10
    package static let S_IROTH: UInt32 = 0o4
    package static let S_IWOTH: UInt32 = 0o2
    package static let S_IXOTH: UInt32 = 0o1
}

/// Major numbers of devices.
///
/// - Source: linux/major.h; Documentation/admin-guide/devices.txt.
package enum DeviceMajor {
    package static let MEM_MAJOR: UInt64 = 1
    package static let TTY_MAJOR: UInt64 = 4
    package static let TTYAUX_MAJOR: UInt64 = 5
    package static let MISC_MAJOR: UInt64 = 10
    package static let INPUT_MAJOR: UInt64 = 13
    package static let FB_MAJOR: UInt64 = 29
    package static let UNIX98_PTY_MASTER_MAJOR: UInt64 = 128
    package static let UNIX98_PTY_MAJOR_COUNT: UInt64 = 8
    package static let UNIX98_PTY_SLAVE_MAJOR: UInt64 = 136
}
