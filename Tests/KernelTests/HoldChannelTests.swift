import Kernel
import Testing

struct HoldChannelTests {
    @Test(arguments: [("3", [3]), ("3,4", [3, 4]), ("7,7", [7])] as [(String, [Int32])])
    func numbers(text: String, numbers: [Int32]) throws {
        #expect(try #require(HoldChannel(text)).numbers == numbers)
    }

    @Test(arguments: ["", "x", "3,", ",3", "3,4,5", "-1", "3 4"]) func refused(text: String) { #expect(HoldChannel(text) == nil) }

    /// Lines come one by one, however they arrive; a line without an end does not count.
    @Test func lines() throws {
        let (input, writer) = try DescriptorTable.pipe()
        let (reader, output) = try DescriptorTable.pipe()
        defer { for number in [input, reader, output] { DescriptorTable.close(number) } }
        let channel = try #require(HoldChannel("\(input),\(output)"))
        #expect(channel.next(within: 0, unless: { false }) == .silent)
        #expect(channel.next(within: nil, unless: { true }) == .interrupted)
        Channel.send(Array("ask\nkeep /a b\nki".utf8), over: writer)
        #expect(channel.next(within: nil, unless: { false }) == .line("ask"))
        #expect(channel.next(within: nil, unless: { false }) == .line("keep /a b"))
        #expect(channel.next(within: 0, unless: { false }) == .silent)
        DescriptorTable.close(writer)
        #expect(channel.next(within: nil, unless: { false }) == .closed)
    }

    /// The end of the process that reads the answers is an end, too.
    @Test func answersWithoutReader() throws {
        let (input, writer) = try DescriptorTable.pipe()
        let (reader, output) = try DescriptorTable.pipe()
        defer { for number in [input, writer, output] { DescriptorTable.close(number) } }
        let channel = try #require(HoldChannel("\(input),\(output)"))
        DescriptorTable.close(reader)
        #expect(channel.next(within: nil, unless: { false }) == .closed)
    }
}
