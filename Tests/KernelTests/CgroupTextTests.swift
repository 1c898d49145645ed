import Testing

@testable import Kernel

/// Control groups as the kernel lists them.
@Suite struct CgroupTextTests {
    @Test func memberships() throws {
        let text = """
            12:cpu,cpuacct:/a b/c:d
            2:name=systemd:/user.slice
            1::weird
            0::/

            """
        #expect(throws: SystemError.self) { try CgroupMembership.parse(Array(text.utf8)) }
        let good = Array(text.replacing("1::weird\n", with: "").utf8)
        #expect(
            try CgroupMembership.parse(good) == [
                CgroupMembership(hierarchy: "cpu,cpuacct", path: "/a b/c:d"),
                CgroupMembership(hierarchy: "name=systemd", path: "/user.slice"),
                CgroupMembership(hierarchy: "", path: "/"),
            ])
        #expect(try CgroupMembership.parse([]).isEmpty)
        for wrong in ["1:cpu\n", "1:cpu:\n", "nothing\n"] {
            #expect(throws: SystemError.self) { try CgroupMembership.parse(Array(wrong.utf8)) }
        }
    }

    private let mounts = CgroupMount.parse(
        Array(
            """
            31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:7 master:1 - cgroup cgroup rw,cpu,cpuacct
            40 31 0:37 /docker/1 /sys/fs/cgroup/my\\040systemd rw - cgroup cgroup rw,xattr,name=systemd
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
            42 31 0:39 / /cut - cgroup

            """.utf8))

    @Test func mountedHierarchies() {
        #expect(
            mounts == [
                CgroupMount(options: ["rw", "cpu", "cpuacct"], mountPoint: "/sys/fs/cgroup/cpu,cpuacct", root: "/"),
                CgroupMount(options: ["rw", "xattr", "name=systemd"], mountPoint: "/sys/fs/cgroup/my systemd", root: "/docker/1"),
                CgroupMount(options: nil, mountPoint: "/sys/fs/cgroup/unified", root: "/"),
            ])
        #expect(mounts[0].holds("cpu,cpuacct") && mounts[0].holds("cpuacct") && !mounts[0].holds("cpu,memory"))
        #expect(!mounts[0].holds("") && mounts[2].holds("") && !mounts[2].holds("cpu"))
    }

    @Test(arguments: [
        ("", "/", "/sys/fs/cgroup/unified"), ("", "/a/b", "/sys/fs/cgroup/unified/a/b"),
        ("cpu,cpuacct", "/x", "/sys/fs/cgroup/cpu,cpuacct/x"), ("name=systemd", "/docker/1", "/sys/fs/cgroup/my systemd"),
        ("name=systemd", "/docker/1/x", "/sys/fs/cgroup/my systemd/x"), ("name=systemd", "/docker/12", nil),
        ("name=systemd", "/", nil), ("memory", "/", nil),
    ] as [(String, String, String?)])
    func directories(hierarchy: String, path: String, directory: String?) {
        let found = CgroupDirectory(CgroupMembership(hierarchy: hierarchy, path: path), among: mounts)
        #expect(found?.path == directory)
        #expect(found == nil || found?.isVersion2 == hierarchy.isEmpty)
    }

    @Test func entrances() throws {
        let old = try #require(CgroupDirectory(CgroupMembership(hierarchy: "cpu", path: "/x"), among: mounts))
        let new = try #require(CgroupDirectory(CgroupMembership(hierarchy: "", path: "/x"), among: mounts))
        #expect(old.entrance(forThread: false) == Array("/sys/fs/cgroup/cpu,cpuacct/x/cgroup.procs".utf8))
        #expect(old.entrance(forThread: true) == Array("/sys/fs/cgroup/cpu,cpuacct/x/tasks".utf8))
        #expect(new.entrance(forThread: true) == Array("/sys/fs/cgroup/unified/x/cgroup.threads".utf8))
    }
}
