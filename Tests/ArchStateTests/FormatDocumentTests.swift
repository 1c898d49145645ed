import ArchState
import Foundation
import Testing

/// The table of records in docs/format.md says what the code writes.
@Suite struct FormatDocumentTests {
    private static let records: [CPURecord] =
        RuleTests.everything.records + SampleARM64.records + SamplePowerPC.server.records
        + SamplePowerPC.embedded.records.filter { $0.feature == UInt32(CPUFeature.spe.rawValue) }

    /// Sizes that depend on a count, for the samples: VL 32, one breakpoint and one watchpoint, two breakpoints.
    private static let variable = [
        "8 + 32 VL + 17 VL / 8": 8 + 32 * 32 + 17 * 4, "8 + 12 (B + W)": 8 + 12 * 2, "16 + 40 N": 16 + 40 * 2,
    ]

    @Test func everyRecordIsDocumentedWithItsSize() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/format.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let table = text.components(separatedBy: "## Processor state").last ?? ""
        var rows: [String: (name: String, size: String)] = [:]
        for line in table.split(separator: "\n") where line.hasPrefix("| ") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            if cells.count == 4, Int(cells[0]) != nil { rows[cells[0]] = (cells[2], cells[3]) }
        }
        #expect(rows.count == CPUFeature.allCases.count)
        for feature in CPUFeature.allCases {
            let row = try #require(rows["\(feature.rawValue)"], "\(feature)")
            #expect(row.name == feature.name)
            let record = try #require(Self.records.first { $0.feature == UInt32(feature.rawValue) }, "\(feature)")
            let terms = row.size.components(separatedBy: " + ").map(Int.init)
            let size = Self.variable[row.size] ?? terms.reduce(0) { $0 + ($1 ?? .min / 4) }
            #expect(record.body.count == size, "\(feature)")
        }
    }
}
