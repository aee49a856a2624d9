//! Compiles the protocol file in pure Rust: no `protoc` is needed.

use std::{env, error::Error, fs, path::Path};

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["proto/inventory.proto"], ["proto"])?;
    // What reflection tells.
    fs::write(Path::new(&env::var("OUT_DIR")?).join("inventory.bin"), files.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
