import Testing

@testable import TreeCapture

/// What is made of the kernel's table of TCP sockets.
@Suite struct TCPTableTests {
    private func four(_ last: UInt8, _ port: UInt8) -> [UInt8] { [2, 0, 0, port, 10, 0, 0, last] + [UInt8](repeating: 0, count: 8) }

    private var any: [UInt8] { [2, 0, 0, 80] + [UInt8](repeating: 0, count: 12) }

    @Test func connectionOfAListener() {
        #expect(TCPSocket.belongs(four(1, 80), to: four(1, 80)) && TCPSocket.belongs(four(1, 80), to: any))
        #expect(!TCPSocket.belongs(four(1, 80), to: four(2, 80)) && !TCPSocket.belongs(four(1, 81), to: any))
        #expect(!TCPSocket.belongs(four(1, 80), to: any + [UInt8](repeating: 0, count: 12)))
    }

    /// Connections that were not accepted are told by their other ends, the first three of them.
    @Test func noticeOfUnaccepted() throws {
        var sight = try #require(Recordings.files().sight.files.first)
        #expect(TCPSocket.noticeOfUnaccepted(sight) == nil)
        sight[number: "waiting"] = 2
        sight[number: "unacceptedHere"] = 2
        #expect(TCPSocket.noticeOfUnaccepted(sight) == nil)
        sight[number: "waiting"] = 3
        sight.details["local"] = "10.0.0.1:80"
        sight.details["lost"] = "10.0.0.9:1000 0"
        #expect(try #require(TCPSocket.noticeOfUnaccepted(sight)).hasPrefix("10.0.0.1:80: 1 connection (10.0.0.9:1000) that the program has not accepted yet is not in the image"))
        sight[number: "waiting"] = 6
        sight.details["lost"] = "10.0.0.9:1000 0 10.0.0.9:1001 17 10.0.0.9:1002 0 10.0.0.9:1003 0"
        let many = try #require(TCPSocket.noticeOfUnaccepted(sight))
        #expect(many.contains("4 connections (10.0.0.9:1000, 10.0.0.9:1001, which has sent 17 B, 10.0.0.9:1002, ...) that the program"), "\(many)")
    }
}
