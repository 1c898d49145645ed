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
}
