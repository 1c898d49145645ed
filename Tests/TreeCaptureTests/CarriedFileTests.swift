import Testing

@testable import TreeCapture

/// The words of `--with-files`.
@Suite struct CarriedFileTests {
    @Test func words() throws {
        #expect(CarriedFiles("programs")?.programs == true && CarriedFiles("programs")?.open == nil)
        #expect(CarriedFiles("open")?.programs == false && CarriedFiles("open")?.open == 64 << 20)
        let all = try #require(CarriedFiles("all:4M"))
        #expect(all.programs && all.open == 4 << 20)
        #expect(CarriedFiles("open:100")?.open == 100 && CarriedFiles("open:2k")?.open == 2048)
        for wrong in ["", "none", "programs:4M", "open:", "open:M", "open:-1", "all:9999999999T", "all:4X"] {
            #expect(CarriedFiles(wrong) == nil, "\(wrong)")
        }
    }
}
