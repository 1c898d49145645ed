/// The version of the three commands: `--version` prints it, and every image names the one that wrote it.
///
/// `CHANGELOG.md` has a section of this name.
package enum ToolVersion {
    package static let current = "0.2.0"

    /// What `--version` prints, e.g. `crimage 0.2.0 (image format 2)`.
    package static func line(_ command: String) -> String {
        "\(command) \(current) (image format \(ImageFormat.version))"
    }
}
