/// Events and flags of inotify(7).
///
/// - Source: linux/inotify.h.
package enum Inotify {
    package static let IN_ACCESS: UInt32 = 0x1
    package static let IN_MODIFY: UInt32 = 0x2
    package static let IN_ATTRIB: UInt32 = 0x4
    package static let IN_CLOSE_WRITE: UInt32 = 0x8
    package static let IN_CLOSE_NOWRITE: UInt32 = 0x10
    package static let IN_OPEN: UInt32 = 0x20
    package static let IN_MOVED_FROM: UInt32 = 0x40
    package static let IN_MOVED_TO: UInt32 = 0x80
    package static let IN_CREATE: UInt32 = 0x100
    package static let IN_DELETE: UInt32 = 0x200
    package static let IN_DELETE_SELF: UInt32 = 0x400
    package static let IN_MOVE_SELF: UInt32 = 0x800
    package static let IN_UNMOUNT: UInt32 = 0x2000
    package static let IN_Q_OVERFLOW: UInt32 = 0x4000
    package static let IN_IGNORED: UInt32 = 0x8000
    package static let IN_EXCL_UNLINK: UInt32 = 1 << 26
    package static let IN_ISDIR: UInt32 = 1 << 30
    package static let IN_ONESHOT: UInt32 = 1 << 31
}
