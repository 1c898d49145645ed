import CheckpointImage
import Testing

/// The rules about sections, through both readers.
@Suite struct SectionRuleTests {
    func refused(_ rule: ImageRule, _ subject: String, _ sections: (inout RawImage) -> Void) {
        var image = RawImage()
        image.metadata(Sample.records())
        sections(&image)
        image.end()
        let expected = ImageError(.rule(rule, subject))
        #expect(throws: expected) { _ = try readFile(image.bytes) }
        #expect(throws: expected) { _ = try readPipe(image.bytes) }
    }

    @Test func ownerExists() {
        refused(.noOwner, "pages of address space 7") { $0.section(PageOwner(.addressSpace, 7), pages: 1) }
        refused(.noOwner, "pages of memory object 2") { $0.section(PageOwner(.memoryObject, 2), pages: 1) }
        refused(.noOwner, "pages of owner kind 5") { $0.section(PageOwner(.UNRECOGNIZED(5), 1), pages: 3) }
    }

    @Test func oneSectionForEachOwner() {
        refused(.twoSections, "pages of address space 1") {
            $0.section(PageOwner(.addressSpace, 1), pages: 3)
            $0.section(PageOwner(.addressSpace, 1), pages: 3)
        }
    }

    @Test func asManyPagesAsTheOwner() {
        refused(.pagesDiffer, "pages of address space 1") {
            $0.section(PageOwner(.addressSpace, 1), pages: 2)
        }
    }

    @Test func everyOwnerHasItsSection() {
        refused(.pagesMissing, "pages of memory object 1") {
            $0.section(PageOwner(.addressSpace, 1), pages: 3)
            $0.section(PageOwner(.addressSpace, 2), pages: 3)
        }
    }
}
