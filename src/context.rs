//! What is known of a call: built once, at the edge, and handed down to whatever acts for it.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use http::HeaderMap;
use tokio::time::Instant;

use crate::config;

/// Time kept back for the answer: it must leave at least 10 ms before the caller hangs up. A quarter of a short deadline
/// is enough, and some for a machine that is busy.
const TIME_TO_ANSWER: Duration = Duration::from_millis(25);
const LEAST_TIME_TO_ANSWER: Duration = Duration::from_millis(15);

/// One call. Cheap to clone: clones are the same call.
#[derive(Debug, Clone)]
pub struct Context {
    call: Arc<Call>,
    write_deadline: Instant,
}

#[derive(Debug)]
struct Call {
    method: &'static str,
    trace_id: String,
    deadline: Instant,
    asked: Option<Instant>,
    center: OnceLock<Center>,
    sent: AtomicBool,
    writes: AtomicU8,
    operation: Mutex<&'static str>,
}

/// Bits of [`Call::writes`]: a write may have left, and nobody waits for the answer any more.
const SENT: u8 = 1;
const ABANDONED: u8 = 2;

/// The center a call turned out to be for.
#[derive(Debug, Clone)]
pub struct Center {
    /// Its ID, e.g. `acme`.
    pub id: String,
    /// Its vendor's name in the contract.
    pub vendor: &'static str,
}

// === impl Context ===

impl Context {
    /// A call of this method that must be answered by `deadline`.
    pub fn new(method: &'static str, trace_id: String, deadline: Instant) -> Self {
        Self::of(method, trace_id, deadline, None)
    }

    fn of(method: &'static str, trace_id: String, deadline: Instant, asked: Option<Instant>) -> Self {
        let call = Call {
            method,
            trace_id,
            deadline,
            asked,
            center: OnceLock::new(),
            sent: AtomicBool::new(false),
            writes: AtomicU8::new(0),
            operation: Mutex::default(),
        };
        Self { call: Arc::new(call), write_deadline: deadline }
    }

    /// The same call, which waits for what was sent until `write_deadline`, not only until its deadline: its outcome is kept
    /// for a repeat, so it is worth knowing.
    #[must_use]
    pub fn with_write_deadline(&self, write_deadline: Instant) -> Self {
        Self { call: self.call.clone(), write_deadline: write_deadline.max(self.write_deadline) }
    }

    /// Reads what the caller's headers say.
    ///
    /// The deadline is the caller's own, or the configured default, never later than the configured cap, less
    /// the time to answer.
    pub fn from_headers(method: &'static str, headers: &HeaderMap, limits: &config::Deadline) -> Self {
        let asked = timeout(headers);
        let time = asked.unwrap_or(limits.default).min(limits.max);
        let answer = (time / 4).clamp(LEAST_TIME_TO_ANSWER, TIME_TO_ANSWER);
        let now = Instant::now();
        Self::of(method, trace_id(headers), now + time.saturating_sub(answer), asked.map(|asked| now + asked))
    }

    /// Unqualified name of the method, e.g. `GetAgent`.
    pub fn method(&self) -> &'static str {
        self.call.method
    }

    /// ID that ties logs and errors of this call together: the caller's W3C trace ID when there is one.
    pub fn trace_id(&self) -> &str {
        &self.call.trace_id
    }

    /// When work for this call must be over.
    pub fn deadline(&self) -> Instant {
        self.call.deadline
    }

    /// When the caller wants the call to end, if it said so: all that a stream is held to.
    pub fn asked_deadline(&self) -> Option<Instant> {
        self.call.asked
    }

    /// How long the answer to a write that was sent is waited for.
    pub fn write_deadline(&self) -> Instant {
        self.write_deadline
    }

    /// The center, once it is known.
    pub fn center(&self) -> Option<&Center> {
        self.call.center.get()
    }

    /// Notes which center the call is for. A call is for one center: a second one is ignored.
    pub fn enter(&self, id: &str, vendor: &'static str) {
        let _ = self.call.center.set(Center { id: id.to_owned(), vendor });
    }

    /// Notes that a write is about to leave. `false` when nobody waits any more and none has left before: then none may.
    pub fn begin_write(&self) -> bool {
        let sent = |state| (state != ABANDONED).then_some(state | SENT);
        self.call.writes.fetch_update(Ordering::AcqRel, Ordering::Acquire, sent).is_ok()
    }

    /// Notes that nobody waits for the answer any more. Says whether a write may have left already; it then runs on.
    pub fn abandon(&self) -> bool {
        self.call.writes.fetch_or(ABANDONED, Ordering::AcqRel) & SENT != 0
    }

    /// The vendor's operation that was asked for last; empty before the first.
    pub fn operation(&self) -> &'static str {
        *self.call.operation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes which of the vendor's operations is asked for.
    pub fn note_operation(&self, operation: &'static str) {
        *self.call.operation.lock().unwrap_or_else(PoisonError::into_inner) = operation;
    }

    /// Whether a request may have reached the vendor at any step of this call.
    pub fn sent(&self) -> bool {
        self.call.sent.load(Ordering::Acquire)
    }

    /// Notes that a request may have reached the vendor.
    pub fn mark_sent(&self) {
        self.call.sent.store(true, Ordering::Release);
    }
}

/// `grpc-timeout`: at most eight digits and a unit. Anything else is no timeout, as the gRPC specification has it for
/// malformed values.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

/// The trace ID of a W3C `traceparent`, or a fresh one.
fn trace_id(headers: &HeaderMap) -> String {
    let given = headers.get("traceparent").and_then(|value| value.to_str().ok()).and_then(|text| {
        let id = text.split('-').nth(1)?;
        let valid = id.len() == 32
            && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            && id.bytes().any(|byte| byte != b'0');
        valid.then(|| id.to_owned())
    });
    given.unwrap_or_else(|| format!("{:032x}", fastrand::u128(1..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), http::HeaderValue::from_static(value))])
    }

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("250m", Some(Duration::from_millis(250))),
            ("7u", Some(Duration::from_micros(7))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("100000000S", None),
            ("", None),
            ("S", None),
            ("-1S", None),
            ("1s", None),
            ("10", None),
        ] {
            assert_eq!(timeout(&headers("grpc-timeout", text)), expected, "{text}");
        }
    }

    #[test]
    fn a_trace_id_is_taken_over_or_made() {
        let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_id(&headers("traceparent", given)), "4bf92f3577b34da6a3ce929d0e0e4736");
        for bad in ["00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-XYZ-1-01", "nonsense"] {
            let made = trace_id(&headers("traceparent", bad));
            assert_eq!(made.len(), 32);
            assert!(!bad.contains(&made));
        }
    }

    #[tokio::test]
    async fn the_cap_bounds_what_callers_ask_for() {
        let limits = config::Deadline { default: Duration::from_secs(10), max: Duration::from_secs(60) };
        let asked = Context::from_headers("GetAgent", &headers("grpc-timeout", "1H"), &limits);
        assert!(asked.deadline() <= Instant::now() + Duration::from_secs(60));
        let unset = Context::from_headers("GetAgent", &HeaderMap::new(), &limits);
        assert!(unset.deadline() <= Instant::now() + Duration::from_secs(10));
    }
}
