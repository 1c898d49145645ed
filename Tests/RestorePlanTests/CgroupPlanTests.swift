import CheckpointImage
import Testing

@testable import RestorePlan

/// Where control groups of an image are looked for, and what is refused.
@Suite struct CgroupPlanTests {
    @Test(arguments: [
        ("/a", nil, "/a"), ("/", nil, "/"), ("/a/b/", nil, "/a/b"), ("/a:b", nil, "/a:b"), ("v2:/a", "", "/a"),
        ("memory:/x", "memory", "/x"), ("cpu,cpuacct:/", "cpu,cpuacct", "/"), ("name=systemd:/u:v", "name=systemd", "/u:v"),
    ] as [(String, String?, String)])
    func roots(text: String, hierarchy: String?, path: String) throws {
        let root = try #require(CgroupRoot(text))
        #expect(root.hierarchy == hierarchy && root.path == Array(path.utf8))
    }

    @Test(arguments: ["", "a", "memory", "memory:", "memory:a", "/a/../b", "/..", "/a//b", "/./a", "v2:/.."])
    func rootsThatAreNone(text: String) { #expect(CgroupRoot(text) == nil) }

    private func map(_ places: [(String, String)], _ roots: [String]) -> [String] {
        let all = places.map { CgroupPlace(hierarchy: $0.0, path: $0.1) }
        let mapping = CgroupMapping(all, roots: roots.compactMap { CgroupRoot($0) })
        return all.map { mapping.mapped($0).description }
    }

    @Test func mapping() {
        // Nothing asked for: nothing changed.
        #expect(map([("", "/a/b"), ("cpu", "/")], []) == ["v2:/a/b", "cpu:/"])
        // One cgroup becomes the root.
        #expect(map([("", "/user.slice/s-3.scope")], ["/new"]) == ["v2:/new"])
        // What lies below keeps its place, and so do siblings.
        #expect(map([("", "/a/b"), ("", "/a/b/c/d")], ["/new"]) == ["v2:/new", "v2:/new/c/d"])
        #expect(map([("", "/a/b"), ("", "/a/c")], ["/new"]) == ["v2:/new/b", "v2:/new/c"])
        #expect(map([("", "/a/bc"), ("", "/a/b")], ["/"]) == ["v2:/bc", "v2:/b"])
        // A hierarchy in which the tree was at the top is left alone, unless it was so everywhere or is named.
        #expect(map([("", "/"), ("memory", "/m")], ["/new"]) == ["v2:/", "memory:/new"])
        #expect(map([("", "/"), ("memory", "/")], ["/new"]) == ["v2:/new", "memory:/new"])
        #expect(map([("", "/"), ("memory", "/m")], ["v2:/n"]) == ["v2:/n", "memory:/m"])
        // The top and something below it: the whole hierarchy moves.
        #expect(map([("", "/"), ("", "/x")], ["v2:/n"]) == ["v2:/n", "v2:/n/x"])
        // The last word about a hierarchy counts, the general one does not.
        #expect(map([("", "/a"), ("memory", "/m")], ["v2:/1", "v2:/2", "/3"]) == ["v2:/2", "memory:/3"])
    }

    private func sample() -> Sample {
        var sample = Sample()
        func set(_ places: (String, String)...) -> ImageCgroupSet {
            var set = ImageCgroupSet()
            set.cgroups = places.map { place in
                var cgroup = ImageCgroup()
                cgroup.hierarchy = place.0
                cgroup.path = [UInt8](place.1.utf8).asData
                return cgroup
            }
            return set
        }
        sample.records.header.cgroupSets = [set(("memory", "/m"), ("", "/")), set(("memory", "/m/x"), ("", "/u"))]
        sample.records.processes[0].cgroupSet = 1
        sample.records.processes[1].cgroupSet = 2
        sample.facts.cgroups.own = ["memory": Array("/m".utf8), "": Array("/".utf8), "pids": Array("/p".utf8)]
        for place in [CgroupPlace(hierarchy: "memory", path: "/m/x"), CgroupPlace(hierarchy: "", path: "/u")] {
            sample.facts.cgroups.states[place] = .usable
        }
        return sample
    }

    @Test func moves() throws {
        var sample = sample()
        var thread = ImageThread()
        thread.cgroupSet = 1
        let cgroups = try sample.valid().cgroups
        let image = try sample.valid().image
        #expect(cgroups.set(of: image.processes[0], nil) == 0)
        #expect(cgroups.set(of: image.processes[1], image.threads[1]) == 1)
        #expect(cgroups.set(of: image.processes[1], thread) == 0)
        // The root is born where it belongs; its child moves; a child of the child that belongs to the first set moves back.
        #expect(cgroups.moves(from: nil, to: 0).isEmpty)
        #expect(cgroups.moves(from: 0, to: 1).map(\.description) == ["v2:/u", "memory:/m/x"])
        #expect(cgroups.moves(from: 1, to: 0).map(\.description) == ["v2:/", "memory:/m"])
        sample.options.cgroups.isIgnored = true
        let ignored = try sample.valid().cgroups
        #expect(ignored.set(of: image.processes[1], nil) == nil)
    }

    @Test func everyMissingOneIsAFinding() throws {
        var sample = sample()
        sample.facts.cgroups.states[CgroupPlace(hierarchy: "memory", path: "/m/x")] = .missing
        sample.facts.cgroups.states[CgroupPlace(hierarchy: "", path: "/u")] = .frozen
        sample.options.cgroups.isStrict = true
        let findings = try sample.refusals()
        #expect(findings.map(\.object) == ["cgroup memory:/m/x", "cgroup v2:/u"])
        #expect(findings[0].reason == "does not exist here" && findings[1].reason.hasPrefix("is frozen"))
        #expect(findings.allSatisfy { $0.help.contains("--cgroup ignore") })
        sample.options.cgroups.isIgnored = true
        _ = try sample.valid()
    }

    /// Its tasks leave the group of their creator for that of crrestart.
    @Test func removedOneIsReplaced() throws {
        var sample = sample()
        sample.facts.cgroups.own["memory"] = Array("/ours".utf8)
        sample.facts.cgroups.states[CgroupPlace(hierarchy: "memory", path: "/m")] = .usable
        sample.facts.cgroups.states[CgroupPlace(hierarchy: "memory", path: "/m/x")] = .missing
        let cgroups = try sample.valid().cgroups
        #expect(cgroups.moves(from: 0, to: 1).map(\.description) == ["v2:/u", "memory:/ours"])
        #expect(cgroups.notices.count == 1 && cgroups.notices[0].hasPrefix("cgroup memory:/m/x has been removed: its tasks run in memory:/ours"))
        sample.options.cgroups.roots = [try #require(CgroupRoot("memory:/m"))]
        #expect(try sample.refusals().count == 1)
    }

    @Test func aHierarchyThatIsNotHere() throws {
        var sample = sample()
        sample.facts.cgroups.states = [:]
        sample.facts.cgroups.own = [:]
        // The top of cgroup v2 is nothing to miss.
        #expect(try sample.refusals().map(\.object) == ["cgroup memory:/m", "cgroup memory:/m/x", "cgroup v2:/u"])
        sample.options.cgroups.roots = [try #require(CgroupRoot("pids:/a"))]
        #expect(try sample.refusals().map(\.object).last == "--cgroup-root pids:/a")
    }
}

extension Sample {
    func refusals() throws -> [HostFinding] {
        do {
            _ = try valid()
            return []
        } catch let refusal as ValidImage.Refusal { return refusal.findings }
    }
}
