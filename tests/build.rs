//! Compiles the protocol files in pure Rust: no `protoc` is needed.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["proto/inventory.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(files.clone())?;
    // The same service once more, whose messages are checked as they are decoded.
    for (folder, codec) in [("validated", "ValidatingCodec"), ("reported", "ReportOnlyCodec")] {
        let folder = PathBuf::from(std::env::var("OUT_DIR")?).join(folder);
        std::fs::create_dir_all(&folder)?;
        tonic_prost_build::configure()
            .build_client(false)
            .codec_path(format!("bartizan::validate::{codec}"))
            .extern_path(".inventory.v1", "crate::inventory")
            .out_dir(folder)
            .compile_fds(files.clone())?;
    }
    Ok(())
}
