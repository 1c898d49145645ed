/// What the reader of an image that comes through a pipe tells its writer, through another descriptor.
package enum Acknowledgement {
    /// One line: the tree runs here now. The writer then ends it there.
    package static let line = "restarted"
}
