import Testing

/// The built commands on real programs, one test at a time.
///
/// Each test works in a `Scratch` of its own. The tests need root (or its capabilities) and a kernel
/// that can restart pids; elsewhere they are skipped with the reason.
@Suite(.serialized, .enabled(if: Host.missing == nil, "\(Host.missing ?? "")"))
struct EndToEnd {}
