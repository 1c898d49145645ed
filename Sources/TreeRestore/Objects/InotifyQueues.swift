internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan

/// Makes the inotify instances in which events wait. The tasks inherit them, and add the watches of the program.
enum InotifyQueues {
    /// - Preconditions: runs in the inner half; no process uses what stands at the numbers of `high`.
    static func make(_ plan: RestorePlan) throws(SystemError) {
        for (place, id) in plan.valid.image.inotifiesWithEvents.enumerated() {
            guard case .inotify(let inotify)? = plan.valid.image.openFile(id)?.object,
                let queue = InotifyQueuePlan(inotify, most: plan.valid.facts.mostQueuedEvents)
            else { continue }
            let made = try make(inotify, queue)
            try DescriptorTable.place(made.number, at: plan.high.inotify(place))
        }
    }

    /// ```
    /// fillers | what happened before the overflow | overflow | what happened since
    /// ```
    /// The fillers go when the tree's time runs again, and with them the overflow if the program's queue had none.
    private static func make(_ inotify: ImageInotify, _ queue: InotifyQueuePlan) throws(SystemError) -> Descriptor {
        var stage = try InotifyStage.make()
        let (filler, directories) = (queue.filler, inotify.eventDirectories)
        try stage.watch(filler, isDirectory: false)
        try stage.fill(queue.fillers, watch: filler)
        for happening in queue.before { try make(happening, of: inotify, directories, &stage) }
        // One more than the queue holds.
        try stage.fill(1, watch: filler)
        try stage.readAway(queue.readEarly * 16)
        for happening in queue.behind { try make(happening, of: inotify, directories, &stage) }
        try stage.removeAll()
        guard try stage.waiting() == queue.bytes else { throw SystemError(Errno.EAGAIN, in: "inotify: the queue has another length than fs.inotify.max_queued_events") }
        return try stage.finish()
    }

    private static func make(
        _ happening: ImageInotify.Happening, of inotify: ImageInotify, _ directories: Set<Int32>, _ stage: inout InotifyStage
    ) throws(SystemError) {
        func watch(_ event: ImageWaitingEvent, _ stage: inout InotifyStage) throws(SystemError) {
            try stage.watch(event.watch, isDirectory: directories.contains(event.watch))
        }
        switch happening {
        case .single(let place):
            let event = inotify.events[place]
            try watch(event, &stage)
            if event.kind == Inotify.IN_IGNORED {
                try stage.remove(event.watch)
            } else {
                let isDirectory = event.name.isEmpty ? directories.contains(event.watch) : event.isDirectory
                try stage.happen(event.watch, event.kind, isDirectory: isDirectory, name: event.name.asBytes)
            }
        case .rename(let from, let to):
            let (old, new) = (inotify.events[from], inotify.events[to])
            try watch(old, &stage)
            try watch(new, &stage)
            try stage.move(old.watch, old.name.asBytes, to: new.watch, new.name.asBytes, isDirectory: old.isDirectory)
        case .end(let place):
            try watch(inotify.events[place], &stage)
            try stage.end(inotify.events[place].watch)
        }
    }
}
