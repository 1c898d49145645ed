/// Two open descriptors that another program has named: one to read from, one to write to; or a socket for both.
package struct DescriptorPair: Sendable {
    package let input: Int32
    package let output: Int32

    /// - Parameter text: `N`: read and write descriptor N (a socket); `N,M`: read N, write M. Nil: it is something else.
    package init?(_ text: String) {
        let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { Int32($0) }
        guard (1...2).contains(numbers.count), let first = numbers[0], let last = numbers[numbers.count - 1], first >= 0, last >= 0
        else { return nil }
        (input, output) = (first, last)
    }

    /// The descriptors that were named.
    package var numbers: [Int32] { input == output ? [input] : [input, output] }
}
