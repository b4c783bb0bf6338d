//! The gateway's configuration: one struct per TOML table, read from one file.
//!
//! `docs/gateway.example.toml` holds every key with its default. [`Config::load`] answers with all errors of a file at
//! once; each names the key's path and what was expected, and none repeats a value that it read. Unknown keys are
//! refused, because a misspelt key that is skipped looks like one that works.

mod center;
mod error;
mod measure;
mod nats;
mod origin;
mod read;
mod secret;
mod table;
mod value;
mod vendor;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;
use toml::de::DeTable;
use url::Url;

pub use self::error::{ConfigError, ConfigErrors};
use self::table::{Document, Table};

/// The Huawei C1 operations whose path may differ from tenant to tenant: the keys of `centers.<id>.paths`. The vendor's
/// own documents spell some prefixes in two ways (`CC-Management`, `CC-Mangemant`).
pub const HUAWEI_OPERATIONS: &[&str] = &[
    "tokenByAkSk",
    "querySysInfo",
    "queryAgentInfo",
    "queryPhone",
    "agentsettings/query",
    "agentsettings/create",
    "agentsettings/update",
    "agentAccount/create",
    "agentAccount/update",
    "agentAccount/delete",
    "agentAccount/query",
    "agentAccount/addSkillsToAgent",
    "agentAccount/releaseAgentBySkillId",
    "agentAccount/queryAgentInfoBySkillId",
    "skill/createSkill",
    "skill/modifySkill",
    "skill/deleteSkill",
    "skill/querySkills",
    "accessCodeInfo/queryAccessCodeList",
    "offline/agent/login",
    "offline/agent/logout",
];

/// The whole file.
#[derive(Debug, Clone)]
pub struct Config {
    /// The addresses the gateway serves, and the limits of their connections.
    pub listen: Listen,
    /// How long a call may take.
    pub deadline: Deadline,
    /// Where the gateway keeps what must outlive it.
    pub storage: Storage,
    /// Vendor callbacks and the event log.
    pub events: Events,
    /// The store that several gateways share; without it each has its own.
    pub nats: Option<Nats>,
    /// The centers by id, at least one. An id matches `^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`.
    pub centers: BTreeMap<String, Center>,
}

/// `[listen]`. No two addresses are the same, unless their port is 0 (the system chooses one).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// `ContactCenter`, health and reflection over gRPC. Loopback, unless `allow_unauthenticated` is set.
    pub grpc: SocketAddr,
    /// Vendor callbacks only: the one address that vendors must reach.
    pub http: SocketAddr,
    /// `/metrics`, `/healthz` and `/readyz`.
    pub admin: SocketAddr,
    /// The operator accepts that callers who reach a `grpc` address outside loopback are not authenticated.
    pub allow_unauthenticated: bool,
    /// Connections open at once, at least 1.
    pub max_connections: usize,
    /// HTTP/2 streams open at once on one connection, at least 1.
    pub max_streams_per_connection: u32,
    /// The largest gRPC request in bytes, at least 1 KiB.
    pub max_request_size: usize,
    /// How long a shutdown waits for the calls under way.
    pub drain_timeout: Duration,
}

/// `[deadline]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadline {
    /// For callers that set none; more than zero, at most `max`.
    pub default: Duration,
    /// The longest deadline that a caller may ask for.
    pub max: Duration,
}

/// `[storage]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// The embedded database, as written: a relative path is relative to the working directory.
    pub path: PathBuf,
}

/// `[events]`.
#[derive(Debug, Clone)]
pub struct Events {
    /// How vendors reach `listen.http`. Its path ends with `/`, so that [`Url::join`] appends to it.
    pub callback_base_url: Url,
    /// The HMAC key of callback addresses; made and kept in storage when absent. Always there with `[nats]`.
    pub callback_key: Option<SecretString>,
    /// How long an event stays in the log.
    pub retention: Duration,
    /// How many bytes of events a log keeps, at least 1 KiB.
    pub retention_size: u64,
    /// Within this time the same event is recorded once.
    pub duplicate_window: Duration,
}

/// `[nats]`: where gateways that share events, calls with a `request_id` and subscriptions keep them.
#[derive(Debug, Clone)]
pub struct Nats {
    /// Addresses of one cluster's servers, separated by commas: `nats://` or `tls://`. May hold a password.
    pub url: SecretString,
    /// The content of a `.creds` file.
    pub credentials: Option<SecretString>,
    /// On how many servers everything is kept, 1 to 5.
    pub replicas: usize,
}

/// `[centers.<id>]`: one tenant of one vendor.
#[derive(Debug, Clone)]
pub struct Center {
    /// For people; the id when absent.
    pub display_name: String,
    /// Scheme and host (and port) of the vendor's API; `https`, unless the center sets `allow_plaintext`.
    pub base_url: Url,
    /// `[centers.<id>.limits]`.
    pub limits: Limits,
    /// `[centers.<id>.retry]`.
    pub retry: Retry,
    /// `[centers.<id>.breaker]`.
    pub breaker: Breaker,
    /// The keys that only this center's vendor has.
    pub vendor: Vendor,
}

/// `[centers.<id>.limits]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Vendor requests at once, at least 1.
    pub concurrency: usize,
    /// Calls that wait for a place; past that `CENTER_OVERLOADED`.
    pub queue: usize,
    /// Vendor requests a second; 0 is no limit.
    pub rate: u32,
    /// The largest body that is read from the vendor, in bytes, at least 1 KiB.
    pub max_response_size: usize,
}

/// `[centers.<id>.retry]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// How often a repeatable vendor request is sent in all, 1 to 10.
    pub attempts: u32,
    /// Idempotency allowed as a part of the calls, 0 to 1; one a second comes on top.
    pub budget: f64,
}

/// `[centers.<id>.breaker]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row that open it, at least 1.
    pub consecutive_failures: u32,
    /// How long it stays open at first; more than zero, at most `max_penalty`.
    pub min_penalty: Duration,
    /// How long it stays open at most.
    pub max_penalty: Duration,
}

/// A center's vendor (`vendor = "udesk"` or `"huawei"`) and the keys of that vendor.
#[derive(Debug, Clone)]
pub enum Vendor {
    /// Udesk ccapi/v2.
    Udesk(Udesk),
    /// Huawei Cloud AICC, API Fabric (C1).
    Huawei(Huawei),
}

impl Vendor {
    /// Whether `AccessSoftphoneCredentials` may return this center's passwords.
    pub fn expose_credentials(&self) -> bool {
        match self {
            Self::Udesk(udesk) => udesk.expose_credentials,
            Self::Huawei(huawei) => huawei.expose_credentials,
        }
    }
}

/// The keys of a center with `vendor = "udesk"`.
#[derive(Debug, Clone)]
pub struct Udesk {
    /// `AppId` of the signature; printable ASCII, not empty.
    pub app_id: String,
    /// `Sid` of the signature; printable ASCII, not empty.
    pub sid: String,
    /// The secret that signs every request.
    pub auth_token: SecretString,
    /// The unit of the signature's timestamp.
    pub timestamp_unit: TimestampUnit,
    /// `AccessSoftphoneCredentials` answers; otherwise it is refused.
    pub expose_credentials: bool,
}

/// `timestamp_unit`: the unit of the timestamp in Udesk's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampUnit {
    /// `"ms"`
    Milliseconds,
    /// `"s"`
    Seconds,
}

/// The keys of a center with `vendor = "huawei"`.
#[derive(Debug, Clone)]
pub struct Huawei {
    /// Where tokens are fetched, which may be another port; `base_url` when absent.
    pub token_base_url: Url,
    /// The application's key; printable ASCII, not empty.
    pub app_key: String,
    /// The application's secret, sent for a token.
    pub app_secret: SecretString,
    /// The life asked for in `X-Token-Expire`: whole seconds, 1 to 3600.
    pub token_lifetime: Duration,
    /// A 403 drops the token and repeats the request once, as a 401 does.
    pub token_retry_on_403: bool,
    /// `AccessSoftphoneCredentials` answers; otherwise it is refused.
    pub expose_credentials: bool,
    /// The path segment that was entered in the vendor's console: URL-safe characters only.
    pub callback_secret: Option<SecretString>,
    /// Operation (one of [`HUAWEI_OPERATIONS`]) to absolute path, where a tenant's spelling differs.
    pub paths: BTreeMap<String, String>,
}

impl Config {
    /// Reads a file. Secrets given as `{ env = "NAME" }` come from the process environment; a relative
    /// `{ file = "path" }` is relative to the folder of the configuration file.
    ///
    /// # Errors
    ///
    /// The file cannot be read or is not UTF-8; otherwise every error in it, in its order.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let file = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(cause) => return Err(ConfigErrors::from(ConfigError::unreadable(&file, &cause))),
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        read(&text, &file, folder, &|name| std::env::var(name).ok())
    }

    /// Reads `text` as [`Config::load`] reads a file. `file` stands in the messages, and its folder is where relative
    /// secret files are looked for; it is not opened. `lookup` answers for environment variables.
    ///
    /// # Errors
    ///
    /// Every error in the text, in its order. A text that is not TOML has its syntax errors alone, because what such a
    /// text says cannot be trusted.
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
    let (root, mistakes) = DeTable::parse_recoverable(text);
    if !mistakes.is_empty() {
        return Err(ConfigErrors::from_syntax(file, text, mistakes));
    }
    let document = Document::new(file, text, folder, lookup);
    let config = read::config(Table::root(&document, root.get_ref()));
    document.finish(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least that a Udesk center needs.
    pub(super) const ACME: &str = r#"
        [centers.acme]
        vendor = "udesk"
        base_url = "https://acme.example.com"
        app_id = "app"
        sid = "sid"
        auth_token = "token"
    "#;

    /// The least that a Huawei center needs.
    pub(super) const BETA: &str = r#"
        [centers.beta]
        vendor = "huawei"
        base_url = "https://beta.example.com"
        app_key = "key"
        app_secret = "secret"
    "#;

    pub(super) fn parse(text: &str) -> Result<Config, ConfigErrors> {
        Config::parse(text, "gateway.toml", &|_| None)
    }

    /// What the operator reads when `text` is refused.
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
        use secrecy::ExposeSecret;

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
