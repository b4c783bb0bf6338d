//! Metrics and logs.
//!
//! Label values are bounded: methods and operations come from tables, centers from the configuration, none from a
//! request.

mod logs;
mod storage;

use std::{path::Path, time::Duration};

use prometheus::{
    Encoder as _, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use tonic::Code;

use self::storage::DatabaseSize;
pub use self::{
    logs::{flush, install_logging, log_filter, stderr},
    storage::storage_failed,
};
use crate::{
    error::{ErrorReason, code_name},
    proto::ERROR_REASONS,
};

/// Outcomes of vendor requests and of callbacks. A series of each exists from the start, because a rate over a series
/// that appears with its first failure misses that failure.
const VENDOR_OUTCOMES: [&str; 8] =
    ["ok", "refused", "unreadable", "timeout", "not_sent", "broken", "too_large", "breaker_open"];
const EVENT_OUTCOMES: [&str; 5] = ["kept", "duplicate", "refused", "overloaded", "failed"];
const TOKEN_OUTCOMES: [&str; 2] = ["ok", "failed"];

/// Upper bounds of the histogram buckets, in seconds.
const BUCKETS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// All metrics. Cheap to clone: clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    grpc_started: IntCounterVec,
    grpc_handled: IntCounterVec,
    grpc_seconds: HistogramVec,
    call_errors: IntCounterVec,
    vendor_requests: IntCounterVec,
    vendor_seconds: HistogramVec,
    token_fetches: IntCounterVec,
    token_expiry: IntGaugeVec,
    clock_offset: IntGaugeVec,
    breaker_open: IntGaugeVec,
    events_posted: IntCounterVec,
    events_delivered: IntCounterVec,
    watchers: IntGaugeVec,
}

/// The metrics of one `WatchEvents` stream, which counts as open until they are dropped.
#[derive(Debug)]
pub struct WatchMetrics {
    delivered: IntCounter,
    watchers: IntGauge,
}

/// The metrics of one method, with their labels resolved.
#[derive(Debug, Clone)]
pub struct MethodMetrics {
    started: IntCounter,
    seconds: Histogram,
    handled_ok: IntCounter,
    handled: IntCounterVec,
    labels: [&'static str; 3],
}

// === impl Metrics ===

impl Metrics {
    /// Registers all metrics in a new registry.
    ///
    /// # Errors
    /// When two metrics have the same name.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let method = ["grpc_type", "grpc_service", "grpc_method"];
        let metrics = Self {
            grpc_started: IntCounterVec::new(Opts::new("grpc_server_started_total", "Calls that began."), &method)?,
            grpc_handled: IntCounterVec::new(
                Opts::new("grpc_server_handled_total", "Finished calls by gRPC code."),
                &["grpc_type", "grpc_service", "grpc_method", "grpc_code"],
            )?,
            grpc_seconds: HistogramVec::new(
                HistogramOpts::new("grpc_server_handling_seconds", "Time from the first byte of a call to its status.")
                    .buckets(BUCKETS.to_vec()),
                &method,
            )?,
            call_errors: IntCounterVec::new(
                Opts::new(
                    "switchboard_call_errors_total",
                    "Failed calls by reason; center is empty where none was found.",
                ),
                &["center", "reason"],
            )?,
            vendor_requests: IntCounterVec::new(
                Opts::new("switchboard_vendor_requests_total", "Vendor requests by outcome."),
                &["center", "operation", "outcome"],
            )?,
            vendor_seconds: HistogramVec::new(
                HistogramOpts::new("switchboard_vendor_request_seconds", "Vendor response time.")
                    .buckets(BUCKETS.to_vec()),
                &["center"],
            )?,
            token_fetches: IntCounterVec::new(
                Opts::new("switchboard_token_fetches_total", "Access token requests by outcome."),
                &["center", "outcome"],
            )?,
            token_expiry: IntGaugeVec::new(
                Opts::new(
                    "switchboard_token_expiry_timestamp_seconds",
                    "Expiry of the current access token in seconds since 1970; 0 without a token.",
                ),
                &["center"],
            )?,
            clock_offset: IntGaugeVec::new(
                Opts::new(
                    "switchboard_vendor_clock_offset_seconds",
                    "Vendor clock offset that signatures are corrected by.",
                ),
                &["center"],
            )?,
            breaker_open: IntGaugeVec::new(
                Opts::new("switchboard_breaker_open", "1 while the circuit breaker is open."),
                &["center", "family"],
            )?,
            events_posted: IntCounterVec::new(
                Opts::new("switchboard_events_posted_total", "Vendor callbacks by outcome."),
                &["center", "outcome"],
            )?,
            events_delivered: IntCounterVec::new(
                Opts::new("switchboard_events_delivered_total", "Events sent on streams, counted per watcher."),
                &["center"],
            )?,
            watchers: IntGaugeVec::new(Opts::new("switchboard_watchers", "Open WatchEvents streams."), &["center"])?,
            registry,
        };
        let registry = &metrics.registry;
        registry.register(Box::new(metrics.grpc_started.clone()))?;
        registry.register(Box::new(metrics.grpc_handled.clone()))?;
        registry.register(Box::new(metrics.grpc_seconds.clone()))?;
        registry.register(Box::new(metrics.call_errors.clone()))?;
        registry.register(Box::new(metrics.vendor_requests.clone()))?;
        registry.register(Box::new(metrics.vendor_seconds.clone()))?;
        registry.register(Box::new(metrics.token_fetches.clone()))?;
        registry.register(Box::new(metrics.token_expiry.clone()))?;
        registry.register(Box::new(metrics.clock_offset.clone()))?;
        registry.register(Box::new(metrics.breaker_open.clone()))?;
        registry.register(Box::new(metrics.events_posted.clone()))?;
        registry.register(Box::new(metrics.events_delivered.clone()))?;
        registry.register(Box::new(metrics.watchers.clone()))?;
        if let Some(errors) = storage::errors() {
            registry.register(Box::new(errors))?;
        }
        let build = Opts::new("switchboard_build_info", "1, with the version of the program.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        let build = IntGauge::with_opts(build)?;
        build.set(1);
        registry.register(Box::new(build))?;
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        metrics.declare_errors("");
        registry.register(Box::new(logs::DroppedLines::new()?))?;
        Ok(metrics)
    }

    /// Adds the size of the database in this file.
    ///
    /// # Errors
    /// When it was added before.
    pub fn add_database(&self, path: &Path) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(DatabaseSize::of(path)?))
    }

    /// From now on the output contains the metrics of this center, at zero.
    pub fn declare_center(&self, center: &str, operations: &[&str]) {
        self.declare_errors(center);
        self.vendor_seconds.with_label_values(&[center]);
        for operation in operations {
            for outcome in VENDOR_OUTCOMES {
                self.vendor_requests.with_label_values(&[center, operation, outcome]);
            }
        }
        for outcome in EVENT_OUTCOMES {
            self.events_posted.with_label_values(&[center, outcome]);
        }
        self.events_delivered.with_label_values(&[center]);
        self.watchers.with_label_values(&[center]);
    }

    /// From now on the output contains the metrics of this center's access tokens, at zero.
    pub fn declare_tokens(&self, center: &str) {
        for outcome in TOKEN_OUTCOMES {
            self.token_fetches.with_label_values(&[center, outcome]);
        }
        self.token_expiry(center, 0);
    }

    fn declare_errors(&self, center: &str) {
        for reason in ERROR_REASONS {
            self.call_errors.with_label_values(&[center, reason]);
        }
    }

    /// The metrics of one method. From now on the output contains them, at zero.
    pub fn method(&self, kind: &'static str, service: &'static str, method: &'static str) -> MethodMetrics {
        let labels = [kind, service, method];
        for code in 0..=16 {
            self.grpc_handled.with_label_values(&[kind, service, method, code_name(Code::from_i32(code))]);
        }
        MethodMetrics {
            started: self.grpc_started.with_label_values(&labels),
            seconds: self.grpc_seconds.with_label_values(&labels),
            handled_ok: self.grpc_handled.with_label_values(&[kind, service, method, "OK"]),
            handled: self.grpc_handled.clone(),
            labels,
        }
    }

    /// Counts one failed call. `center` is empty where none was found.
    pub fn call_failed(&self, center: &str, reason: ErrorReason) {
        self.call_errors.with_label_values(&[center, reason.as_str_name()]).inc();
    }

    /// Counts one request to a vendor. `took` is `None` when the caller did not wait for the response.
    pub fn vendor_request(&self, center: &str, operation: &str, outcome: &str, took: Option<Duration>) {
        self.vendor_requests.with_label_values(&[center, operation, outcome]).inc();
        if let Some(took) = took {
            self.vendor_seconds.with_label_values(&[center]).observe(took.as_secs_f64());
        }
    }

    /// Counts one request for an access token.
    pub fn token_fetch(&self, center: &str, outcome: &str) {
        self.token_fetches.with_label_values(&[center, outcome]).inc();
    }

    /// Sets when a center's access token expires, in seconds since 1970; 0 without a token.
    pub fn token_expiry(&self, center: &str, timestamp: i64) {
        self.token_expiry.with_label_values(&[center]).set(timestamp);
    }

    /// Sets whether a circuit breaker is open.
    pub fn breaker(&self, center: &str, family: &str, open: bool) {
        self.breaker_open.with_label_values(&[center, family]).set(open.into());
    }

    /// Sets by how many seconds a vendor's clock is ahead.
    pub fn clock_offset(&self, center: &str, seconds: i64) {
        self.clock_offset.with_label_values(&[center]).set(seconds);
    }

    /// Counts one callback of a vendor.
    pub fn event_posted(&self, center: &str, outcome: &str) {
        self.events_posted.with_label_values(&[center, outcome]).inc();
    }

    /// Counts a stream as open.
    pub fn watch(&self, center: &str) -> WatchMetrics {
        let watchers = self.watchers.with_label_values(&[center]);
        watchers.inc();
        WatchMetrics { delivered: self.events_delivered.with_label_values(&[center]), watchers }
    }

    /// All metrics in Prometheus' text format, version 0.0.4.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.utf8_error().to_string()))
    }
}

// === impl WatchMetrics ===

impl WatchMetrics {
    /// Counts an event that was sent.
    pub fn delivered(&self) {
        self.delivered.inc();
    }
}

impl Drop for WatchMetrics {
    fn drop(&mut self) {
        self.watchers.dec();
    }
}

// === impl MethodMetrics ===

impl MethodMetrics {
    /// Counts a call that began.
    pub fn started(&self) {
        self.started.inc();
    }

    /// Counts a call that ended with this code.
    pub fn handled(&self, code: &str, took: Duration) {
        if code == "OK" {
            self.handled_ok.inc();
        } else {
            let [kind, service, method] = self.labels;
            self.handled.with_label_values(&[kind, service, method, code]).inc();
        }
        self.seconds.observe(took.as_secs_f64());
    }
}

/// A duration for a field of a log line. JSON has no number as long as [`Duration::as_millis`] returns.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_contains_every_counted_metric() {
        let metrics = Metrics::new().unwrap();
        let method = metrics.method("unary", "contactcenter.v1.ContactCenter", "GetAgent");
        method.started();
        method.handled("NOT_FOUND", Duration::from_millis(3));
        metrics.vendor_request("acme", "GET /agents/{id}", "ok", Some(Duration::from_millis(2)));
        metrics.token_fetch("beta", "ok");
        metrics.token_expiry("beta", 1_545_650_771);
        let text = metrics.text().unwrap();
        for line in [
            "grpc_server_started_total{grpc_method=\"GetAgent\",grpc_service=\"contactcenter.v1.ContactCenter\",grpc_type=\"unary\"} 1",
            "grpc_code=\"NOT_FOUND\",grpc_method=\"GetAgent\"",
            "grpc_server_handling_seconds_count",
            "switchboard_vendor_requests_total{center=\"acme\",operation=\"GET /agents/{id}\",outcome=\"ok\"} 1",
            "switchboard_token_fetches_total{center=\"beta\",outcome=\"ok\"} 1",
            "switchboard_token_expiry_timestamp_seconds{center=\"beta\"} 1545650771",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
