//! Properties that hold for any input: one function per target in `fuzz/`, over the gateway's own parsers.
//!
//! Each function accepts untrusted bytes and fails by a panic. The unit tests run the committed inputs of `fuzz/corpus`
//! through the same functions.

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
    token::Fetched,
    vendor::{
        de::{Anything, Flag, Integer, List, Object, Text},
        huawei::{
            self, api_fabric,
            envelope::{AGENT_ACCOUNT, AGENT_SETTINGS, BARE, DESCRIBED, Envelope, MOBILE_AGENT},
        },
        slices::Position,
        udesk::{
            self,
            ccapi::{self},
            envelope,
            operations::{CALLBACK, READ, SIGN_IN},
        },
    },
    vendor_data::VendorData,
};

/// A target: its name and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target. Its program in `fuzz/fuzz_targets` and its folder in `fuzz/corpus` have the same name.
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
    ("token_responses", token_responses),
];

/// Reads a callback: the center's ID, the body, and secrets to remove.
type ReadEvent = fn(&str, &[u8], &[&str]) -> Event;

/// The parsers of one vendor.
struct Parsers {
    /// A response in every envelope.
    envelopes: fn(&HttpResponse) -> Vec<ParsedResponse>,
    /// A callback's body, if the vendor posts events.
    callback: Option<ReadEvent>,
    /// The token in a response, and the requested lifetime, if the vendor has tokens.
    token: Option<fn(&HttpResponse, Duration) -> Option<Fetched>>,
}

/// One row per vendor.
const VENDORS: &[(&str, Parsers)] = &[
    ("udesk", Parsers { envelopes: udesk_envelopes, callback: Some(udesk_event), token: None }),
    (
        "huawei",
        Parsers {
            envelopes: huawei_envelopes,
            callback: Some(huawei::callbacks::read_event),
            token: Some(huawei::tokens::read),
        },
    ),
];

/// The value of every environment variable of a fuzzed configuration. No event contains it.
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

/// The body of a vendor's response, in every envelope of every vendor.
pub fn envelopes(body: &[u8]) {
    let body = Bytes::copy_from_slice(body);
    for status in STATUSES {
        let response = HttpResponse { status, headers: HeaderMap::new(), body: body.clone() };
        for (_, Parsers { envelopes, .. }) in VENDORS {
            for parsed in envelopes(&response) {
                check_parsed(&response, parsed);
            }
        }
    }
}

fn udesk_event(center: &str, body: &[u8], secrets: &[&str]) -> Event {
    udesk::callbacks::read_event(center, body, secrets, &config::AgentStates::default())
}

/// A response in every envelope of Udesk.
fn udesk_envelopes(response: &HttpResponse) -> Vec<ParsedResponse> {
    let styles = [READ, SIGN_IN, CALLBACK].into_iter();
    let operations =
        styles.map(|style| Operation { name: "fuzzed", method: Method::PUT, repeatable: false, is_list: false, style });
    operations.map(|operation| envelope::open(&operation, response)).collect()
}

/// A response in every envelope of Huawei.
fn huawei_envelopes(response: &HttpResponse) -> Vec<ParsedResponse> {
    let families = [BARE, MOBILE_AGENT, AGENT_SETTINGS, AGENT_ACCOUNT, DESCRIBED].into_iter();
    let parse = |envelope: Envelope| {
        let style = api_fabric::Style { operation: "fuzzed", path: "/fuzzed", envelope, takes_caller_values: true };
        let operation = Operation { name: "fuzzed", method: Method::POST, repeatable: false, is_list: false, style };
        envelope.open(&operation, response)
    };
    families.map(parse).collect()
}

/// The body of a callback of any vendor.
pub fn callbacks(body: &[u8]) {
    // Clients accept 4 MiB; the rest is for the fields that the gateway adds.
    const MAX_EVENT_BYTES: usize = 7 << 19;
    for read_event in VENDORS.iter().filter_map(|(_, parsers)| parsers.callback) {
        let event = read_event("acme", body, &[SECRET]);
        assert!(event.r#type() != EventType::Unspecified && event.vendor_payload.is_some());
        assert!(event.payload.is_some() || event.r#type() == EventType::Vendor, "a known type has its payload");
        assert!(event.agent.is_empty() || AgentName::parse(&event.agent).is_ok());
        assert!(event.extension.is_empty() || ExtensionName::parse(&event.extension).is_ok());
        assert!(event.queue.is_empty() || QueueName::parse(&event.queue).is_ok());
        let encoded = event.encode_to_vec();
        assert!(encoded.len() <= MAX_EVENT_BYTES, "a client accepts it");
        assert!(!String::from_utf8_lossy(&encoded).contains(SECRET), "an event contains no secret");
        assert_eq!(Event::decode(&*encoded).as_ref(), Ok(&event), "a client can decode it");
        let again = read_event("acme", body, &[SECRET]);
        assert_eq!(again.encode_to_vec(), encoded, "parsing is deterministic");
    }
}

fn check_parsed(response: &HttpResponse, parsed: ParsedResponse) {
    match parsed {
        ParsedResponse::Payload(payload) => {
            assert!(response.status.is_success(), "an HTTP error status is no success");
            // In JSON within text, a line break of two characters becomes an escape of six.
            let is_text = std::str::from_utf8(&response.body)
                .is_ok_and(|body| !body.contains(&*String::from_utf8_lossy(&payload)));
            let largest = if is_text { 3 * response.body.len() } else { response.body.len() };
            assert!(payload.len() <= largest.max(4), "a payload is a part of the response");
            check_fields(&payload);
        }
        ParsedResponse::Refused(refusal) => {
            assert!(
                !response.status.is_success() || !refusal.code.is_empty(),
                "a rejection has an error status or a code"
            );
            let code = redact::vendor_code(&refusal.code);
            assert!(code.len() <= 16 && code.is_ascii());
            let text = redact::vendor_text(&refusal.message, &["secret"]);
            assert!(text.len() <= 256 && !text.contains("secret") && !text.contains(char::is_control));
            let mut numbers = text.split(|char: char| !char.is_numeric());
            assert!(numbers.all(|number| number.chars().count() < 5), "a personal number");
        }
        ParsedResponse::Unreadable(_) => {}
    }
}

/// The adapters' field types. None of them fails on a JSON value of another type.
fn check_fields(payload: &[u8]) {
    let _ = serde_json::from_slice::<List<Object<HashMap<String, Text>>>>(payload);
    let Ok(fields) = serde_json::from_slice::<HashMap<String, &RawValue>>(payload) else { return };
    for (name, raw) in &fields {
        if serde_json::from_str::<Value>(raw.get()).is_err() {
            continue; // nested too deep, or a number out of range
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
    fn round_trips<N: ResourceName + ToString + PartialEq + std::fmt::Debug>(text: &str) {
        if let Ok(name) = N::parse(text) {
            assert_eq!(name.to_string(), text, "a parsed name prints the same");
            assert!(text.starts_with(&CenterName::new(name.center()).to_string()));
        }
    }
    let Ok(text) = std::str::from_utf8(text) else { return };
    round_trips::<CenterName>(text);
    round_trips::<AgentName>(text);
    round_trips::<CallSettingsName>(text);
    round_trips::<CapabilitiesName>(text);
    round_trips::<ExtensionName>(text);
    round_trips::<PhoneNumberName>(text);
    round_trips::<QueueName>(text);
    round_trips::<SoftphoneConfigName>(text);
    round_trips::<SubscriptionName>(text);

    // Any vendor ID, up to the length that parses back, survives its name.
    let name = AgentName::new("acme", text);
    let shown = name.to_string();
    assert!(shown.is_ascii(), "a name is a valid header value");
    if !text.is_empty() && (text.len() <= 32 || (shown.contains('%') && text.len() <= 256)) {
        assert_eq!(AgentName::parse(&shown).as_ref(), Ok(&name));
    }
}

/// A page token, and the same text as a position in a list.
pub fn page_tokens(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let queues = |token: &str| {
        let mut request = ListQueuesRequest { page_token: token.to_owned(), ..ListQueuesRequest::default() };
        Page::take("ListQueues", &mut request)
    };
    if let Ok(page) = queues(text)
        && let Some(after) = page.after()
    {
        assert_eq!(page.token(after), text, "a decoded token encodes the same");
        if let Ok(position) = page.position::<Position>() {
            assert_eq!(position.to_string().parse(), Ok(position), "a position encodes the same");
        }
    }
    let Ok(first) = queues("") else { unreachable!("an empty token is the first page") };
    let token = first.token(text);
    // A longer position does not parse back: no vendor's ID is that long.
    if !text.is_empty() && text.len() <= 700 {
        assert!(matches!(queues(&token), Ok(page) if page.after() == Some(text)), "an issued token parses");
        let mut other = ListAgentsRequest { page_token: token, ..ListAgentsRequest::default() };
        assert!(Page::take("ListAgents", &mut other).is_err(), "a token is valid for its own method only");
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
    assert!(cx.deadline() <= Instant::now() + limits.max, "the maximum caps every deadline");
    assert!(cx.trace_id().len() == 32 && cx.trace_id().bytes().all(|byte| byte.is_ascii_hexdigit()));
    if let Ok(Some(timeout)) = context::timeout(&headers) {
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
            assert!(offset.abs() <= 24 * 3600 * 1000, "a larger offset is ignored");
            let theirs = std::time::UNIX_EPOCH + Duration::from_millis(ours.saturating_add_signed(offset));
            let printed = httpdate::fmt_http_date(theirs);
            headers.insert(header::DATE, HeaderValue::try_from(printed).unwrap_or(value.clone()));
            assert_eq!(ccapi::offset(&headers, ours), Some(offset), "the same time in the gateway's own format");
        }
    }
    for now in [std::time::UNIX_EPOCH, std::time::UNIX_EPOCH + Duration::from_secs(1_566_523_582)] {
        assert!(retry::retry_after(&headers, now).is_none_or(|pause| pause <= Duration::from_secs(3600)));
    }
}

/// The body of a response to a token request.
pub fn token_responses(body: &[u8]) {
    let requested = Duration::from_secs(3600);
    let readers = VENDORS.iter().filter_map(|(_, parsers)| parsers.token);
    for (read, status) in readers.flat_map(|read| STATUSES.map(|status| (read, status))) {
        let response = HttpResponse { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body) };
        let Some(fetched) = read(&response, requested) else { continue };
        assert!(status.is_success(), "an HTTP error status contains no token");
        assert!(!fetched.lifetime.is_zero() && fetched.lifetime <= requested, "at most the requested lifetime");
        let header = format!("Bearer {}", fetched.value.expose_secret());
        assert!(header.len() > "Bearer ".len() && HeaderValue::from_str(&header).is_ok(), "it is a valid header value");
    }
}

/// A configuration file. Inputs that name secret files are skipped, so that no file of this machine is read.
pub fn configuration(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    // A quoted key may spell it with escapes.
    if text.contains("file") || text.contains('\\') {
        return;
    }
    let parse = || Config::parse(text, "fuzzed.toml", &|_| Some(SECRET.to_owned()));
    match (parse(), parse()) {
        (Ok(config), Ok(again)) => {
            let shown = format!("{config:?}");
            assert_eq!(shown, format!("{again:?}"), "parsing is deterministic");
            assert!(!shown.contains(SECRET), "Debug shows no secret");
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
        _ => unreachable!("parsing is deterministic"),
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

    /// The file names in a folder, without extensions.
    fn stems(folder: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_corpus_input_passes() {
        for (name, target) in TARGETS {
            let folder = folder().join("corpus").join(name);
            let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            let mut count = 0;
            for file in files {
                let path = file.unwrap().path();
                let result = std::panic::catch_unwind(|| target(&fs::read(&path).unwrap()));
                assert!(result.is_ok(), "{}", path.display());
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

    /// A property that cannot fail proves nothing.
    #[test]
    fn a_misparsed_response_fails_its_property() {
        let success = || ParsedResponse::Payload(Bytes::from_static(b"null"));
        for status in [StatusCode::OK, StatusCode::BAD_GATEWAY] {
            let response = HttpResponse { status, headers: HeaderMap::new(), body: Bytes::new() };
            let result = std::panic::catch_unwind(|| check_parsed(&response, success()));
            assert_eq!(result.is_ok(), status.is_success());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_pass(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for (_, target) in TARGETS {
                target(&bytes);
            }
        }

        #[test]
        fn any_callback_passes(
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
        fn any_timestamp_passes(
            text in "[0-9]{0,9}[HMSmun]?|00-[0-9a-f]{32}-[0-9a-f]{16}-01|[A-Z][a-z]{2}, [0-3][0-9] (Jan|Nov) [0-9]{4} [0-2][0-9]:[0-5][0-9]:[0-5][0-9] GMT"
        ) {
            timestamps(text.as_bytes());
        }

        #[test]
        fn any_token_response_passes(
            name in "AccessToken|access_token|accessToken", token in "\\PC{0,40}",
            expires in "\"?-?[0-9]{0,20}\"?|null|\"\\PC{0,8}\"", more in "(,\"[A-Za-z]{1,12}\":[0-9]{1,5}){0,3}",
        ) {
            let token = Value::from(token);
            token_responses(format!("{{\"{name}\":{token},\"Expires\":{expires}{more}}}").as_bytes());
        }
    }
}
