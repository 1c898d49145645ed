internal import Kernel
internal import LinuxABI

/// Devices with a state of their own, which cannot be saved: what each is, and what helps.
struct DeviceKind: Sendable {
    var major: UInt64
    /// Nil: any.
    var minor: UInt64?
    var name: String
    var help = "close it before the checkpoint"

    /// - Source: Documentation/admin-guide/devices.txt; linux/miscdevice.h.
    private static let all = [
        DeviceKind(major: 1, minor: 1, name: "the machine's memory"),
        DeviceKind(major: 10, minor: 229, name: "the connection of a FUSE file system", help: "unmount it, or checkpoint a tree without its server"),
        DeviceKind(major: 10, minor: 203, name: "the connection of a character device in user space (CUSE)"),
        DeviceKind(major: 10, minor: 200, name: "a network tunnel (tun, tap)", help: "end the tunnel before the checkpoint"),
        DeviceKind(major: 10, minor: 238, name: "a virtual network device (vhost)"),
        DeviceKind(major: 10, minor: 223, name: "an input device made by a program (uinput)"),
        DeviceKind(major: 10, minor: 130, name: "a watchdog timer"),
        DeviceKind(major: 10, minor: 135, name: "the real-time clock device"),
        DeviceKind(major: 10, minor: 228, name: "the high precision timer (hpet)"),
        DeviceKind(major: DeviceMajor.INPUT_MAJOR, name: "an input device"),
        DeviceKind(major: DeviceMajor.FB_MAJOR, name: "a frame buffer"),
        DeviceKind(major: 81, name: "a video device", help: "end the recording or playback"),
        DeviceKind(major: 116, name: "a sound device", help: "end the sound, or let the program use a sound server"),
        DeviceKind(major: 180, name: "a USB device"),
        DeviceKind(major: 189, name: "a USB device"),
        DeviceKind(major: 195, name: "a graphics processor (NVIDIA)", help: "let the program give up the processor"),
        DeviceKind(major: 226, name: "a graphics processor (DRM)", help: "let the program draw without it, for instance LIBGL_ALWAYS_SOFTWARE=1 and no window"),
    ]

    /// Devices of major number 10 that only lead to calls, and keep nothing of those who have them open: loop-control, kvm itself,
    /// the device mapper, autofs, btrfs-control, hwrng, userfaultfd; a tun that has no interface yet.
    ///
    /// - Source: linux/miscdevice.h; drivers/net/tun.c, `tun_chr_show_fdinfo`.
    static func isOnlyADoor(_ sight: OpenFileSight) -> Bool {
        let device = sight.status.specialDevice
        guard device.majorNumber == 10 else { return false }
        if [126, 183, 232, 234, 235, 236, 237].contains(device.minorNumber) { return true }
        return device.minorNumber == 200 && sight.info.value.extra.contains { $0.elementsEqual("iff:\t".utf8) }
    }

    static func refusal(_ sight: OpenFileSight) -> Refusal {
        let path = sight.target.shown
        let (major, minor) = (sight.status.specialDevice.majorNumber, sight.status.specialDevice.minorNumber)
        guard let kind = all.first(where: { $0.major == major && ($0.minor ?? minor) == minor }) else {
            return Refusal("is the device \(path) (\(major):\(minor)), which cannot be saved", help: "close it before the checkpoint")
        }
        return Refusal("is the device \(path) (\(major):\(minor)), \(kind.name), which cannot be saved", help: kind.help)
    }
}
