extension ImageEncoder {
    /// Bytes of records that are gathered for one write.
    private static var bufferSize: Int { 1 << 20 }

    /// Everything before the pages: `start`, the header, and all other metadata.
    package mutating func metadata(_ records: ImageRecords, _ put: ([UInt8]) throws -> Void) throws {
        var buffer = start()
        func add(_ record: [UInt8]) throws {
            buffer += record
            if buffer.count > Self.bufferSize {
                try put(buffer)
                buffer = []
            }
        }
        try add(record(.header, id: 0, records.header))
        for process in records.processes { try add(record(.process, id: process.pid, process)) }
        for thread in records.threads { try add(record(.thread, id: thread.tid, thread)) }
        for space in records.addressSpaces { try add(record(.addressSpace, id: space.id, space)) }
        for table in records.fileTables { try add(record(.fileTable, id: table.id, table)) }
        for file in records.openFiles { try add(record(.openFile, id: file.id, file)) }
        for pipe in records.pipes { try add(record(.pipe, id: pipe.id, pipe)) }
        for terminal in records.terminals { try add(record(.terminal, id: terminal.id, terminal)) }
        for filter in records.callFilters { try add(record(.callFilter, id: filter.id, filter)) }
        for object in records.memoryObjects { try add(record(.memoryObject, id: object.id, object)) }
        for set in records.semaphoreSets { try add(record(.semaphoreSet, id: set.id, set)) }
        for queue in records.messageQueues { try add(record(.messageQueue, id: queue.id, queue)) }
        for directories in records.directories { try add(record(.directories, id: directories.id, directories)) }
        for actions in records.signalActions { try add(record(.signalActions, id: actions.id, actions)) }
        for namespace in records.namespaces { try add(record(.namespace, id: namespace.id, namespace)) }
        for set in records.sharedPages { try add(record(.sharedPages, id: set.id, set)) }
        try put(buffer)
    }
}
