//! The gateway's configuration: one struct per TOML table, read from one file.
//!
//! A table and its keys are declared once, with `table!`: the struct, its reader, `docs/gateway.example.toml` and
//! `docs/configuration.md` come from there. [`Config::load`] returns all errors of a file at once; each names the
//! key's path and what was expected, and none repeats a value. Unknown keys are refused, because a misspelt key that is
//! skipped looks like one that works.

mod center;
mod error;
mod gateway;
mod huawei;
mod key;
mod measure;
mod nats;
mod origin;
mod reference;
mod rotation;
mod secret;
mod table;
mod udesk;
mod value;
mod vendor;
mod warning;

use std::{collections::BTreeMap, env, fs, path::Path};

use toml::de::DeTable;

pub(crate) use self::warning::is_loopback;
use self::{
    center::centers,
    key::{Section, table},
    table::{Document, Table},
};
pub use self::{
    center::{Breaker, Center, Limits, Retry},
    error::{ConfigError, ConfigErrors},
    gateway::{Deadline, Events, Listen, Storage},
    huawei::{HUAWEI_OPERATIONS, Huawei},
    nats::Nats,
    reference::{example, reference},
    rotation::VendorSecret,
    udesk::{AgentStates, TimestampUnit, Udesk},
    vendor::Vendor,
    warning::Warning,
};

table! {
    /// The whole file.
    #[derive(Debug, Clone)]
    pub struct Config {
        /// `[listen]`.
        listen: Listen = Listen::rule();
        /// `[deadline]`.
        deadline: Deadline = Deadline::rule();
        /// `[storage]`.
        storage: Storage = Storage::rule();
        /// `[events]`.
        events: Events = Events::rule();
        /// `[nats]`.
        nats: Option<Nats> = Nats::optional();
        /// `[centers.<id>]`, at least one.
        centers: BTreeMap<String, Center> = centers();
    }
}

// === impl Config ===

impl Config {
    /// Reads a file. Secrets given as `{ env = "NAME" }` come from the process environment; a relative
    /// `{ file = "path" }` is relative to the folder of the configuration file.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is not UTF-8; otherwise every error in it, in its order.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let file = path.display().to_string();
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(cause) => return Err(ConfigErrors::from(ConfigError::unreadable(&file, &cause))),
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        read(&text, &file, folder, &|name| env::var(name).ok())
    }

    /// Reads `text` as [`Config::load`] reads a file. `file` is the name in messages, and relative secret files are
    /// relative to its folder; it is not opened. `lookup` looks up environment variables.
    ///
    /// # Errors
    ///
    /// Every error in the text, in its order. A text that is not TOML has its syntax errors alone, because its keys
    /// cannot be trusted.
    pub fn parse(text: &str, file: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        read(text, file, folder, lookup)
    }
}

fn read(
    text: &str,
    file: &str,
    folder: &Path,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, ConfigErrors> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(ConfigErrors::from_syntax(file, text, errors));
    }
    let document = Document::new(file, text, root.get_ref(), folder, lookup);
    let mut table = Table::root(&document);
    let config = Config::read(&mut table);
    table.finish();
    document.finish(config)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{key::Kind, table::Parsed, *};

    /// The required keys of a Udesk center.
    pub(crate) const ACME: &str = r#"
        [centers.acme]
        vendor = "udesk"
        base_url = "https://acme.example.com"
        app_id = "app"
        sid = "sid"
        auth_token = "token"
    "#;

    /// The required keys of a Huawei center.
    pub(super) const BETA: &str = r#"
        [centers.beta]
        vendor = "huawei"
        base_url = "https://beta.example.com"
        app_key = "key"
        app_secret = "secret"
    "#;

    pub(crate) fn parse(text: &str) -> Result<Config, ConfigErrors> {
        Config::parse(text, "gateway.toml", &|_| None)
    }

    /// The value of the key `key` in `text`.
    pub(super) fn read_key<T: 'static>(kind: &Kind<T>, text: &str) -> Parsed<T> {
        let root = DeTable::parse(text).unwrap();
        let document = Document::new("gateway.toml", text, root.get_ref(), Path::new(""), &|_| None);
        let table = Table::root(&document);
        kind.parse(&table, table.peek("key").unwrap())
    }

    /// The value of a key that holds a string.
    pub(super) fn read_text<T: 'static>(kind: &Kind<T>, text: &str) -> Parsed<T> {
        read_key(kind, &format!("key = {}", toml::Value::from(text)))
    }

    /// The errors of `text`, as the operator reads them.
    pub(super) fn refusal(text: &str) -> String {
        parse(text).expect_err(text).to_string()
    }

    #[test]
    fn all_errors_come_at_once_in_the_order_of_the_file() {
        let text =
            format!("[listen]\ngrpc = 1\nhtp = 2\n[deadline]\nmax = '1s'\n{ACME}sidd = 'x'\n{BETA}vendr = 'y'\n");
        let errors = parse(&text).unwrap_err();
        let keys: Vec<_> = errors.iter().map(|error| error.key.as_str()).collect();
        // `deadline.default` does not stand in the file: its place is that of its table.
        assert_eq!(keys, ["listen.grpc", "listen.htp", "deadline.default", "centers.acme.sidd", "centers.beta.vendr"]);
        let places: Vec<_> = errors.iter().filter_map(|error| error.line.zip(error.column)).collect();
        assert_eq!(places[..3], [(2, 8), (3, 1), (4, 1)]);
        assert_eq!(errors.to_string().lines().count(), 5);
    }

    #[test]
    fn a_syntax_error_has_line_and_column_and_no_key() {
        let errors = parse("[listen]\ngrpc = \n\n[deadline\nmax = '1s'\n").unwrap_err();
        let lines: Vec<_> = errors.iter().filter_map(|error| error.line).collect();
        assert_eq!(lines, [2, 4]);
        assert!(errors.iter().all(|error| error.key.is_empty()));
        let shown = errors.to_string();
        assert!(shown.starts_with("gateway.toml: line 2, column 8: not valid TOML: "), "{shown}");
    }

    #[test]
    fn a_file_that_is_no_toml_at_all_has_a_bounded_number_of_errors() {
        let errors = parse(&"what is this?\n".repeat(5000)).unwrap_err();
        assert!((1..=100).contains(&errors.iter().count()));
    }

    #[test]
    fn a_byte_order_mark_is_no_error() {
        assert!(parse(&format!("\u{feff}{ACME}")).is_ok());
    }

    #[test]
    fn a_file_is_loaded_and_its_secrets_are_relative_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.toml");
        std::fs::write(folder.path().join("token"), "from the file\r\n").unwrap();
        std::fs::write(&path, ACME.replace("\"token\"", "{ file = 'token' }")).unwrap();
        for config in [
            Config::load(&path).unwrap(),
            Config::parse(&std::fs::read_to_string(&path).unwrap(), path.to_str().unwrap(), &|_| None).unwrap(),
        ] {
            let Vendor::Udesk(udesk) = &config.centers["acme"].vendor else { panic!("acme is a Udesk center") };
            assert_eq!(udesk.auth_token.expose_secret(), "from the file");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.toml");
        let expected = format!("{}: cannot be read: ", path.display());
        let missing = Config::load(&path).unwrap_err().to_string();
        assert!(missing.starts_with(&expected), "{missing}");
        std::fs::write(&path, b"\xFF").unwrap();
        let binary = Config::load(&path).unwrap_err().to_string();
        assert!(binary.starts_with(&expected), "{binary}");
    }
}
