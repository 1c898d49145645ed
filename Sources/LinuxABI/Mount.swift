/// Flags of mount(2).
///
/// - Source: linux/mount.h.
package enum MountFlag {
    package static let MS_RDONLY: UInt32 = 1
    package static let MS_NOSUID: UInt32 = 2
    package static let MS_NODEV: UInt32 = 4
    package static let MS_NOEXEC: UInt32 = 8
    package static let MS_SYNCHRONOUS: UInt32 = 0x10
    package static let MS_REMOUNT: UInt32 = 0x20
    package static let MS_MANDLOCK: UInt32 = 0x40
    package static let MS_DIRSYNC: UInt32 = 0x80
    package static let MS_NOSYMFOLLOW: UInt32 = 0x100
    package static let MS_NOATIME: UInt32 = 0x400
    package static let MS_NODIRATIME: UInt32 = 0x800
    package static let MS_BIND: UInt32 = 0x1000
    package static let MS_MOVE: UInt32 = 0x2000
    package static let MS_REC: UInt32 = 0x4000
    package static let MS_SILENT: UInt32 = 0x8000
    package static let MS_POSIXACL: UInt32 = 0x1_0000
    package static let MS_UNBINDABLE: UInt32 = 0x2_0000
    package static let MS_PRIVATE: UInt32 = 0x4_0000
    package static let MS_SLAVE: UInt32 = 0x8_0000
    package static let MS_SHARED: UInt32 = 0x10_0000
    package static let MS_RELATIME: UInt32 = 0x20_0000
    package static let MS_KERNMOUNT: UInt32 = 0x40_0000
    package static let MS_I_VERSION: UInt32 = 0x80_0000
    package static let MS_STRICTATIME: UInt32 = 0x100_0000
    package static let MS_LAZYTIME: UInt32 = 0x200_0000
}

/// Flags of umount2(2).
///
/// - Source: include/linux/fs.h.
package enum UnmountFlag {
    package static let MNT_FORCE: UInt64 = 1
    package static let MNT_DETACH: UInt64 = 2
    package static let MNT_EXPIRE: UInt64 = 4
    package static let UMOUNT_NOFOLLOW: UInt64 = 8
}

/// Flags of open_tree(2), move_mount(2), fsopen(2), fsmount(2) and mount_setattr(2).
///
/// - Source: linux/mount.h.
package enum MountTree {
    package static let OPEN_TREE_CLONE: UInt64 = 1
    package static let OPEN_TREE_CLOEXEC: UInt64 = 0x8_0000
    package static let MOVE_MOUNT_F_SYMLINKS: UInt64 = 1
    package static let MOVE_MOUNT_F_AUTOMOUNTS: UInt64 = 2
    package static let MOVE_MOUNT_F_EMPTY_PATH: UInt64 = 4
    package static let MOVE_MOUNT_T_SYMLINKS: UInt64 = 0x10
    package static let MOVE_MOUNT_T_AUTOMOUNTS: UInt64 = 0x20
    package static let MOVE_MOUNT_T_EMPTY_PATH: UInt64 = 0x40
    package static let MOVE_MOUNT_SET_GROUP: UInt64 = 0x100
    package static let MOVE_MOUNT_BENEATH: UInt64 = 0x200
    package static let FSOPEN_CLOEXEC: UInt64 = 1
    package static let FSMOUNT_CLOEXEC: UInt64 = 1
    package static let MOUNT_ATTR_RDONLY: UInt64 = 1
    package static let MOUNT_ATTR_NOSUID: UInt64 = 2
    package static let MOUNT_ATTR_NODEV: UInt64 = 4
    package static let MOUNT_ATTR_NOEXEC: UInt64 = 8
    package static let MOUNT_ATTR__ATIME: UInt64 = 0x70
    package static let MOUNT_ATTR_RELATIME: UInt64 = 0
    package static let MOUNT_ATTR_NOATIME: UInt64 = 0x10
    package static let MOUNT_ATTR_STRICTATIME: UInt64 = 0x20
    package static let MOUNT_ATTR_NODIRATIME: UInt64 = 0x80
    package static let MOUNT_ATTR_IDMAP: UInt64 = 0x10_0000
    package static let MOUNT_ATTR_NOSYMFOLLOW: UInt64 = 0x20_0000
}
