import CheckpointImage
import FoundationEssentials
import LinuxABI
import Testing

@testable import RestorePlan

/// How the queue of an inotify is filled so that the program's events are left in it.
struct InotifyQueuePlanTests {
    private func inotify(_ events: [(watch: Int32, mask: UInt32, cookie: UInt32, name: String)]) -> ImageInotify {
        var inotify = ImageInotify()
        inotify.events = events.map { seen in
            var event = ImageWaitingEvent()
            (event.watch, event.mask, event.cookie, event.name) = (seen.watch, seen.mask, seen.cookie, Array(seen.name.utf8).asData)
            return event
        }
        return inotify
    }

    @Test func withoutAnOverflow() throws {
        let made = inotify([
            (1, Inotify.IN_CREATE, 0, "sixteen bytes..."), (1, Inotify.IN_MOVED_FROM, 7, "a"), (2, Inotify.IN_MOVED_TO, 7, "b"),
            (3, Inotify.IN_DELETE_SELF, 0, ""), (3, Inotify.IN_IGNORED, 0, ""),
        ])
        let plan = try #require(InotifyQueuePlan(made, most: 100))
        #expect(plan.before.isEmpty)
        #expect(plan.behind == [.single(0), .rename(from: 1, to: 2), .end(3)])
        // The queue is filled, one more event makes it say so, and six are taken to make room for five.
        #expect(plan.fillers == 100 && plan.readEarly == 6 && plan.filler == 4)
        #expect(plan.front == 95 * 16)
        #expect(plan.bytes == 95 * 16 + (16 + 32) + 2 * 32 + 2 * 16)
    }

    @Test func withAnOverflow() throws {
        let made = inotify([(5, Inotify.IN_OPEN, 0, ""), (-1, Inotify.IN_Q_OVERFLOW, 0, ""), (5, Inotify.IN_MODIFY, 0, "")])
        let plan = try #require(InotifyQueuePlan(made, most: 10))
        #expect(plan.before == [.single(0)] && plan.behind == [.single(2)])
        #expect(plan.fillers == 9 && plan.readEarly == 2)
        // The overflow is the program's: it stays.
        #expect(plan.front == 7 * 16 && plan.bytes == 7 * 16 + 3 * 16)
    }

    @Test func tooManyForTheQueue() {
        let made = inotify([(1, Inotify.IN_OPEN, 0, ""), (1, Inotify.IN_MODIFY, 0, "")])
        #expect(InotifyQueuePlan(made, most: 2) == nil)
        #expect(InotifyQueuePlan(made, most: 3) != nil)
        #expect(InotifyQueuePlan(made, most: 1 << 21) == nil)
    }
}
