//! What must hold of any bytes at all: one function for each target in `fuzz/`, over the gateway's own readers.
//!
//! Each takes whatever somebody else may send, and fails by a panic. The committed examples in `fuzz/corpus` go through
//! the same functions with the other tests.

mod bytes;

use std::{collections::HashMap, time::Duration};

use ::bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use prost::Message as _;
use secrecy::ExposeSecret as _;
use serde_json::{Value, value::RawValue};
use tokio::time::Instant;

pub use self::bytes::{charsets, content_codings, json_repairs};

use crate::{
    config::{self, Config},
    context::{self, Context},
    http::{HttpResponse, Operation, ParsedResponse, retry},
    name::{
        AgentName, CallSettingsName, CapabilitiesName, CenterName, ExtensionName, PhoneNumberName, QueueName,
        ResourceName, SoftphoneConfigName, SubscriptionName,
    },
    page::Page,
    proto::v1::{Event, EventType, ListAgentsRequest, ListQueuesRequest},
    redact,
    redact::is_secret,
    vendor::{
        de::{Anything, Flag, Integer, List, Object, Text},
        huawei::{
            self, api_fabric,
            envelope::{AGENT_ACCOUNT, AGENT_SETTINGS, BARE, DESCRIBED, MOBILE_AGENT},
            tokens,
        },
        udesk::{
            self,
            ccapi::{self, CALLBACK, READ, SIGN_IN},
            envelope,
        },
    },
    vendor_data::VendorData,
};

/// A target: its name, and what is done with its input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target. Its name is also that of its program in `fuzz/fuzz_targets` and of its folder in `fuzz/corpus`.
pub const TARGETS: &[Target] = &[
    ("callbacks", callbacks),
    ("charsets", charsets),
    ("configuration", configuration),
    ("content_codings", content_codings),
    ("envelopes", envelopes),
    ("json_repairs", json_repairs),
    ("names", names),
    ("page_tokens", page_tokens),
    ("timestamps", timestamps),
    ("token_replies", token_replies),
];

/// What every environment variable of a fuzzed configuration holds, and what no event shows.
const SECRET: &str = "the-value-of-a-variable";

const STATUSES: [StatusCode; 7] = [
    StatusCode::OK,
    StatusCode::NO_CONTENT,
    StatusCode::FOUND,
    StatusCode::BAD_REQUEST,
    StatusCode::FORBIDDEN,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::BAD_GATEWAY,
];

/// The body of a vendor's answer, in every envelope of both vendors.
pub fn envelopes(body: &[u8]) {
    let body = Bytes::copy_from_slice(body);
    for status in STATUSES {
        let reply = HttpResponse { status, headers: HeaderMap::new(), body: body.clone() };
        for style in [READ, SIGN_IN, CALLBACK] {
            let operation = Operation { name: "fuzzed", method: Method::PUT, repeatable: false, style };
            opened(&reply, envelope::open(&operation, &reply));
        }
        for family in [BARE, MOBILE_AGENT, AGENT_SETTINGS, AGENT_ACCOUNT, DESCRIBED] {
            let style = api_fabric::Style { operation: "fuzzed", path: "/fuzzed", family, takes_caller_values: true };
            let operation = Operation { name: "fuzzed", method: Method::POST, repeatable: false, style };
            opened(&reply, family.open(&operation, &reply));
        }
    }
}

/// The body of a callback, of either vendor.
pub fn callbacks(body: &[u8]) {
    // Clients take 4 MiB, and the log adds what it knows.
    const LARGEST: usize = 7 << 19;
    for read_event in [udesk::posted::read_event, huawei::posted::read_event] {
        let event = read_event("acme", body, &[SECRET]);
        assert!(event.r#type() != EventType::Unspecified && event.vendor_payload.is_some());
        assert!(event.payload.is_some() || event.r#type() == EventType::Vendor, "a known type has its arm");
        assert!(event.agent.is_empty() || AgentName::parse(&event.agent).is_ok());
        assert!(event.extension.is_empty() || ExtensionName::parse(&event.extension).is_ok());
        assert!(event.queue.is_empty() || QueueName::parse(&event.queue).is_ok());
        let encoded = event.encode_to_vec();
        assert!(encoded.len() <= LARGEST, "a client can take it");
        assert!(!String::from_utf8_lossy(&encoded).contains(SECRET), "a secret is not shown");
        assert_eq!(Event::decode(&*encoded).as_ref(), Ok(&event), "a client can read it");
        let again = read_event("acme", body, &[SECRET]);
        assert_eq!(again.encode_to_vec(), encoded, "a body has one meaning");
    }
}

fn opened(reply: &HttpResponse, opened: ParsedResponse) {
    match opened {
        ParsedResponse::Payload(payload) => {
            assert!(reply.status.is_success(), "a failure by its status is no success");
            // In JSON within text, a line break of two characters becomes an escape of six.
            let is_text =
                std::str::from_utf8(&reply.body).is_ok_and(|body| !body.contains(&*String::from_utf8_lossy(&payload)));
            let largest = if is_text { 3 * reply.body.len() } else { reply.body.len() };
            assert!(payload.len() <= largest.max(4), "a payload is a part of its answer");
            de(&payload);
        }
        ParsedResponse::Refused(refusal) => {
            assert!(!reply.status.is_success() || !refusal.code.is_empty(), "a refusal says so in one way at least");
            let code = redact::vendor_code(&refusal.code);
            assert!(code.len() <= 16 && code.is_ascii());
            let text = redact::vendor_text(&refusal.message, &["secret"]);
            assert!(text.len() <= 256 && !text.contains("secret") && !text.contains(char::is_control));
            let mut numbers = text.split(|char: char| !char.is_numeric());
            assert!(numbers.all(|number| number.chars().count() < 5), "a number of somebody's");
        }
        ParsedResponse::Unreadable(_) => {}
    }
}

/// The ways in which adapters read fields. None of them fails on a value of another kind.
fn de(payload: &[u8]) {
    let _ = serde_json::from_slice::<List<Object<HashMap<String, Text>>>>(payload);
    let Ok(fields) = serde_json::from_slice::<HashMap<String, &RawValue>>(payload) else { return };
    for (name, raw) in &fields {
        if serde_json::from_str::<Value>(raw.get()).is_err() {
            continue; // too deep, or a number that nothing holds
        }
        assert!(serde_json::from_str::<Text>(raw.get()).is_ok());
        assert!(serde_json::from_str::<Integer>(raw.get()).is_ok());
        assert!(serde_json::from_str::<Flag>(raw.get()).is_ok());
        assert!(serde_json::from_str::<Anything>(raw.get()).is_ok());
        let value: Value = serde_json::from_str(raw.get()).unwrap_or_default();
        let data = VendorData::new().json(name, &value).build();
        assert!(data.is_none_or(|data| data.fields.keys().all(|key| !is_secret(key))));
    }
}

/// A resource name, and the same text as a vendor's own ID.
pub fn names(text: &[u8]) {
    fn reads<N: ResourceName + ToString + PartialEq + std::fmt::Debug>(text: &str) {
        if let Ok(name) = N::parse(text) {
            assert_eq!(name.to_string(), text, "what parses prints the same");
            assert!(text.starts_with(&CenterName::new(name.center()).to_string()));
        }
    }
    let Ok(text) = std::str::from_utf8(text) else { return };
    reads::<CenterName>(text);
    reads::<AgentName>(text);
    reads::<CallSettingsName>(text);
    reads::<CapabilitiesName>(text);
    reads::<ExtensionName>(text);
    reads::<PhoneNumberName>(text);
    reads::<QueueName>(text);
    reads::<SoftphoneConfigName>(text);
    reads::<SubscriptionName>(text);

    // Any ID of a vendor's, up to the length that is read back, survives its name.
    let name = AgentName::new("acme", text);
    let shown = name.to_string();
    assert!(shown.is_ascii(), "a name can be sent in a header");
    if !text.is_empty() && (text.len() <= 32 || (shown.contains('%') && text.len() <= 256)) {
        assert_eq!(AgentName::parse(&shown).as_ref(), Ok(&name));
    }
}

/// A page token, and the same text as a position within a list.
pub fn page_tokens(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let queues = |token: &str| {
        let mut request = ListQueuesRequest { page_token: token.to_owned(), ..ListQueuesRequest::default() };
        Page::take("ListQueues", &mut request)
    };
    if let Ok(page) = queues(text)
        && let Some(after) = page.after()
    {
        assert_eq!(page.token(after), text, "what is read is what was made");
        let _ = page.offset();
    }
    let Ok(first) = queues("") else { unreachable!("no token is the first page") };
    let token = first.token(text);
    // Longer positions are not read back: no vendor's ID is that long.
    if !text.is_empty() && text.len() <= 700 {
        assert!(matches!(queues(&token), Ok(page) if page.after() == Some(text)), "what was made is read");
        let mut other = ListAgentsRequest { page_token: token, ..ListAgentsRequest::default() };
        assert!(Page::take("ListAgents", &mut other).is_err(), "a token is for its own list");
    }
}

/// `grpc-timeout`, `traceparent`, `Date` and `Retry-After`, all with this value.
pub fn timestamps(value: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let mut headers = HeaderMap::new();
    for name in ["grpc-timeout", "traceparent", "date", "retry-after"] {
        headers.insert(name, value.clone());
    }
    let limits = config::Deadline { default: Duration::from_secs(10), max: Duration::from_mins(1) };
    let cx = Context::from_headers("Fuzzed", &headers, &limits);
    assert!(cx.deadline() <= Instant::now() + limits.max, "the cap bounds every deadline");
    assert!(cx.trace_id().len() == 32 && cx.trace_id().bytes().all(|byte| byte.is_ascii_hexdigit()));
    if let Some(timeout) = context::timeout(&headers) {
        let text = value.to_str().unwrap_or_default();
        let (digits, unit) = text.split_at(text.len() - 1);
        let nanos: u128 = match unit {
            "H" => 3_600_000_000_000,
            "M" => 60_000_000_000,
            "S" => 1_000_000_000,
            "m" => 1_000_000,
            "u" => 1_000,
            _ => 1,
        };
        assert_eq!(Ok(timeout.as_nanos() / nanos), digits.parse());
    }
    for ours in [0, 1_566_523_582_000, u64::MAX] {
        if let Some(offset) = ccapi::offset(&headers, ours) {
            assert!(offset.abs() <= 24 * 3600 * 1000, "more is a broken clock");
            let theirs = std::time::UNIX_EPOCH + Duration::from_millis(ours.saturating_add_signed(offset));
            let printed = httpdate::fmt_http_date(theirs);
            headers.insert(header::DATE, HeaderValue::try_from(printed).unwrap_or(value.clone()));
            assert_eq!(ccapi::offset(&headers, ours), Some(offset), "the same moment in the form that we print");
        }
    }
    assert!(retry::retry_after(&headers).is_none_or(|pause| pause <= Duration::from_secs(3600)));
}

/// The body of an answer of tokenByAkSk.
pub fn token_replies(body: &[u8]) {
    let asked = Duration::from_secs(3600);
    for status in STATUSES {
        let reply = HttpResponse { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body) };
        let Some(fetched) = tokens::read(&reply, asked) else { continue };
        assert!(status.is_success(), "a failure by its status brings no token");
        assert!(!fetched.lifetime.is_zero() && fetched.lifetime <= asked, "nobody promised more");
        let header = format!("Bearer {}", fetched.value.expose_secret());
        assert!(header.len() > "Bearer ".len() && HeaderValue::from_str(&header).is_ok(), "it can be sent");
    }
}

/// A configuration file. Secrets in files are left out: no file of this machine is read.
pub fn configuration(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    // Also as an escape in a quoted key.
    if text.contains("file") || text.contains('\\') {
        return;
    }
    let parse = || Config::parse(text, "fuzzed.toml", &|_| Some(SECRET.to_owned()));
    match (parse(), parse()) {
        (Ok(config), Ok(again)) => {
            let shown = format!("{config:?}");
            assert_eq!(shown, format!("{again:?}"), "a file has one meaning");
            assert!(!shown.contains(SECRET), "a secret is not shown");
            assert!(!config.centers.is_empty() && config.deadline.default <= config.deadline.max);
            assert!(config.centers.keys().all(|id| crate::name::is_center_id(id)));
        }
        (Err(errors), Err(again)) => {
            let shown = errors.to_string();
            assert_eq!(shown, again.to_string());
            assert!(errors.iter().next().is_some() && !shown.contains(SECRET));
            let lines = text.lines().count().max(1);
            assert!(errors.iter().all(|error| error.line.is_none_or(|line| (1..=lines + 1).contains(&line))));
        }
        _ => unreachable!("a file has one meaning"),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use proptest::prelude::*;

    use super::*;

    fn folder() -> &'static Path {
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz"))
    }

    /// The names in a folder, without their endings.
    fn stems(folder: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_example_in_the_corpora_holds() {
        for (name, target) in TARGETS {
            let folder = folder().join("corpus").join(name);
            let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            let mut count = 0;
            for file in files {
                let path = file.unwrap().path();
                let held = std::panic::catch_unwind(|| target(&fs::read(&path).unwrap()));
                assert!(held.is_ok(), "{}", path.display());
                count += 1;
            }
            assert!(count >= 5, "{}: {count} examples", folder.display());
        }
    }

    #[test]
    fn every_target_has_a_program_and_a_corpus() {
        let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(stems(&folder().join("corpus")), targets);
        assert_eq!(stems(&folder().join("fuzz_targets")), targets);
        let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
        for name in &targets {
            assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"")), "{name}");
            let program = fs::read_to_string(folder().join(format!("fuzz_targets/{name}.rs"))).unwrap();
            assert!(program.contains(&format!("switchboard::fuzzing::{name}(input)")), "{name}");
        }
    }

    /// A property that nothing can break would prove nothing.
    #[test]
    fn what_is_read_wrongly_is_found() {
        let success = || ParsedResponse::Payload(Bytes::from_static(b"null"));
        for status in [StatusCode::OK, StatusCode::BAD_GATEWAY] {
            let reply = HttpResponse { status, headers: HeaderMap::new(), body: Bytes::new() };
            let held = std::panic::catch_unwind(|| opened(&reply, success()));
            assert_eq!(held.is_ok(), status.is_success());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_hold(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for (_, target) in TARGETS {
                target(&bytes);
            }
        }

        #[test]
        fn any_callback_holds(
            name in "acd_agent_state|general_hangup|record_stop|extern_succ|eavesdrop_succ|begin", value in "\\PC{0,30}",
            field in "(agent_?id|callSerialNo|call_id|record_url|caller|releaseTime|timestamp|workflow|password|data)",
            number in "-?[0-9]{1,40}(\\.[0-9]{1,3})?",
        ) {
            let value = Value::from(format!("{value}{SECRET}"));
            let body = format!("{{\"event\":\"{name}\",\"data\":{{\"{field}\":{value},\"state\":{number}}}}}");
            callbacks(body.as_bytes());
            callbacks(Value::from(body.as_str()).to_string().as_bytes());
            callbacks(format!("{{event={name}, {field}={number}, data={body}}}").as_bytes());
            callbacks(format!("event={name}&{field}={number}&data={body}").as_bytes());
        }

        #[test]
        fn any_time_holds(
            text in "[0-9]{0,9}[HMSmun]?|00-[0-9a-f]{32}-[0-9a-f]{16}-01|[A-Z][a-z]{2}, [0-3][0-9] (Jan|Nov) [0-9]{4} [0-2][0-9]:[0-5][0-9]:[0-5][0-9] GMT"
        ) {
            timestamps(text.as_bytes());
        }

        #[test]
        fn any_token_reply_holds(
            name in "AccessToken|access_token|accessToken", token in "\\PC{0,40}",
            expires in "\"?-?[0-9]{0,20}\"?|null|\"\\PC{0,8}\"", more in "(,\"[A-Za-z]{1,12}\":[0-9]{1,5}){0,3}",
        ) {
            let token = Value::from(token);
            token_replies(format!("{{\"{name}\":{token},\"Expires\":{expires}{more}}}").as_bytes());
        }
    }
}
