//! Compiles the gateway's contract.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = "../../../proto";
    println!("cargo:rerun-if-changed={proto}");
    let files = protox::compile(["contactcenter/v1/contact_center.proto"], [proto])?;
    tonic_prost_build::configure().generate_default_stubs(true).emit_rerun_if_changed(false).compile_fds(files)?;
    Ok(())
}
