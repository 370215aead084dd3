//! The only build script: compiles every proto with a pure-Rust compiler and writes the descriptor set that the
//! gateway, the method table, reflection and the tests read.

use std::{env, fs, path::PathBuf};

const FILES: &[&str] = &[
    "google/rpc/error_details.proto",
    "tenantry/options/v1/options.proto",
    "tenantry/common/v1/operation.proto",
    "tenantry/events/v1/saga.proto",
    "tenantry/events/v1/metering.proto",
    "tenantry/registry/v1/tenant_service.proto",
    "tenantry/registry/v1/plan_service.proto",
    "tenantry/registry/v1/domain_service.proto",
    "tenantry/registry/v1/route_service.proto",
    "tenantry/registry/v1/operation_service.proto",
    "tenantry/registry/v1/clone_service.proto",
    "tenantry/auth/v1/login_service.proto",
    "tenantry/auth/v1/session_service.proto",
    "tenantry/auth/v1/user_service.proto",
    "tenantry/auth/v1/api_key_service.proto",
    "tenantry/auth/v1/token_service.proto",
    "tenantry/auth/v1/key_service.proto",
    "tenantry/auth/v1/directory_service.proto",
    "tenantry/business/v1/object_type_service.proto",
    "tenantry/business/v1/record_service.proto",
    "tenantry/business/v1/import_service.proto",
    "tenantry/business/v1/operation_service.proto",
    "tenantry/business/v1/data_service.proto",
    "tenantry/backup/v1/snapshot_service.proto",
    "tenantry/backup/v1/operation_service.proto",
    "tenantry/monitoring/v1/monitoring_service.proto",
];

#[expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts through the environment"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let protos = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", protos.display());
    let mut compiler = protox::Compiler::new([&protos])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES)?;
    let out = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.binpb");
    // Encoded by protox itself: a round trip through prost types would drop the custom options.
    fs::write(out, compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .compile_well_known_types(false)
        .generate_default_stubs(true)
        .emit_rerun_if_changed(false)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
