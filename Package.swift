// swift-tools-version: 6.2
import PackageDescription

let common: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]

/// The one target that may touch memory and the C library: the compiler asks for `unsafe` there.
let kernelSettings: [SwiftSetting] =
    common + [
        .strictMemorySafety(),
        .enableExperimentalFeature("Lifetimes"),
    ]

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let protobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")

let package = Package(
    name: "TreeRestore",
    products: [
        .executable(name: "crcheckpoint", targets: ["crcheckpoint"]),
        .executable(name: "crrestart", targets: ["crrestart"]),
        .executable(name: "crimage", targets: ["crimage"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    ],
    targets: [
        // Leaves in C.
        .target(name: "CKernel"),
        .target(name: "CCodec", dependencies: ["CZstd", "CLz4"]),
        .systemLibrary(name: "CLibcap", pkgConfig: "libcap", providers: [.apt(["libcap-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CLz4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),

        // Pure values and the one unsafe room.
        .target(name: "LinuxABI", swiftSettings: common),
        .target(
            name: "Kernel", dependencies: ["LinuxABI", "CKernel", "CCodec", "CLibcap"],
            cSettings: [.define("_GNU_SOURCE")], swiftSettings: kernelSettings),
        .target(name: "ArchState", dependencies: ["LinuxABI"], swiftSettings: common),
        .target(name: "StepProgram", dependencies: ["ArchState", "LinuxABI"], swiftSettings: common),
        .target(
            name: "CheckpointImage", dependencies: ["ArchState", "LinuxABI", "CCodec", protobuf, crypto], swiftSettings: common),
        .target(name: "PidControl", dependencies: ["LinuxABI"], swiftSettings: common),

        // Facts of this host as values, and how the kernel's words become the image's: for both sides.
        .target(
            name: "HostProbe", dependencies: ["Kernel", "LinuxABI", "ArchState", "CheckpointImage", "RestorePlan", crypto], swiftSettings: common),

        // Checkpoint.
        .target(
            name: "TreeCapture",
            dependencies: ["Kernel", "LinuxABI", "PidControl", "StepProgram", "ArchState", "CheckpointImage", "HostProbe", "RestorePlan", crypto],
            swiftSettings: common),

        // Restart.
        .target(
            name: "RestorePlan", dependencies: ["CheckpointImage", "PidControl", "StepProgram", "ArchState", "LinuxABI"],
            swiftSettings: common),
        .target(
            name: "TreeRestore",
            dependencies: ["Kernel", "LinuxABI", "RestorePlan", "CheckpointImage", "StepProgram", "ArchState", "HostProbe"],
            swiftSettings: common),

        // Commands.
        .target(name: "CommandSupport", dependencies: ["CheckpointImage", "HostProbe", "Kernel", "LinuxABI", argumentParser], swiftSettings: common),
        .executableTarget(
            name: "crcheckpoint", dependencies: ["TreeCapture", "RestorePlan", "CheckpointImage", "CommandSupport", "HostProbe", "Kernel", "LinuxABI", argumentParser],
            swiftSettings: common),
        .executableTarget(
            name: "crrestart",
            dependencies: ["TreeRestore", "RestorePlan", "HostProbe", "CheckpointImage", "CommandSupport", "Kernel", "LinuxABI", argumentParser],
            swiftSettings: common),
        .executableTarget(
            name: "crimage", dependencies: ["CheckpointImage", "CommandSupport", "HostProbe", "ArchState", "Kernel", "LinuxABI", argumentParser, protobuf],
            swiftSettings: common),

        // Tests. `Workloads` is a C program with one self-checking property per sub-command.
        .executableTarget(
            name: "Workloads", path: "Tests/Workloads", cSettings: [.define("_GNU_SOURCE")],
            linkerSettings: [.linkedLibrary("pthread"), .linkedLibrary("rt"), .linkedLibrary("m")]),
        .target(name: "HeaderConstants", path: "Tests/HeaderConstants"),
        .testTarget(name: "LinuxABITests", dependencies: ["LinuxABI", "HeaderConstants"], swiftSettings: common),
        .testTarget(name: "KernelTests", dependencies: ["Kernel", "LinuxABI"], swiftSettings: common),
        .testTarget(name: "ArchStateTests", dependencies: ["ArchState"], swiftSettings: common),
        .testTarget(name: "StepProgramTests", dependencies: ["ArchState", "StepProgram", "Kernel", "LinuxABI"], swiftSettings: common),
        .testTarget(
            name: "CheckpointImageTests", dependencies: ["CheckpointImage", "ArchState", "LinuxABI", "CCodec", "crimage", protobuf, crypto],
            swiftSettings: common),
        .target(name: "TreeModel", dependencies: ["PidControl"], path: "Tests/TreeModel", swiftSettings: common),
        .testTarget(name: "PidControlTests", dependencies: ["PidControl", "TreeModel"], swiftSettings: common),
        .testTarget(
            name: "TreeCaptureTests", dependencies: ["TreeCapture", "RestorePlan", "HostProbe", "CheckpointImage", "StepProgram", "ArchState", "Kernel", "LinuxABI"],
            exclude: ["Sights"], swiftSettings: common),
        .testTarget(
            name: "RestorePlanTests", dependencies: ["RestorePlan", "CheckpointImage", "LinuxABI", "TreeModel", protobuf], swiftSettings: common),
        .testTarget(
            name: "EndToEndTests", dependencies: ["CKernel", "LinuxABI", "PidControl", "TreeModel", "crcheckpoint", "crrestart", "crimage", "Workloads"],
            exclude: ["Programs"], cSettings: [.define("_GNU_SOURCE")], swiftSettings: common),
    ],
    swiftLanguageModes: [.v6]
)
