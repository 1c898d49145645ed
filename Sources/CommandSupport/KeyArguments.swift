package import ArgumentParser
package import CheckpointImage
package import HostProbe

/// The options of commands that read images which may be signed and encrypted.
package struct KeyArguments: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp("Read an image only if the owner of this key has signed it (Ed25519, the public key in a PEM file).", valueName: "KEY"),
        completion: .file())
    package var verifyKey: String?

    @Option(
        name: .long,
        help: ArgumentHelp("Decrypt the image with the key in this file, the one that crcheckpoint --encrypt was given.", valueName: "KEYFILE"),
        completion: .file())
    package var decrypt: String?

    package init() {}

    /// What was given, for a command that closes inherited descriptors.
    package var paths: [String?] { [verifyKey, decrypt] }

    /// Reads the files.
    ///
    /// - Parameter complain: told of one that holds no key.
    /// - Throws: exit status 1 in that case.
    package func keys(_ complain: (String) -> Void) throws -> SealKeys {
        do throws(KeyFileError) { return try KeyFile.keys(decrypt: decrypt, verifyKey: verifyKey) } catch {
            complain("\(error)")
            throw ExitCode(1)
        }
    }
}

/// The options of a command that writes one.
package struct SealArguments: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp("Sign the image with this key (Ed25519, the private key in a PEM file): crrestart --verify-key takes the public one.", valueName: "KEY"),
        completion: .file())
    package var sign: String?

    @Option(
        name: .long,
        help: ArgumentHelp("Encrypt the image with the key in this file, 32 random bytes or more: crrestart --decrypt takes the same file.", valueName: "KEYFILE"),
        completion: .file())
    package var encrypt: String?

    package init() {}

    package var areGiven: Bool { sign != nil || encrypt != nil }

    package func read() throws(KeyFileError) -> (secret: [UInt8]?, signer: KeyFile.SigningKey?) {
        var secret: [UInt8]?
        var signer: KeyFile.SigningKey?
        if let encrypt { secret = try KeyFile.secret(inFile: encrypt) }
        if let sign { signer = try KeyFile.signing(inFile: sign) }
        return (secret, signer)
    }
}
