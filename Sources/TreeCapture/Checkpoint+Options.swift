package import CheckpointImage
package import Kernel
package import RestorePlan

/// What is asked for, and what comes of it.
extension Checkpoint {
    package enum Afterwards: Sendable { case goOn, kill, stop }

    package struct Options {
        package var root: Int32
        /// Path of the image; nil: standard output.
        package var output: String?
        package var afterwards = Afterwards.goOn
        package var force = false
        /// Whether an image is checked for a restart here before its tree is ended or stopped.
        package var isUnchecked = false
        /// That restart leaves control groups as they are.
        package var ignoresCgroups = false
        /// Where the reader of a stream says that the tree runs there; nil: nowhere.
        package var acknowledgement: Int32?
        /// Where an order tells what becomes of the tree once the image is complete; nil: `afterwards` does. It goes with `kill`.
        package var hold: HoldChannel?
        /// Files that the image carries.
        package var carried = CarriedFiles()
        /// How pages are made smaller; nil: they are not.
        package var compression: PageCompression?
        /// The image whose pages are left out where they are the same.
        package var parent: ChosenParent?
        /// Open files that are let through, by name.
        package var external: [String] = []
        /// Whether the tree goes on while its pages are written. It goes with `goOn`. Nil: as `auto`, where that pays.
        package var live: LiveMode?
        /// Whether the kernel notes from now on which pages change, for the next checkpoint. It goes with `goOn`.
        package var tracks = false
        /// What becomes of TCP connections.
        package var connections = TCPMode.keep
        /// How the image is signed and encrypted; nil: it is not.
        package var seal: SealChoice?
        package var freezeTimeout: Int64 = 10_000_000_000
        /// Where a recording of the values goes; nil: nowhere.
        package var recording: String?
        /// How an error is printed where the command ends in the middle of a call.
        package var lastWords: @Sendable (CaptureError) -> [UInt8] = { Array(($0.sentence + "\n").utf8) }

        package init(root: Int32, output: String?) {
            self.root = root
            self.output = output
        }
    }

    package struct Result: Sendable {
        package var tasks = 0
        package var processes = 0
        package var bytes: UInt64 = 0
        package var stoppedNanoseconds: Int64 = 0
        package var totalNanoseconds: Int64 = 0
        /// Address spaces that were copied, so that the tree could go on while its pages were written; 0: it stood still.
        package var copies = 0
        /// Bytes that were set aside while it stood still, because no copy holds them.
        package var bytesSetAside: UInt64 = 0
        /// Bytes of pages that were not compared, because the kernel says that they are as in the parent image.
        package var bytesKnown: UInt64 = 0
        /// Bytes of pages of which the kernel notes from now on whether they change.
        package var bytesTracked: UInt64 = 0
        /// What has become of the tree.
        package var afterwards = Afterwards.goOn
        package var notices: [String] = []
    }

    /// What is going on, for progress: the stage, bytes done and to do (0: unknown).
    package struct Progress: Sendable {
        package var stage: String
        package var done: UInt64
        package var total: UInt64
    }
}
