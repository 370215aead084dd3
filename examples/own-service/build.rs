//! Compiles the service's own proto; the policy options come from the platform's protos.

use std::{env, fs, path::PathBuf};

#[expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts through the environment"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let includes = [root.join("proto"), root.join("../../proto")];
    for path in &includes {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    let mut compiler = protox::Compiler::new(&includes)?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_file("example/greeting/v1/greeting_service.proto")?;
    // Encoded by protox itself: a round trip through prost types would drop the policies.
    fs::write(
        PathBuf::from(env::var("OUT_DIR")?).join("descriptors.binpb"),
        compiler.encode_file_descriptor_set(),
    )?;
    tonic_prost_build::configure()
        .build_client(false)
        .extern_path(".tenantry.options.v1", "::tenantry_api::options")
        .emit_rerun_if_changed(false)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
