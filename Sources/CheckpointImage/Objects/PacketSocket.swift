import FoundationEssentials
internal import LinuxABI

/// A packet(7) socket.
extension ImagePacketSocket: SavedObject {
    package func check(_ rules: RuleContext) throws(ImageError) {
        try rules.require(type == Socket.SOCK_RAW || type == Socket.SOCK_DGRAM, .networkSocket)
        try rules.require(`protocol` <= 0xffff && device.count < 16 && !device.contains(0), .networkSocket)
        try rules.requireOptions(options, of: .packet)
        for one in memberships {
            try rules.require(!one.device.isEmpty && one.device.count < 16 && !one.device.contains(0), .networkAddress)
            // PACKET_MR_UNICAST is the last; struct packet_mreq has 8 bytes, packet_mreq_max 32.
            try rules.require(one.type <= 3 && one.address.count <= 32 && (1...4096).contains(one.count), .networkAddress)
        }
        try rules.require(inFanout || fanout == 0, .networkSocket)
        try rules.require(copyThreshold <= UInt32(Int32.max), .networkSocket)
    }

    package func summary(in image: CheckpointImage) -> String {
        var text = "packet socket of protocol 0x" + String(`protocol`, radix: 16)
        text += device.isEmpty ? ", all devices" : ", \(device.asText)"
        if options.contains(where: { $0.option?.form == .filter }) { text += ", with a filter" }
        return text
    }
}
