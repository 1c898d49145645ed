import CheckpointImage
import Testing

@testable import RestorePlan

/// `--path` and `--root`.
@Suite struct PathMoveTests {
    private func moves(_ texts: [String], root: String? = nil) throws -> PathMoves {
        var moves = PathMoves()
        moves.moves = try texts.map { try #require(PathMove(Array($0.utf8))) }
        moves.root = root.map { Array($0.utf8) }
        return moves
    }

    private func moved(_ path: String, _ moves: PathMoves) -> String { String(decoding: moves.moved(Array(path.utf8)), as: UTF8.self) }

    @Test func forms() throws {
        #expect(PathMove(Array("/a=/b".utf8)) != nil)
        for wrong in ["", "/a", "/a=", "a=/b", "/a=b", "/a/../b=/c", "/a=/b/.", "=/b"] { #expect(PathMove(Array(wrong.utf8)) == nil) }
        // A name with the sign in it, slashes at the end, and bytes that are no text.
        let move = try #require(PathMove(Array("/a=1//b/=/c/".utf8)))
        #expect((move.old, move.new) == (Array("/a=1/b".utf8), Array("/c".utf8)))
        #expect(PathMove(Array("/a".utf8) + [0xff] + Array("=/b".utf8))?.old == Array("/a".utf8) + [0xff])
    }

    @Test func wholeComponents() throws {
        let moves = try moves(["/a=/x", "/a/b=/", "/c=/d/e"])
        #expect(moved("/a", moves) == "/x")
        #expect(moved("/a/c", moves) == "/x/c")
        #expect(moved("/ab", moves) == "/ab")
        // The longest that fits.
        #expect(moved("/a/b/f", moves) == "/f")
        #expect(moved("/a/b", moves) == "/")
        #expect(moved("/c/f", moves) == "/d/e/f")
        #expect(moved("/f", try self.moves(["/=/new"])) == "/new/f")
    }

    @Test func belowARoot() throws {
        let moves = try moves(["/data=/srv/data"], root: "/new")
        #expect(moved("/", moves) == "/new")
        #expect(moved("/bin/sh", moves) == "/new/bin/sh")
        #expect(moved("/data/f", moves) == "/srv/data/f")
        for kernel in ["/dev/null", "/proc", "/sys/fs"] { #expect(moved(kernel, moves) == kernel) }
        #expect(moved("/device", moves) == "/new/device")
        // And back.
        for path in ["/", "/bin/sh", "/data", "/data/f", "/dev/null"] {
            #expect(moves.original(moves.moved(Array(path.utf8))) == Array(path.utf8))
        }
    }

    /// Every place of an image that names a file.
    @Test func wholeImage() throws {
        var sample = Sample()
        sample.shareFile()
        let image = try CheckpointImage(validating: sample.records)
        let other = try moves([], root: "/new").applied(to: image)
        let paths = { (image: CheckpointImage) in
            image.processes.map { $0.executable.path.asText } + image.addressSpaces.flatMap { $0.mappings.filter(\.hasFile).map { $0.file.path.asText } }
                + image.directories.flatMap { [$0.working.path.asText, $0.root.path.asText] }
                + image.openFiles.compactMap { $0.saved?.namedFile?.path.asText }
        }
        #expect(paths(other) == paths(image).map { $0 == "/" ? "/new" : "/new" + $0 })
        #expect(try PathMoves().applied(to: image).openFiles == image.openFiles)
    }
}
