//! The vendors that the program simulates, one row each: the commands, their options and their help come from this
//! table.

use std::{
    env,
    fmt::{self, Write as _},
    path::Path,
    str::FromStr,
};

use axum::Router;
use secrecy::{ExposeSecret as _, SecretString};
use switchboard_simulators::{huawei, udesk};
use uuid::Uuid;

use super::Failed;

/// One vendor.
#[derive(Debug)]
pub(super) struct Vendor {
    /// Its name in a configuration, and the name of its option.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What its simulator serves.
    pub product: &'static str,
    /// ID of its center in the sandbox, and the name that callers see.
    pub center: (&'static str, &'static str),
    /// Its port in the sandbox; a free one if that is in use.
    pub port: u16,
    /// Its keys of `[centers.<id>]` that hold credentials.
    pub credentials: &'static [Credential],
    /// Further lines of its center in the sandbox.
    pub sandbox_keys: &'static str,
    /// Whether its simulator posts events.
    pub has_events: bool,
    /// Routes that only its simulator has, and what they are for.
    pub routes: &'static [(&'static str, &'static str)],
    /// Calls to paste, as methods of the service. Each succeeds in a new sandbox.
    pub calls: &'static [(&'static str, &'static str)],
    /// Its simulator, filled with data.
    pub router: fn(&Credentials, &Setup<'_>) -> Result<Router, Failed>,
}

/// A credential of a simulated tenant.
#[derive(Debug)]
pub(super) struct Credential {
    /// Its key in a configuration.
    pub key: &'static str,
    /// Its environment variable.
    pub variable: &'static str,
    /// Whether it is never printed if it comes from the environment.
    pub is_secret: bool,
    random: fn() -> String,
}

/// The credentials of one simulated tenant.
pub(super) struct Credentials(Vec<(&'static Credential, SecretString)>);

/// How a simulator is set up.
pub(super) struct Setup<'a> {
    /// Names of quirks.
    pub quirks: &'a [String],
    /// Whether events happen by themselves.
    pub background_traffic: bool,
    /// The directory with payloads of events.
    pub event_templates: Option<&'a Path>,
}

/// Every vendor.
pub(super) const VENDORS: &[Vendor] = &[
    Vendor {
        name: "udesk",
        title: "Udesk",
        product: "Udesk ccapi/v2",
        center: ("acme", "Acme"),
        port: 8081,
        credentials: &[
            Credential { key: "app_id", variable: "UDESK_APP_ID", is_secret: false, random: hyphenated },
            Credential { key: "sid", variable: "UDESK_SID", is_secret: false, random: simple },
            Credential { key: "auth_token", variable: "UDESK_AUTH_TOKEN", is_secret: true, random: simple },
        ],
        sandbox_keys: "",
        has_events: true,
        routes: &[
            ("/simulator/callbacks", "customers called, and how often"),
            ("/simulator/deliveries", "deliveries of events; POST sets how often each is posted"),
            ("/simulator/events", "POST: dispatch one event"),
        ],
        calls: &[
            ("GetCapabilities", r#"{"name": "centers/acme/capabilities"}"#),
            ("ListAgents", r#"{"parent": "centers/acme", "page_size": 2}"#),
            ("LoginAgent", r#"{"name": "centers/acme/agents/1004", "initial_state": "AGENT_STATE_READY"}"#),
            (
                "StartCallback",
                r#"{"parent": "centers/acme", "customer_number": "13800000000", "entry_number": "01055500100"}"#,
            ),
            (
                "CreateSubscription",
                r#"{"parent": "centers/acme", "subscription": {"display_name": "live", "event_types": ["EVENT_TYPE_CALL_QUEUED", "EVENT_TYPE_CALL_HUNG_UP"]}}"#,
            ),
        ],
        router: |credentials, setup| {
            let [app_id, sid, auth_token] = ["app_id", "sid", "auth_token"].map(|key| credentials.get(key));
            let options = udesk::Options {
                quirks: setup.quirks::<udesk::Quirk, _>()?,
                background_traffic: setup.background_traffic.then_some(udesk::BACKGROUND_TRAFFIC_PERIOD),
                event_templates: match setup.event_templates {
                    Some(directory) => udesk::EventTemplates::read(directory).map_err(Failed::configuration)?,
                    None => udesk::EventTemplates::default(),
                },
                ..udesk::Options::new(app_id, sid, auth_token.into())
            };
            Ok(udesk::Simulator::new(options).router())
        },
    },
    Vendor {
        name: "huawei",
        title: "Huawei",
        product: "Huawei Cloud AICC",
        center: ("beta", "Beta"),
        port: 8082,
        credentials: &[
            Credential { key: "app_key", variable: "HUAWEI_APP_KEY", is_secret: false, random: simple },
            Credential { key: "app_secret", variable: "HUAWEI_APP_SECRET", is_secret: true, random: simple },
        ],
        // What an operator would enter in Huawei's console. On loopback it protects nothing.
        sandbox_keys: "callback_secret = \"from-the-console\"\n",
        has_events: false,
        routes: &[("/simulator/tokens/revoke", "POST: revoke every token")],
        calls: &[("GetSoftphoneConfig", r#"{"name": "centers/beta/softphoneConfig"}"#)],
        router: |credentials, setup| {
            let [app_key, app_secret] = ["app_key", "app_secret"].map(|key| credentials.get(key));
            let quirks = setup.quirks::<huawei::Quirk, _>()?;
            let options = huawei::Options { quirks, ..huawei::Options::new(app_key, app_secret.into()) };
            Ok(huawei::Simulator::new(options).router())
        },
    },
];

fn hyphenated() -> String {
    Uuid::new_v4().to_string()
}

fn simple() -> String {
    Uuid::new_v4().simple().to_string()
}

// === impl Vendor ===

impl Vendor {
    /// Lines of a configuration: a center of a simulated tenant at this address. `secret` is how a secret stands there.
    pub(super) fn configuration(
        &self,
        address: std::net::SocketAddr,
        credentials: &Credentials,
        secret: impl Fn(&Credential, &str) -> String,
    ) -> String {
        let mut lines = format!(
            "[centers.{}]\nvendor = \"{}\"\nbase_url = \"http://{address}\"\nallow_plaintext = true\n",
            self.center.0, self.name
        );
        for (credential, value) in &credentials.0 {
            let value = value.expose_secret();
            let value = if credential.is_secret { secret(credential, value) } else { quoted(value) };
            let _ = writeln!(lines, "{} = {value}", credential.key);
        }
        lines
    }
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

// === impl Credential ===

impl Credential {
    /// Its value in the environment, as a gateway reads it from the same variable: without a byte order mark and line
    /// breaks.
    pub(super) fn given(&self) -> Option<String> {
        let value = env::var(self.variable).ok()?;
        let value = value.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
        (!value.is_empty()).then(|| value.to_owned())
    }
}

// === impl Credentials ===

impl Credentials {
    /// Random credentials of a tenant.
    pub(super) fn random(vendor: &Vendor) -> Self {
        Self::new(vendor, |credential| (credential.random)())
    }

    /// Credentials from the environment, random where absent.
    pub(super) fn from_environment(vendor: &Vendor) -> Self {
        Self::new(vendor, |credential| credential.given().unwrap_or_else(credential.random))
    }

    fn new(vendor: &Vendor, value: impl Fn(&Credential) -> String) -> Self {
        Self(vendor.credentials.iter().map(|credential| (credential, value(credential).into())).collect())
    }

    /// The value of a key.
    fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(credential, _)| credential.key == key).map_or("", |(_, value)| value.expose_secret())
    }

    /// The value of an environment variable.
    pub(super) fn of_variable(&self, variable: &str) -> Option<String> {
        let (_, value) = self.0.iter().find(|(credential, _)| credential.variable == variable)?;
        Some(value.expose_secret().to_owned())
    }
}

// === impl Setup ===

impl Setup<'_> {
    fn quirks<Q: FromStr<Err: fmt::Display>, S: FromIterator<Q>>(&self) -> Result<S, Failed> {
        self.quirks.iter().map(|name| name.parse()).collect::<Result<S, Q::Err>>().map_err(Failed::configuration)
    }
}
