import CheckpointImage
import FoundationEssentials

extension RuleTests {
    private static func attribute(_ name: String, count: Int) -> ImageFileAttribute {
        var attribute = ImageFileAttribute()
        attribute.name = Data(name.utf8)
        attribute.value = Data(repeating: 1, count: count)
        return attribute
    }

    static let memory: [Breach] = [
        Breach(.mappingEmpty, "mapping 0x400000 of address space 1") {
            $0.addressSpaces[0].mappings[0].end = 0x40_0000
        },
        Breach(.mappingAlignment, "mapping 0x400001 of address space 1") {
            $0.addressSpaces[0].mappings[0].start += 1
        },
        Breach(.mappingAlignment, "mapping 0x400000 of address space 1") {
            $0.addressSpaces[0].mappings[0].end -= 1
        },
        Breach(.mappingOrder, "mapping 0x404000 of address space 1") {
            $0.addressSpaces[0].mappings[0].end += 0x1000
        },
        Breach(.mappingOrder, "mapping 0x400000 of address space 1") {
            $0.addressSpaces[0].mappings.swapAt(0, 1)
        },
        Breach(.mappingBeyond, "mapping 0x410000 of address space 1") {
            $0.addressSpaces[0].mappings[2].end = end + 0x1000
        },
        Breach(.tooMany, "mappings of address space 1") { records in
            records.addressSpaces[0].mappings = Array(repeating: ImageMapping(), count: 1 << 22 + 1)
        },
        Breach(.protection, "mapping 0x400000 of address space 1") {
            $0.addressSpaces[0].mappings[0].protection = 8
        },
        Breach(.mappingFlags, "mapping 0x400000 of address space 1") {
            $0.addressSpaces[0].mappings[0].flags = 1 << 63
        },
        Breach(.mappingKind, "mapping 0x400000 of address space 1") {
            $0.addressSpaces[0].mappings[0].kind = .UNRECOGNIZED(9)
        },
        Breach(.mappingOffset, "mapping 0x404000 of address space 1") {
            $0.addressSpaces[0].mappings[1].offset = 1
        },
        Breach(.mappingOffset, "mapping 0x410000 of address space 1") {
            $0.addressSpaces[0].mappings[2].offset = UInt64(Int64.max) & ~4095
        },
        Breach(.noMemoryObject, "mapping 0x410000 of address space 1") {
            $0.addressSpaces[0].mappings[2].object = 2
        },
        Breach(.pathMissing, "mapping 0x404000 of address space 1") {
            $0.addressSpaces[0].mappings[1].file.path = Data()
        },
        Breach(.areaOrder, "address space 1") { $0.addressSpaces[0].startCode = 1 },
        Breach(.areaOrder, "address space 1") { $0.addressSpaces[0].argumentEnd = 0 },
        Breach(.address, "address space 1") { $0.addressSpaces[0].currentBreak = end + 1 },
        Breach(.address, "address space 1") { $0.addressSpaces[0].startStack = .max },
        Breach(.auxiliaryVector, "address space 1") { $0.addressSpaces[0].auxiliaryVector = Data(count: 4) },
        Breach(.auxiliaryVector, "address space 1") {
            $0.addressSpaces[0].auxiliaryVector = Data(count: 4104)
        },
        Breach(.runCounts, "address space 1") { $0.addressSpaces[0].runLength.removeLast() },
        Breach(.runEmpty, "address space 1") { $0.addressSpaces[0].runLength[1] = 0 },
        Breach(.runOrder, "address space 1") { $0.addressSpaces[0].runLength[0] = 3 },
        Breach(.runOrder, "address space 1") { $0.addressSpaces[0].runPage.swapAt(0, 1) },
        // In a hole, across a hole, in a shared mapping, before everything, past all bounds.
        Breach(.runOutside, "address space 1") { $0.addressSpaces[0].runPage[1] = 0x406 },
        Breach(.runOutside, "address space 1") { $0.addressSpaces[0].runLength[1] = 3 },
        Breach(.runOutside, "address space 1") { $0.addressSpaces[0].runPage[1] = 0x410 },
        Breach(.runOutside, "address space 1") { $0.addressSpaces[0].runPage[0] = 0 },
        Breach(.runOutside, "address space 1") { $0.addressSpaces[0].runLength[1] = .max },
        Breach(.runOutside, "address space 1") { $0.addressSpaces[0].runPage[1] = .max },
        Breach(.runOutside, "address space 1") { $0.addressSpaces[0].mappings[0].kind = .vdsoData },
        Breach(.runOutside, "memory object 1") { $0.memoryObjects[0].runPage[0] = 2 },
        Breach(.wordSize, "address space 1") { records in
            records.header.architecture = "aarch64"
            records.addressSpaces[0].is32Bit = true
        },
        Breach(.wordSize, "thread 11 of process 10") { records in
            records.header.architecture = "aarch64"
            records.threads[1].callIs32Bit = true
        },
        Breach(.address, "thread 11 of process 10") { records in
            records.threads[1].callIs32Bit = true
            records.threads[1].restartBlock.kind = .poll
            records.threads[1].restartBlock.userAddress = 1 << 32
        },
        Breach(.restartBlock, "thread 11 of process 10") { records in
            records.threads[1].restartBlock.kind = .nanosleep
            records.threads[1].timeLeftIs32Bit = true
        },
        Breach(.restartBlock, "thread 11 of process 10") { records in
            records.threads[1].callIs32Bit = true
            records.threads[1].restartBlock.kind = .poll
            records.threads[1].timeLeftIs32Bit = true
        },
        Breach(.mappingBeyond, "mapping 0x410000 of address space 1") { records in
            records.addressSpaces[0].is32Bit = true
            records.addressSpaces[0].mappings[2].end = 1 << 32 + 0x1000
        },
        Breach(.address, "signal actions 1") { records in
            records.addressSpaces[0].is32Bit = true
            records.signalActions[0].actions[0].handler = 1 << 32
        },
        Breach(.address, "thread 11 of process 10") { records in
            records.addressSpaces[0].is32Bit = true
            records.threads[1].robustList = 1 << 32
        },
        Breach(.objectSize, "memory object 1") { $0.memoryObjects[0].size = .max },
        Breach(.seals, "memory object 1") { $0.memoryObjects[0].seals = 64 },
        Breach(.hugePages, "mapping 0x400000 of address space 1") { $0.addressSpaces[0].mappings[0].hugePageShift = 21 },
        Breach(.hugePages, "memory object 1") { $0.memoryObjects[0].hugePageShift = 70 },
        Breach(.hugePages, "mapping 0x410000 of address space 1") { $0.memoryObjects[0].hugePageShift = 21 },
        Breach(.fileAttribute, "memory object 1") { $0.memoryObjects[0].attributes = [attribute("security.capability", count: 20)] },
        Breach(.fileAttribute, "memory object 1") { $0.memoryObjects[0].attributes = [attribute("user.a\0b", count: 1)] },
        Breach(.fileAttribute, "memory object 1") { $0.memoryObjects[0].attributes = [attribute("user." + String(repeating: "n", count: 251), count: 1)] },
        Breach(.fileAttribute, "memory object 1") { $0.memoryObjects[0].attributes = [attribute("user.a", count: 65537)] },
        Breach(.mappingName, "mapping 0x400000 of address space 1") { $0.addressSpaces[0].mappings[0].name.append(0) },
        Breach(.memoryAttributes, "address space 1") { $0.addressSpaces[0].locksToCome = 4 },
        Breach(.memoryAttributes, "address space 1") { $0.addressSpaces[0].writeExecute = 2 },
        Breach(.memoryAttributes, "address space 1") { $0.addressSpaces[0].hugePagesDisabled = 4 },
        Breach(.runOutside, "address space 1") {
            $0.addressSpaces[0].guardPage = [1 << 40]
            $0.addressSpaces[0].guardLength = [1]
        },
        Breach(.runOutside, "address space 1") {
            // Where nothing is mapped.
            $0.addressSpaces[0].guardPage = [0x10]
            $0.addressSpaces[0].guardLength = [1]
        },
        Breach(.address, "address space 1") { records in
            var word = ImageRobustWord()
            word.address = 0x1001
            records.addressSpaces[0].robustWords = [word]
        },
        Breach(.asynchronousRing, "address space 1") { records in
            // A ring without a mapping.
            var ring = ImageAsynchronousRing()
            ring.address = 0x400000
            ring.requests = 4
            records.addressSpaces[0].rings = [ring]
        },
        Breach(.pathWithZero, "memory object 1") { $0.memoryObjects[0].name.append(0) },
    ]
}
