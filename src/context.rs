//! The context of one call: the request layer builds it and passes it down.

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use http::HeaderMap;
use tokio::time::Instant;

use crate::{config, error::Violation};

/// Time reserved for the response, which must be sent at least 10 ms before the caller's deadline: a quarter of the
/// timeout, within these bounds. The minimum has a margin for a busy machine.
const MAX_RESPONSE_TIME: Duration = Duration::from_millis(25);
const MIN_RESPONSE_TIME: Duration = Duration::from_millis(15);

const GRPC_TIMEOUT: &str = "grpc-timeout";

/// One call. Cheap to clone: clones are the same call.
#[derive(Debug, Clone)]
pub struct Context {
    call: Arc<Call>,
    write_deadline: Instant,
}

#[derive(Debug)]
struct Call {
    method: &'static str,
    /// The caller's, or generated when it is first asked for: only failures and logs need one.
    trace_id: OnceLock<String>,
    deadline: Instant,
    caller_deadline: Option<Instant>,
    center: OnceLock<Center>,
    sent: AtomicBool,
    write_state: AtomicU8,
    operation: Mutex<&'static str>,
    rejected: OnceLock<Rejected>,
}

/// The fields that the contract rejects in a request, each with what is expected. Such a call fails; the adapter may
/// only add what its vendor rejects.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rejected {
    /// Invalid fields.
    pub(crate) invalid: Vec<(String, Cow<'static, str>)>,
    /// Fields that are not supported.
    pub(crate) unsupported: Vec<(String, Cow<'static, str>)>,
}

/// `grpc-timeout` is malformed, or there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MalformedTimeout;

/// Bits of [`Call::write_state`]: a write may have been sent; the caller cancelled or its deadline passed.
const SENT: u8 = 1;
const CANCELLED: u8 = 2;

/// The center of a call.
#[derive(Debug, Clone)]
pub struct Center {
    /// Its ID, e.g. `acme`.
    pub id: String,
    /// Its vendor's name in the contract.
    pub vendor: &'static str,
}

// === impl Context ===

impl Context {
    /// A call of this method with this deadline.
    pub fn new(method: &'static str, trace_id: String, deadline: Instant) -> Self {
        Self::build(method, Some(trace_id), deadline, None)
    }

    fn build(
        method: &'static str,
        trace_id: Option<String>,
        deadline: Instant,
        caller_deadline: Option<Instant>,
    ) -> Self {
        let call = Call {
            method,
            trace_id: trace_id.map_or_else(OnceLock::new, OnceLock::from),
            deadline,
            caller_deadline,
            center: OnceLock::new(),
            sent: AtomicBool::new(false),
            write_state: AtomicU8::new(0),
            operation: Mutex::default(),
            rejected: OnceLock::new(),
        };
        Self { call: Arc::new(call), write_deadline: deadline }
    }

    /// The same call, which waits until `write_deadline` for the response to a write, past its own deadline: the
    /// outcome is recorded for a replay.
    #[must_use]
    pub fn with_write_deadline(&self, write_deadline: Instant) -> Self {
        Self { call: self.call.clone(), write_deadline: write_deadline.max(self.write_deadline) }
    }

    /// Builds the context from the request's headers.
    ///
    /// The deadline is `grpc-timeout` or the configured default, at most the configured maximum, less the time reserved
    /// for the response. The request layer rejects a call whose [`timeout`] is malformed.
    pub fn from_headers(method: &'static str, headers: &HeaderMap, limits: &config::Deadline) -> Self {
        let requested = timeout(headers).ok().flatten();
        let time = requested.unwrap_or(limits.default).min(limits.max);
        let reserved = (time / 4).clamp(MIN_RESPONSE_TIME, MAX_RESPONSE_TIME);
        let now = Instant::now();
        Self::build(
            method,
            trace_id(headers),
            now + time.saturating_sub(reserved),
            requested.map(|timeout| now + timeout),
        )
    }

    /// Unqualified name of the method, e.g. `GetAgent`.
    pub fn method(&self) -> &'static str {
        self.call.method
    }

    /// The ID in the logs and errors of this call: the caller's W3C trace ID, or a generated one.
    pub fn trace_id(&self) -> &str {
        self.call.trace_id.get_or_init(|| format!("{:032x}", fastrand::u128(1..)))
    }

    /// When work for this call must end.
    pub fn deadline(&self) -> Instant {
        self.call.deadline
    }

    /// The deadline of `grpc-timeout`, if the caller set one. A stream has no other deadline.
    pub fn caller_deadline(&self) -> Option<Instant> {
        self.call.caller_deadline
    }

    /// How long to wait for the response to a write that was sent.
    pub fn write_deadline(&self) -> Instant {
        self.write_deadline
    }

    /// The center, once it is known.
    pub fn center(&self) -> Option<&Center> {
        self.call.center.get()
    }

    /// Sets the center. A call has one center: a second one is ignored.
    pub fn set_center(&self, id: &str, vendor: &'static str) {
        let _ = self.call.center.set(Center { id: id.to_owned(), vendor });
    }

    /// Marks that a write is about to be sent. Returns `false` when the call was cancelled or its deadline passed
    /// before its first write: then nothing may be sent.
    pub fn begin_write(&self) -> bool {
        let expired = self.is_expired();
        let sent = |state| (state & SENT != 0 || (state == 0 && !expired)).then_some(state | SENT);
        self.call.write_state.fetch_update(Ordering::AcqRel, Ordering::Acquire, sent).is_ok()
    }

    /// Takes the mark of the call's first write back: no connection took it.
    pub(crate) fn take_back_write(&self) {
        self.call.write_state.fetch_and(!SENT, Ordering::AcqRel);
    }

    /// Whether a write may have been sent.
    pub(crate) fn has_begun_write(&self) -> bool {
        self.call.write_state.load(Ordering::Acquire) & SENT != 0
    }

    /// Whether the deadline passed. Then no request is sent for this call, except the remaining writes of several.
    pub fn is_expired(&self) -> bool {
        Instant::now() >= self.call.deadline
    }

    /// Marks that the caller cancelled or its deadline passed. Returns whether a write may have been sent; it then runs
    /// on.
    pub fn cancel(&self) -> bool {
        self.call.write_state.fetch_or(CANCELLED, Ordering::AcqRel) & SENT != 0
    }

    /// Marks that the contract rejects the request. Nothing may be sent for it.
    pub(crate) fn reject(&self, rejected: Rejected) {
        let _ = self.call.rejected.set(rejected);
    }

    /// What the contract rejects, if it rejects the request.
    pub(crate) fn rejected(&self) -> Option<&Rejected> {
        self.call.rejected.get()
    }

    /// The vendor's operation that was called last; empty before the first.
    pub fn operation(&self) -> &'static str {
        *self.call.operation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the vendor's operation that is about to be called.
    pub fn set_operation(&self, operation: &'static str) {
        *self.call.operation.lock().unwrap_or_else(PoisonError::into_inner) = operation;
    }

    /// Whether a request may have reached the vendor at any step of this call.
    pub fn may_have_been_sent(&self) -> bool {
        self.call.sent.load(Ordering::Acquire)
    }

    /// Marks that a request may have reached the vendor.
    pub fn mark_sent(&self) {
        self.call.sent.store(true, Ordering::Release);
    }
}

// === impl MalformedTimeout ===

impl MalformedTimeout {
    const EXPECTED: &str = "expected one value of 1 to 8 digits and a unit: H, M, S, m, u or n";

    /// The violation that a call with it has.
    pub(crate) fn violation() -> Violation {
        Violation::new(GRPC_TIMEOUT, Self::EXPECTED)
    }
}

impl fmt::Display for MalformedTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{GRPC_TIMEOUT} is invalid: {}", Self::EXPECTED)
    }
}

/// `grpc-timeout`: one to eight digits and a unit.
///
/// A malformed value is no deadline that the gateway knows. The caller meant one, so the call must not run without it.
pub(crate) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, MalformedTimeout> {
    let mut values = headers.get_all(GRPC_TIMEOUT).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let (None, Some((&unit, digits))) = (values.next(), value.as_bytes().split_last()) else {
        return Err(MalformedTimeout);
    };
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return Err(MalformedTimeout);
    }
    let count = digits.iter().fold(0, |count, digit| count * 10 + u64::from(digit - b'0'));
    Ok(Some(match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return Err(MalformedTimeout),
    }))
}

/// The trace ID of a W3C `traceparent`.
fn trace_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("traceparent")?.to_str().ok()?.split('-').nth(1)?;
    let is_valid = id.len() == 32
        && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && id.bytes().any(|byte| byte != b'0');
    is_valid.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value)])
    }

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        for (text, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("250m", Duration::from_millis(250)),
            ("7u", Duration::from_micros(7)),
            ("00000012S", Duration::from_secs(12)),
            ("99999999n", Duration::from_nanos(99_999_999)),
            ("99999999H", Duration::from_secs(99_999_999 * 3600)),
        ] {
            assert_eq!(timeout(&headers("grpc-timeout", text)), Ok(Some(expected)), "{text}");
        }
        assert_eq!(timeout(&HeaderMap::new()), Ok(None));
        for text in [
            "100000000S",
            "123456789S",
            "",
            "S",
            "-1S",
            "+1S",
            "1s",
            "10",
            "abc",
            "1.5S",
            "1 S",
            " 1S",
            "1S ",
            "1SS",
            "1\u{e9}",
        ] {
            assert_eq!(timeout(&headers("grpc-timeout", text)), Err(MalformedTimeout), "{text:?}");
        }
        let mut two = headers("grpc-timeout", "1S");
        two.append("grpc-timeout", http::HeaderValue::from_static("1S"));
        assert_eq!(timeout(&two), Err(MalformedTimeout));
    }

    #[test]
    fn a_trace_id_is_parsed_or_generated() {
        let limits = config::Deadline { default: Duration::from_secs(10), max: Duration::from_secs(60) };
        let context = |value| Context::from_headers("GetAgent", &headers("traceparent", value), &limits);
        let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(context(given).trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        for bad in ["00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-XYZ-1-01", "nonsense"] {
            let context = context(bad);
            let generated = context.trace_id();
            assert_eq!(generated.len(), 32);
            assert!(!bad.contains(generated));
            assert_eq!(context.clone().trace_id(), generated, "one call has one");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_first_write_begins_after_the_deadline_and_later_ones_do() {
        let cx = |time| Context::new("StartCallback", String::new(), Instant::now() + Duration::from_millis(time));
        assert!(!cx(0).begin_write());
        let several = cx(5);
        assert!(several.begin_write());
        tokio::time::advance(Duration::from_millis(5)).await;
        assert!(several.is_expired() && several.begin_write());
        let cancelled = cx(5);
        assert!(!cancelled.cancel() && !cancelled.begin_write());
    }

    #[tokio::test]
    async fn the_maximum_caps_the_callers_timeout() {
        let limits = config::Deadline { default: Duration::from_secs(10), max: Duration::from_secs(60) };
        let requested = Context::from_headers("GetAgent", &headers("grpc-timeout", "1H"), &limits);
        assert!(requested.deadline() <= Instant::now() + Duration::from_secs(60));
        let unset = Context::from_headers("GetAgent", &HeaderMap::new(), &limits);
        assert!(unset.deadline() <= Instant::now() + Duration::from_secs(10));
    }
}
