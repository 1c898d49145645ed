infix operator +| : AdditionPrecedence
infix operator -| : AdditionPrecedence

/// Sums and differences that stop at the largest or smallest number instead of trapping.
///
/// For times: an image may state any of 64 bits, and "in 292 years" is as good as "never".
extension FixedWidthInteger {
    package static func +| (left: Self, right: Self) -> Self {
        let (sum, overflows) = left.addingReportingOverflow(right)
        return overflows ? (right < 0 ? .min : .max) : sum
    }

    package static func -| (left: Self, right: Self) -> Self {
        let (difference, overflows) = left.subtractingReportingOverflow(right)
        return overflows ? (right < 0 ? .max : .min) : difference
    }
}
