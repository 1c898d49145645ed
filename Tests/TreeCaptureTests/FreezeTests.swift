import Kernel
import Testing

@testable import TreeCapture

/// The freeze over a model of the kernel.
@Suite struct FreezeTests {
    /// Whatever the tree does meanwhile: afterwards every task of every process below the root is held and stopped, and who
    /// has left the tree is told.
    @Test func nobodyIsMissed() throws {
        var caught = 0
        for seed in 1...4000 as ClosedRange<UInt64> {
            let world = FreezeWorld(seed: seed)
            let gone = world.leavers.all
            var loop = FreezeLoop(root: FreezeWorld.root, on: ModelGround(world), timeout: 20_000_000_000)
            try loop.run()
            let (living, zombies) = world.members
            let tasks = world.tasks.filter { living.contains($0.value.process) && !$0.value.hasEnded }
            let isHeld = tasks.allSatisfy { tid, task in
                task.isStopped && loop.book.tasks[tid]?.isStopped == true && loop.book.tasks[tid]?.process == task.process
            }
            #expect(isHeld, "seed \(seed): a task runs on")
            #expect(Set(loop.book.tasks.keys) == Set(tasks.keys), "seed \(seed): other tasks are held")
            #expect(Set(loop.book.processes) == living && Set(loop.book.zombies) == zombies, "seed \(seed): other processes")
            let told = Set(loop.book.leavers.map(\.pid))
            #expect(world.leavers.adopted.subtracting(gone).isSubset(of: told) && told.isSubset(of: world.leavers.all), "seed \(seed): who has left")
            caught += tasks.count
            if !isHeld { break }
        }
        #expect(caught > 10_000)
    }

    /// A process of the tree that takes the checkpoint itself runs on, and all others are held as ever.
    @Test func checkpointerIsLeftOut() throws {
        var trees = 0
        for seed in 1...2000 as ClosedRange<UInt64> {
            let world = FreezeWorld(seed: seed)
            let idle = world.processes.filter { pid, process in
                pid != FreezeWorld.root && process.isOfTree && process.habit == .idle && process.threads == [pid] && process.children.isEmpty && !process.hasEnded
            }
            guard let own = idle.keys.min() else { continue }
            var loop = FreezeLoop(root: FreezeWorld.root, on: ModelGround(world), timeout: 20_000_000_000, besides: own)
            try loop.run()
            var (living, zombies) = world.members
            if living.remove(own) != nil {
                zombies.insert(own)
                trees += 1
            }
            #expect(Set(loop.book.processes) == living && Set(loop.book.zombies) == zombies, "seed \(seed): other processes")
            let tasks = world.tasks.filter { living.contains($0.value.process) && !$0.value.hasEnded }
            #expect(Set(loop.book.tasks.keys) == Set(tasks.keys) && tasks.values.allSatisfy(\.isStopped), "seed \(seed): other tasks are held")
            #expect(world.tasks[own]?.isSeized != true && world.tasks[own]?.isStopped != true, "seed \(seed): it is held")
            #expect(!loop.book.leavers.contains { $0.pid == own }, "seed \(seed): it is told")
        }
        #expect(trees > 100)
    }
}
