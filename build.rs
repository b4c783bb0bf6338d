//! Compiles the contract: descriptors by protox (no protoc on the machine), Rust by tonic-prost-build.
//!
//! A contract that cannot be compiled ends the build, so panics are answers here.
//!
//! prost derives a `Debug` that prints fields marked `debug_redact`, so messages that have one get a `Debug` written
//! here.

#![expect(clippy::panic, reason = "a build script's way to say no")]

use std::{env, fmt::Write as _, fs, path::PathBuf};

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

const FILES: [&str; 4] = [
    "contactcenter/v1/contact_center.proto",
    "contactcenter/v1/errors.proto",
    "contactcenter/v1/events.proto",
    "contactcenter/v1/resources.proto",
];
const PACKAGE: &str = "contactcenter.v1";
const SERVICE: &str = "contactcenter.v1.ContactCenter";
const REASONS: &str = "contactcenter.v1.ErrorReason";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES)?;
    let pool = compiler.descriptor_pool();

    let out = PathBuf::from(env::var("OUT_DIR")?);
    // Encoded by protox, because prost-types does not know debug_redact and would drop it.
    fs::write(out.join("contactcenter.v1.descriptors.bin"), compiler.encode_file_descriptor_set())?;
    fs::write(out.join("contactcenter.v1.debug.rs"), debug_impls(&pool))?;
    fs::write(out.join("contactcenter.v1.methods.rs"), methods(&pool) + &reasons(&pool))?;

    let mut builder = tonic_prost_build::configure();
    // skip_debug of a message reaches its oneofs too; they hold messages, each with a Debug that is safe.
    for oneof in redacted_messages(&pool).flat_map(|message| message.oneofs().collect::<Vec<_>>()) {
        builder = builder.type_attribute(format!(".{}", oneof.full_name()), "#[derive(Debug)]");
    }
    builder
        // An answer kept for a repeated request is compared and stored by its bytes: maps must encode in one order.
        .btree_map(".")
        .skip_debug(redacted_messages(&pool).map(|message| format!(".{}", message.full_name())))
        .build_server(false)
        .build_transport(false)
        .emit_rerun_if_changed(false)
        .compile_fds(compiler.file_descriptor_set())?;

    // The server over the same messages, but for the one that it sends to many: that is encoded once for all of them.
    let service = out.join("service");
    fs::create_dir_all(&service)?;
    tonic_prost_build::configure()
        .extern_path(format!(".{PACKAGE}"), "crate::proto::v1")
        .extern_path(format!(".{PACKAGE}.WatchEventsResponse"), "crate::proto::EncodedWatchEventsResponse")
        .out_dir(service)
        .build_client(false)
        .build_transport(false)
        .emit_rerun_if_changed(false)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

fn redacted_messages(pool: &DescriptorPool) -> impl Iterator<Item = MessageDescriptor> {
    pool.all_messages()
        .filter(|message| message.package_name() == PACKAGE && message.fields().any(|field| is_redacted(&field)))
}

fn is_redacted(field: &FieldDescriptor) -> bool {
    field.options().get_field_by_name("debug_redact").is_some_and(|value| value.as_bool() == Some(true))
}

/// The names of the service's methods, as an array in the order of the contract.
fn methods(pool: &DescriptorPool) -> String {
    let service = pool.get_service_by_name(SERVICE).unwrap_or_else(|| panic!("there is no service {SERVICE}"));
    let methods: Vec<_> = service.methods().map(|method| method.name().to_owned()).collect();
    format!(
        "/// The methods of the service, in the order of the contract.\npub const METHODS: [&str; {}] = {methods:?};",
        methods.len()
    )
}

/// The names of the reasons of errors, as an array in the order of the contract, without the unspecified one.
fn reasons(pool: &DescriptorPool) -> String {
    let reasons = pool.get_enum_by_name(REASONS).unwrap_or_else(|| panic!("there is no enum {REASONS}"));
    let names: Vec<_> =
        reasons.values().filter(|value| value.number() != 0).map(|value| value.name().to_owned()).collect();
    format!(
        "/// The reasons of errors, in the order of the contract.\npub const ERROR_REASONS: [&str; {}] = {names:?};",
        names.len()
    )
}

/// `Debug` of every message with a redacted field: as derived, but redacted fields say only whether they are set.
fn debug_impls(pool: &DescriptorPool) -> String {
    let mut code = String::new();
    for message in redacted_messages(pool) {
        let name = message.name();
        let mut fields = String::new();
        let mut oneofs_written = Vec::new();
        for field in message.fields() {
            let ident = field.name();
            let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
            if let Some(oneof) = oneof {
                assert!(!is_redacted(&field), "{name}.{ident}: debug_redact inside a oneof is not supported here");
                if !oneofs_written.contains(&oneof.name().to_owned()) {
                    oneofs_written.push(oneof.name().to_owned());
                    let _ = write!(fields, ".field(\"{0}\", &self.{0})", oneof.name());
                }
            } else if is_redacted(&field) {
                let empty = match field.kind() {
                    Kind::Message(_) if !field.is_list() && !field.is_map() => "is_none",
                    Kind::Message(_) | Kind::String => "is_empty",
                    other => panic!("{name}.{ident}: debug_redact on {other:?} is not supported here"),
                };
                let _ = write!(fields, ".field(\"{ident}\", &Redacted::unless(self.{ident}.{empty}()))");
            } else if matches!(field.kind(), Kind::Enum(_)) && !field.is_list() {
                let _ = write!(fields, ".field(\"{ident}\", &self.r#{ident}())");
            } else {
                let _ = write!(fields, ".field(\"{ident}\", &self.r#{ident})");
            }
        }
        let _ = writeln!(
            code,
            "impl ::core::fmt::Debug for {name} {{\
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{\
                    f.debug_struct(\"{name}\"){fields}.finish()\
                }}\
            }}"
        );
    }
    code
}
