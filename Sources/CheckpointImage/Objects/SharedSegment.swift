/// Rules of System V shared memory.
extension ImageLookup {
    func validateSegments(_ objects: [ImageMemoryObject]) throws(ImageError) {
        var numbers: Set<UInt32> = []
        var keys: Set<UInt32> = []
        for object in objects where object.hasSegment {
            let (segment, subject) = (object.segment, { "memory object \(object.id)" })
            try require(segment.number <= Int32.max && segment.mode <= 0o777 && object.size > 0, .segmentRange, subject())
            try require(numbers.insert(segment.number).inserted, .segmentTwice, subject())
            try require(segment.key == 0 || keys.insert(segment.key).inserted, .segmentTwice, subject())
        }
    }
}
