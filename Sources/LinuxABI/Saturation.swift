infix operator +| : AdditionPrecedence
infix operator -| : AdditionPrecedence

/// Sums and differences that stop at the largest or smallest number instead of trapping.
///
/// For times: an image can contain any 64-bit number, and a time in 292 years has the same effect as a later one.
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
