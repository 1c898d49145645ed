package import CheckpointImage
internal import LinuxABI

/// Files that an image carries (`crcheckpoint --with-files`). The file itself is used where it is here as it was; else a file
/// without a name is made of the copy.
///
/// Pure: an image in, an image out, in which such files are memory objects.
package enum CarriedCopies {
    package static func chosen(in image: CheckpointImage, _ facts: HostFacts, _ options: FileOptions) throws(ImageError) -> CheckpointImage {
        let holders = FileHolders(image, facts)
        let check = FileCheck(facts)
        func fits(_ check: (inout HostFindings) -> Void) -> Bool {
            var findings = HostFindings()
            check(&findings)
            return findings.all.isEmpty
        }
        func isHere(_ identity: ImageFileIdentity, _ request: FileRequest) -> Bool {
            // The user wants what is here.
            if options.changed == .accept, case .success? = facts.files[identity.path.asBytes] { return true }
            return fits { check.checkMapped(identity, request, by: "", &$0) }
        }
        return try image.changed { records in
            for index in records.processes.indices where records.processes[index].executable.copy != 0 {
                let process = records.processes[index]
                if process.executable.object == 0, !isHere(process.executable, holders.request(programOf: process)) {
                    records.processes[index].executable.object = process.executable.copy
                }
            }
            for index in records.addressSpaces.indices {
                let id = records.addressSpaces[index].id
                for place in records.addressSpaces[index].mappings.indices {
                    let mapping = records.addressSpaces[index].mappings[place]
                    guard mapping.kind == .file, mapping.file.copy != 0, !mapping.shared,
                        !isHere(mapping.file, holders.request(mapping, ofSpace: id))
                    else { continue }
                    records.addressSpaces[index].mappings[place].kind = .object
                    records.addressSpaces[index].mappings[place].object = mapping.file.copy
                    records.addressSpaces[index].mappings[place].clearFile()
                }
            }
            for index in records.openFiles.indices {
                let file = records.openFiles[index]
                // What is written to a file without a name would be lost: it has to be there.
                guard case .named(let named)? = file.object, named.identity.copy != 0, !FileRequest.access(file.flags).contains(.write),
                    !fits({ check.checkOpen(named.identity, holders.request(file, named.identity), by: "", &$0) })
                else { continue }
                var object = ImageNamelessFile()
                object.object = named.identity.copy
                records.openFiles[index].object = .nameless(object)
            }
        }
    }

    /// Whether an image carries a file at all.
    package static func isNeeded(in image: CheckpointImage) -> Bool {
        image.processes.contains { $0.executable.copy != 0 }
            || image.addressSpaces.contains { $0.mappings.contains { $0.file.copy != 0 } }
            || image.openFiles.contains { $0.saved?.namedFile?.copy ?? 0 != 0 }
    }
}
