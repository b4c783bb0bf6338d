//! A rule, asked by every call whether it strikes.

use std::{fmt, time::Duration};

use axum::http::Uri;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{
    Alteration, Arrived, Vendor,
    fault::Fault,
    keys::{Keys, LONGEST_MATCH, LONGEST_MS},
};

/// Why a rule was refused: the key, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    key: String,
    expected: String,
}

/// One rule.
pub(super) struct Rule {
    /// The rule as it was given.
    given: Map<String, Value>,
    /// The operations' places; `None` for all.
    operations: Option<Vec<usize>>,
    matching: Option<String>,
    /// How many calls are still to be struck; `None` until cleared.
    left: Option<u64>,
    probability: f64,
    random: fastrand::Rng,
    rate: Option<Bucket>,
    jitter_ms: u64,
    fault: Fault,
}

/// A limit of requests a second: as many at once, and refilled steadily.
struct Bucket {
    rate: f64,
    tokens: f64,
    filled: Instant,
}

// === impl RuleError ===

impl RuleError {
    pub(super) fn new(key: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { key: key.into(), expected: expected.into() }
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => f.write_str(&self.expected),
            key => write!(f, "{key}: {}", self.expected),
        }
    }
}

impl std::error::Error for RuleError {}

// === impl Rule ===

impl Rule {
    pub(super) fn read(value: &Value, vendor: &Vendor) -> Result<Self, RuleError> {
        let given = value.as_object().ok_or_else(|| RuleError::new("", "a rule is a JSON object"))?;
        let keys = Keys::of(given);
        keys.check_names()?;
        keys.check_company(vendor)?;
        let latency_ms = keys.whole("latency_ms", 0..=LONGEST_MS)?.unwrap_or_default();
        let jitter_ms = keys.whole("jitter_ms", 0..=LONGEST_MS)?.unwrap_or_default();
        if latency_ms + jitter_ms > LONGEST_MS {
            return Err(RuleError::new("jitter_ms", format!("with latency_ms at most {LONGEST_MS}")));
        }
        let rate = keys.whole("rate", 1..=100_000)?;
        let fault = Fault {
            latency: Duration::from_millis(latency_ms),
            processed: keys.flag("processed")?,
            ending: keys.ending()?,
            drip: keys.whole("drip_ms", 1..=LONGEST_MS)?.map(Duration::from_millis),
            revoke_token: keys.flag("revoke_token")?,
            alteration: Alteration {
                clock_skew: keys.skew()?,
                partial: keys.whole("partial", 1..=1_000)?.and_then(|entries| usize::try_from(entries).ok()),
            },
        };
        Ok(Self {
            operations: keys.operations(vendor)?,
            matching: keys.text("matching", LONGEST_MATCH)?,
            left: keys.whole("times", 1..=1_000_000_000)?,
            probability: keys.probability()?,
            random: keys.whole("seed", 0..=u64::MAX)?.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed),
            rate: rate.map(Bucket::full),
            jitter_ms,
            fault,
            given: given.clone(),
        })
    }

    /// The rule as it was given, `times` being what is left.
    pub(super) fn shown(&self) -> Value {
        let mut shown = self.given.clone();
        if let Some(left) = self.left {
            shown.insert("times".to_owned(), left.into());
        }
        Value::Object(shown)
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.left == Some(0)
    }

    /// What befalls this request by this rule.
    pub(super) fn strike(&mut self, arrived: &Arrived<'_>, now: Instant) -> Option<Fault> {
        if let Some(operations) = &self.operations
            && !arrived.operation.is_some_and(|operation| operations.contains(&operation))
        {
            return None;
        }
        if self.matching.as_deref().is_some_and(|text| !occurs(text, arrived)) {
            return None;
        }
        if self.probability < 1.0 && self.random.f64() >= self.probability {
            return None;
        }
        if self.rate.as_mut().is_some_and(|bucket| bucket.take(now)) {
            return None;
        }
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
        }
        let mut fault = self.fault.clone();
        fault.latency += Duration::from_millis(self.random.u64(0..=self.jitter_ms));
        Some(fault)
    }
}

fn occurs(text: &str, arrived: &Arrived<'_>) -> bool {
    let in_target = |uri: &Uri| {
        let spaced = uri.to_string().replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().contains(text)
    };
    in_target(arrived.uri) || String::from_utf8_lossy(arrived.body).contains(text)
}

// === impl Bucket ===

impl Bucket {
    #[expect(clippy::cast_precision_loss, reason = "at most 100,000")]
    fn full(rate: u64) -> Self {
        Self { rate: rate as f64, tokens: rate as f64, filled: Instant::now() }
    }

    /// Whether the request is within the limit.
    fn take(&mut self, now: Instant) -> bool {
        let refilled = self.rate * now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + refilled).min(self.rate);
        self.filled = now;
        let within = self.tokens >= 1.0;
        if within {
            self.tokens -= 1.0;
        }
        within
    }
}
