internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import LinuxABI

/// The image that `--parent` names: pages that are as in it are left out of the new one.
package struct ChosenParent {
    /// What the new image says of it.
    let record: ImageParentImage
    let pages: SavedPages
    /// The open file.
    let file: ImageFile

    /// Opens it and its own parents, and reads their metadata.
    package init(_ path: String) throws(CaptureError) {
        let name = printable(Array(path.utf8))
        func refusal(_ reason: String) -> CaptureError { CaptureError("cannot use \(name) as the parent image: \(reason)") }
        let input: ImageInput
        do throws(ImageInputError) { input = try ImageInput(path, .none) } catch { throw refusal("\(error.cause.name) (\(error.help))") }
        guard path != "-", case .file(let file) = input else { throw refusal("EINVAL (it is no regular file, or is empty)") }
        self.file = file
        do {
            let image = try CheckpointImage(reading: file)
            guard let place = file.place else { throw refusal("ENOENT (it has no name any more)") }
            guard let record = image.asParent(name: place.name, directory: place.directory) else {
                throw refusal("EINVAL (an older version made it; take a complete image first)")
            }
            self.record = record
            pages = SavedPages(image, in: file, parent: try ParentSearch().parent(of: image, beside: place.directory))
        } catch let error as ImageError { throw refusal("\(error.cause)") } catch let error as CaptureError { throw error } catch {
            throw refusal("\(error)")
        }
    }

    /// The files of it and of all its parents.
    var files: [ImageFile] {
        var files: [ImageFile] = []
        var next: SavedPages? = pages
        while let one = next {
            if let file = one.source as? ImageFile { files.append(file) }
            next = one.parent
        }
        return files
    }
}

extension Checkpoint {
    /// Refuses to write the new image in place of one that it needs.
    func requireOther(_ output: OutputFile) throws(CaptureError) {
        guard let parent = options.parent else { return }
        for file in parent.files where output.replaces(file.number) {
            throw CaptureError("cannot write image \(output.name): EINVAL (the new image needs the one of that name, as it holds only what has changed since: choose another name)")
        }
    }
}
