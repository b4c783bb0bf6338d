//! Every example of docs/faults.md: the rule is accepted, it acts as the text says, and the caller's error is true.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use switchboard_simulators::{huawei, udesk};
use tonic::Code;

use crate::support::{
    Gateway, acme, beta,
    client::Failure,
    vendor::{huawei_options, serve_router, udesk_options},
};

const DOCUMENT: &str = include_str!("../../docs/faults.md");

/// The example under a heading.
fn example(heading: &str) -> Value {
    let (_, section) = DOCUMENT.split_once(&format!("### {heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let (_, example) = section.split_once("```json\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    serde_json::from_str(example).unwrap()
}

/// A gateway, and the simulated Udesk tenant behind it.
struct Rehearsal {
    gateway: Gateway,
    vendor: std::sync::Arc<udesk::Simulator>,
}

impl Rehearsal {
    async fn of(rule: Value) -> Self {
        let vendor = udesk::Simulator::new(udesk_options());
        vendor.faults().add(&rule).unwrap_or_else(|error| panic!("{rule}: {error}"));
        let gateway = Gateway::start(&acme(serve_router(vendor.router()).await)).await;
        Self { gateway, vendor }
    }

    async fn under(heading: &str) -> Self {
        Self::of(example(heading)).await
    }

    /// A read.
    async fn get(&self, timeout: Duration) -> Result<Value, Failure> {
        self.gateway.client.call_bare("GetAgent", json!({"name": "centers/acme/agents/1001"}), timeout).await
    }

    /// A write.
    async fn ring(&self, customer: &str, timeout: Duration) -> Result<Value, Failure> {
        self.gateway.client.call_bare("StartCallback", callback(customer), timeout).await
    }

    /// The same, whose deadline passes once the customer's phone has rung.
    async fn ring_too_late(&self, customer: &str) -> Result<Value, Failure> {
        let rung = || self.rung() == 1;
        self.gateway.client.call_to_the_deadline("StartCallback", callback(customer), SHORT, rung).await
    }

    fn rung(&self) -> usize {
        self.vendor.callbacks().len()
    }
}

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(800);
const ONE: &str = "13800000001";
const OTHER: &str = "13800000002";

fn callback(customer: &str) -> Value {
    json!({"parent": "centers/acme", "customer_number": customer, "entry_number": "01055500100"})
}

fn reported(response: Result<Value, Failure>) -> (Code, String) {
    let failure = response.unwrap_err();
    (failure.code, failure.reason)
}

fn unknown() -> (Code, String) {
    (Code::Unknown, "VENDOR_OUTCOME_UNKNOWN".to_owned())
}

#[test]
fn every_heading_has_an_example_and_every_key_a_heading() {
    let headings: BTreeSet<&str> = DOCUMENT.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    for heading in &headings {
        let rule = example(heading);
        assert!(rule.get(heading).is_some(), "{heading}: {rule}");
    }
    let refused = udesk::Simulator::new(udesk_options()).faults().add(&json!({"no": 1})).unwrap_err().to_string();
    let keys = refused.strip_prefix("no: no such key; there are ").unwrap();
    // These three are explained beside the keys that they go with.
    let beside = ["body", "retry_after", "seed"];
    let keys: BTreeSet<&str> = keys.split(", ").filter(|key| !beside.contains(key)).collect();
    assert_eq!(keys, headings);
    assert!(beside.iter().all(|key| DOCUMENT.contains(&format!("`{key}`"))));
}

#[tokio::test]
async fn a_rule_applies_to_one_operation() {
    let rehearsal = Rehearsal::under("operation").await;
    for _ in 0..2 {
        assert_eq!(reported(rehearsal.ring(ONE, LONG).await), unknown());
    }
    rehearsal.get(LONG).await.unwrap();
    assert_eq!(rehearsal.rung(), 0);
}

#[tokio::test]
async fn a_rule_applies_to_a_number_of_calls() {
    let rehearsal = Rehearsal::under("times").await;
    assert_eq!(reported(rehearsal.ring(ONE, LONG).await), unknown());
    rehearsal.ring(ONE, LONG).await.unwrap();
    assert_eq!(rehearsal.rung(), 1);
}

#[tokio::test]
async fn a_rule_applies_to_one_customer() {
    let rehearsal = Rehearsal::under("matching").await;
    assert_eq!(reported(rehearsal.ring(ONE, LONG).await), unknown());
    rehearsal.ring(OTHER, LONG).await.unwrap();
    assert_eq!(rehearsal.rung(), 1);
}

#[tokio::test]
async fn a_rule_applies_to_a_share_of_the_calls() {
    let mut played = Vec::new();
    for _ in 0..2 {
        let rehearsal = Rehearsal::under("probability").await;
        let mut responses = Vec::new();
        for _ in 0..10 {
            responses.push(rehearsal.get(LONG).await.is_ok());
        }
        played.push(responses);
    }
    assert!(played[0].contains(&true) && played[0].contains(&false), "{played:?}");
    assert_eq!(played[0], played[1], "the seed repeats it");
}

#[tokio::test]
async fn a_slow_vendor_is_not_waited_for_beyond_the_deadline() {
    for heading in ["latency_ms", "drip_ms"] {
        let rehearsal = Rehearsal::under(heading).await;
        let failure = reported(rehearsal.get(SHORT).await);
        assert_eq!(failure, (Code::DeadlineExceeded, "VENDOR_TIMEOUT".to_owned()), "{heading}");
    }
}

#[tokio::test]
async fn a_short_delay_is_tolerated() {
    let rehearsal = Rehearsal::under("jitter_ms").await;
    let start = Instant::now();
    rehearsal.get(LONG).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(5));
}

#[tokio::test]
async fn a_write_may_have_happened_although_no_response_came() {
    let rehearsal = Rehearsal::under("processed").await;
    let failure = reported(rehearsal.ring_too_late(ONE).await);
    assert_eq!(failure, (Code::DeadlineExceeded, "VENDOR_OUTCOME_UNKNOWN".to_owned()));
    assert_eq!(rehearsal.rung(), 1);
    for heading in ["status", "reset"] {
        let rehearsal = Rehearsal::under(heading).await;
        assert_eq!(reported(rehearsal.ring(ONE, LONG).await), unknown(), "{heading}");
        assert_eq!(rehearsal.rung(), 1, "{heading}");
    }
}

#[tokio::test]
async fn a_connection_ends_before_within_or_after() {
    for (reset, rung) in [("before", 0), ("during", 1), ("after", 1)] {
        let mut rule = example("reset");
        rule["reset"] = json!(reset);
        let rehearsal = Rehearsal::of(rule).await;
        assert_eq!(reported(rehearsal.ring(ONE, LONG).await), unknown(), "{reset}");
        assert_eq!((rehearsal.rung(), rehearsal.vendor.requests().len()), (rung, 1), "{reset}");
    }
}

#[tokio::test]
async fn throttling_is_reported_with_its_pause() {
    let rehearsal = Rehearsal::under("throttle").await;
    let failure = rehearsal.ring(ONE, LONG).await.unwrap_err();
    assert_eq!((failure.code, failure.reason.as_str()), (Code::ResourceExhausted, "VENDOR_RATE_LIMITED"));
    assert_eq!(failure.retry_after, Some(Duration::from_secs(30)));
    assert_eq!(rehearsal.rung(), 0);
}

#[tokio::test]
async fn above_a_rate_calls_are_throttled() {
    let rehearsal = Rehearsal::under("rate").await;
    let calls = (0..50).map(|_| rehearsal.ring(ONE, LONG));
    let responses = futures_util::future::join_all(calls).await;
    let (done, refused): (Vec<_>, Vec<_>) = responses.into_iter().partition(Result::is_ok);
    assert!(done.len() >= 2 && !refused.is_empty(), "{} done", done.len());
    assert_eq!(rehearsal.rung(), done.len());
    for failure in refused {
        assert_eq!(reported(failure), (Code::ResourceExhausted, "VENDOR_RATE_LIMITED".to_owned()));
    }
}

#[tokio::test]
async fn garbage_is_an_error_and_affects_no_later_call() {
    let rehearsal = Rehearsal::under("garbage").await;
    let (_, table) = DOCUMENT.split_once("### garbage\n").unwrap();
    let (table, _) = table.split_once("```").unwrap();
    let kinds: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(kinds.len(), 8);
    for kind in kinds {
        rehearsal.vendor.faults().clear();
        let mut rule = example("garbage");
        rule["garbage"] = json!(kind);
        rehearsal.vendor.faults().add(&rule).unwrap();
        match rehearsal.get(LONG).await {
            // A value that cannot be read may count as absent.
            Ok(agent) => assert!(kind == "wrong-types" && agent.get("display_name").is_none(), "{kind}: {agent}"),
            failure => assert_eq!(reported(failure), (Code::Internal, "VENDOR_RESPONSE_INVALID".to_owned()), "{kind}"),
        }
        rehearsal.vendor.faults().clear();
        rehearsal.get(LONG).await.unwrap();
    }
}

#[tokio::test]
async fn signatures_follow_the_vendors_clock() {
    let rehearsal = Rehearsal::under("clock_skew_s").await;
    rehearsal.get(LONG).await.unwrap();
    assert_eq!(rehearsal.vendor.requests().len(), 2, "refused, and signed anew by the vendor's clock");
    rehearsal.get(LONG).await.unwrap();
    assert_eq!(rehearsal.vendor.requests().len(), 3);
}

#[tokio::test]
async fn a_revoked_token_is_fetched_anew() {
    let vendor = huawei::Simulator::new(huawei_options());
    let gateway = Gateway::start(&beta(serve_router(vendor.router()).await)).await;
    let config = json!({"name": "centers/beta/softphoneConfig"});
    // A token that was never accepted would be kept for a moment.
    gateway.client.call("GetSoftphoneConfig", config.clone()).await.unwrap();
    vendor.forget_requests();
    vendor.faults().add(&example("revoke_token")).unwrap();
    gateway.client.call("GetSoftphoneConfig", config).await.unwrap();
    let paths: Vec<String> = vendor.requests().into_iter().map(|request| request.path).collect();
    let ends: Vec<&str> = paths.iter().filter_map(|path| path.rsplit('/').next()).collect();
    assert_eq!(ends[..3], ["querySysInfo", "tokenByAkSk", "querySysInfo"]);
}

#[tokio::test]
async fn a_batch_done_in_part_is_a_rule_of_udesk_alone() {
    let rule = example("partial");
    udesk::Simulator::new(udesk_options()).faults().add(&rule).unwrap();
    let refused = huawei::Simulator::new(huawei_options()).faults().add(&json!({"operation": "*", "partial": 1}));
    assert!(refused.unwrap_err().to_string().starts_with("partial: "));
}
