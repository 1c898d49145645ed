extension ImageEncoder {
    /// Everything before the pages: `start`, the header, and all other metadata.
    package mutating func metadata(_ records: ImageRecords) throws(ImageError) -> [UInt8] {
        var bytes = start()
        bytes += try record(.header, id: 0, records.header)
        for process in records.processes { bytes += try record(.process, id: process.pid, process) }
        for thread in records.threads { bytes += try record(.thread, id: thread.tid, thread) }
        for space in records.addressSpaces { bytes += try record(.addressSpace, id: space.id, space) }
        for table in records.fileTables { bytes += try record(.fileTable, id: table.id, table) }
        for file in records.openFiles { bytes += try record(.openFile, id: file.id, file) }
        for pipe in records.pipes { bytes += try record(.pipe, id: pipe.id, pipe) }
        for terminal in records.terminals { bytes += try record(.terminal, id: terminal.id, terminal) }
        for filter in records.callFilters { bytes += try record(.callFilter, id: filter.id, filter) }
        for object in records.memoryObjects { bytes += try record(.memoryObject, id: object.id, object) }
        for set in records.semaphoreSets { bytes += try record(.semaphoreSet, id: set.id, set) }
        for queue in records.messageQueues { bytes += try record(.messageQueue, id: queue.id, queue) }
        for directories in records.directories { bytes += try record(.directories, id: directories.id, directories) }
        for actions in records.signalActions { bytes += try record(.signalActions, id: actions.id, actions) }
        for namespace in records.namespaces { bytes += try record(.namespace, id: namespace.id, namespace) }
        for set in records.sharedPages { bytes += try record(.sharedPages, id: set.id, set) }
        return bytes
    }
}
