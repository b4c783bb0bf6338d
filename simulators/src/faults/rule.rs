//! A rule: which requests trigger it, and how often.

use std::time::Duration;

use axum::http::Uri;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{
    alteration::Alteration,
    fault::Fault,
    keys::{Keys, MAX_MATCHING, MAX_PAUSE_MS},
    vendor::{ReceivedRequest, Vendor},
};
use crate::rule_error::RuleError;

/// One rule.
pub(super) struct Rule {
    /// The rule as it was read.
    source: Map<String, Value>,
    /// Indexes of operations; `None` for all of them.
    operations: Option<Vec<usize>>,
    matching: Option<String>,
    /// How many more requests trigger the rule; `None` for all of them.
    remaining: Option<u64>,
    probability: f64,
    random: fastrand::Rng,
    rate: Option<TokenBucket>,
    jitter_ms: u64,
    fault: Fault,
}

/// A limit in requests a second: a burst of as many, refilled steadily.
struct TokenBucket {
    rate: f64,
    tokens: f64,
    filled: Instant,
}

// === impl Rule ===

impl Rule {
    pub(super) fn read(value: &Value, vendor: &Vendor) -> Result<Self, RuleError> {
        let source = value.as_object().ok_or_else(|| RuleError::new("", "a rule is a JSON object"))?;
        let keys = Keys::new(source);
        keys.check_names()?;
        keys.check_combinations(vendor)?;
        let latency_ms = keys.integer("latency_ms", 0..=MAX_PAUSE_MS)?.unwrap_or_default();
        let jitter_ms = keys.integer("jitter_ms", 0..=MAX_PAUSE_MS)?.unwrap_or_default();
        if latency_ms + jitter_ms > MAX_PAUSE_MS {
            return Err(RuleError::new("jitter_ms", format!("with latency_ms at most {MAX_PAUSE_MS}")));
        }
        let rate = keys.integer("rate", 1..=100_000)?;
        let fault = Fault {
            latency: Duration::from_millis(latency_ms),
            processed: keys.flag("processed")?,
            ending: keys.ending()?,
            drip: keys.integer("drip_ms", 1..=MAX_PAUSE_MS)?.map(Duration::from_millis),
            revoke_token: keys.flag("revoke_token")?,
            alteration: Alteration {
                clock_skew: keys.skew()?,
                partial: keys.integer("partial", 1..=1_000)?.and_then(|entries| usize::try_from(entries).ok()),
            },
        };
        Ok(Self {
            operations: keys.operations(vendor)?,
            matching: keys.text("matching", MAX_MATCHING)?,
            remaining: keys.integer("times", 1..=1_000_000_000)?,
            probability: keys.probability()?,
            random: keys.integer("seed", 0..=u64::MAX)?.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed),
            rate: rate.map(TokenBucket::full),
            jitter_ms,
            fault,
            source: source.clone(),
        })
    }

    /// The rule as it was read, with what remains of `times`.
    pub(super) fn to_json(&self) -> Value {
        let mut json = self.source.clone();
        if let Some(remaining) = self.remaining {
            json.insert("times".to_owned(), remaining.into());
        }
        Value::Object(json)
    }

    pub(super) fn is_exhausted(&self) -> bool {
        self.remaining == Some(0)
    }

    /// The fault, if this request triggers the rule.
    pub(super) fn trigger(&mut self, request: &ReceivedRequest<'_>, now: Instant) -> Option<Fault> {
        if let Some(operations) = &self.operations
            && !request.operation.is_some_and(|operation| operations.contains(&operation))
        {
            return None;
        }
        if self.matching.as_deref().is_some_and(|text| !contains(request, text)) {
            return None;
        }
        if self.probability < 1.0 && self.random.f64() >= self.probability {
            return None;
        }
        if self.rate.as_mut().is_some_and(|bucket| bucket.take(now)) {
            return None;
        }
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(1);
        }
        let mut fault = self.fault.clone();
        fault.latency += Duration::from_millis(self.random.u64(0..=self.jitter_ms));
        Some(fault)
    }
}

// === impl TokenBucket ===

impl TokenBucket {
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

/// Whether the path, the query or the body has this text.
fn contains(request: &ReceivedRequest<'_>, text: &str) -> bool {
    let in_target = |uri: &Uri| {
        let spaced = uri.to_string().replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().contains(text)
    };
    in_target(request.uri) || String::from_utf8_lossy(request.body).contains(text)
}
