extension Renumbering {
    /// The numbers as a table, sorted by new number: old number, new number, name, remarks.
    package func lines(remarks: [UInt32: String] = [:]) -> [String] {
        func cell(_ text: String, _ width: Int) -> String {
            text + String(repeating: " ", count: max(1, width - text.count))
        }
        return [cell("old", 9) + cell("new", 9) + "command"]
            + pairs.map { pair in
                let remark = remarks[pair.new].map { ": " + $0 } ?? ""
                return cell(String(pair.old), 9) + cell(String(pair.new), 9) + pair.title + remark
            }
    }
}
