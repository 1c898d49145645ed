/// Whether this names a lock of connections: 16 hexadecimal digits.
package func isLockID(_ text: String) -> Bool {
    text.utf8.count == 16 && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0) }
}
