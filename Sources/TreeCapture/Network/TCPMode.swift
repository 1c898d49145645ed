/// What becomes of TCP connections that are established, or not closed on both sides yet.
package enum TCPMode: String, Codable, CaseIterable, Sendable {
    /// They go on after a restart.
    case keep
    /// After a restart their other ends have closed them.
    case close
    /// Each is a finding.
    case refuse
}
