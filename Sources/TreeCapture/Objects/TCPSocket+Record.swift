internal import CheckpointImage
internal import Kernel
internal import LinuxABI

extension TCPSocket {
    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        var record = socket(sight)
        var refusal = refusal(of: sight)
        let isUnaccepted = sight.details["unaccepted"] != nil
        let isOutside = record.isConnection && !isUnaccepted && recorder.connections.other(of: sight) == nil
        if isOutside && refusal == nil { refusal = refusalOfConnection(sight, kind(sight), recorder.sight.connections) }
        if let refusal {
            recorder.find(recorder.places[id - 1], refusal)
            return .found
        }
        if isOutside && recorder.sight.connections == .close { record = closed(record, sight) }
        record.options = SocketOptionSight.records(of: sight).filter { !isKernels($0, record) }
        if let other = recorder.connections.other(of: sight), other != id - 1, record.isConnection, socket(recorder.sight.files[other]).isConnection {
            record.peer = UInt32(other + 1)
        }
        if isUnaccepted {
            // It is made anew by its own end: the listening socket gets it as it had got the first.
            (record.state, record.peer) = (TCP.TCP_SYN_SENT, 0)
            record.clearStream()
        }
        if let notice = noticeOfUnaccepted(sight) { recorder.notice(notice) }
        func has(_ number: UInt32) -> Bool { record.options.contains { $0.level == SocketOption.SOL_SOCKET && $0.number == number } }
        if let notice = noticeOfLeaving(sight, reusesAddress: has(SocketOptions.SO_REUSEADDR)) { recorder.notice(notice) }
        // Which of several at one port gets a new connection depends on their order.
        if !has(SocketOptions.SO_REUSEPORT) { record.listenOrder = 0 }
        return .object(.tcp(record))
    }

    /// Options that the kernel changes by itself: of a connection the size of its segments, of one that was accepted what an answer to the
    /// first packet is sent with, which no program can set of a stream.
    private static func isKernels(_ option: ImageInetOption, _ socket: ImageTcpSocket) -> Bool {
        switch (option.level, option.number) {
        case (SocketOption.SOL_TCP, TCP.TCP_MAXSEG), (SocketOption.SOL_TCP, TCP.TCP_QUICKACK): socket.isConnection || socket.isClosed
        case (SocketOption.SOL_IP, 32...34), (SocketOption.SOL_IPV6, 17...19): true
        default: false
        }
    }

    private static func refusal(of sight: OpenFileSight) -> Refusal? {
        var refusal: Refusal?
        if let reason = sight.details["refusal"] {
            refusal = Refusal("is \(kind(sight)), \(reason.shown)", help: help(reason.shown))
        } else if sight.details["unprivileged"] != nil {
            refusal = Refusal(
                "is \(kind(sight)): what is on the way can be looked at only with CAP_NET_ADMIN", help: "be root, or end the connection before the checkpoint")
        } else if let state = sight[number: "tcpState"], state == UInt64(TCP.TCP_SYN_RECV) || state == UInt64(TCP.TCP_TIME_WAIT) {
            refusal = Refusal("is \(kind(sight)), accepted before it was connected (TCP_FASTOPEN), which cannot be saved yet", help: "try again")
        }
        if let peer = sight.details["peer"], let local = sight.details["local"] { refusal?.otherEnd = .connection(from: peer.shown, to: local.shown) }
        return refusal
    }

    private static func help(_ reason: String) -> String {
        if reason.hasPrefix("in which urgent") { return "checkpoint when the program has received it" }
        if reason.hasPrefix("on which data") { return "try again" }
        return "end the connection before the checkpoint"
    }

    private static func kind(_ sight: OpenFileSight) -> String {
        var text = "a \(sight.details["kind"]?.shown ?? "TCP socket")"
        if sight.details["backlog"] != nil { text += " that listens" }
        if let local = sight.details["local"] { text += ", \(local.shown)" }
        if let peer = sight.details["peer"] { text += ", connected with \(peer.shown)" }
        return text
    }
}
