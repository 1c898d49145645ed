import CheckpointImage
import Testing

@testable import RestorePlan

/// What root is told about images that others can have written.
@Suite struct ImageTrustTests {
    private func warning(_ owner: UInt32, _ mode: UInt32, _ credentials: (inout ImageCredentials) -> Void = { _ in }) throws -> String? {
        var sample = Sample()
        for index in sample.records.threads.indices {
            var one = ImageCredentials()
            (one.realUser, one.effectiveUser, one.savedUser, one.fileSystemUser) = (owner, owner, owner, owner)
            if index > 0 { credentials(&one) }
            sample.records.threads[index].credentials = one
        }
        return ImageTrust(owner: owner, group: 7, mode: mode).warning(about: "a.img", holding: try sample.image())
    }

    @Test func whatOnlyRootOrTheOwnerCanWrite() throws {
        #expect(try warning(0, 0o600) == nil)
        #expect(try warning(0, 0o644) { $0.effectiveUser = 5 } == nil)
        #expect(try warning(1000, 0o600) == nil)
    }

    @Test func whatOthersCanWrite() throws {
        #expect(
            try warning(0, 0o602)
                == "image a.img can be written by every user (mode 602, owner 0), and root makes processes of what it says")
        #expect(try warning(1000, 0o660)?.hasPrefix("image a.img can be written by its group (7) (mode 660, owner 1000)") == true)
    }

    /// An ordinary user's image makes a task that this user could not start.
    @Test func moreThanItsOwnerHas() throws {
        for change: (inout ImageCredentials) -> Void in [
            { $0.realUser = 0 }, { $0.effectiveUser = 0 }, { $0.savedUser = 0 }, { $0.fileSystemUser = 0 },
        ] {
            #expect(try warning(1000, 0o600, change)?.contains("image a.img belongs to user 1000, and root makes processes of user") == true)
        }
        #expect(
            try warning(1000, 0o600) { $0.permitted = 1 }
                == "image a.img belongs to user 1000, and root makes processes with capabilities of what it says, for instance 101 ")
    }
}
