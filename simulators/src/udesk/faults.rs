//! How the rules of fault injection name this vendor's operations, and what a batch applied in part is.

use serde_json::{Map, Value};

use super::{operation::Operation, operations::OPERATIONS};
use crate::faults::Vendor;

/// The start of every path.
const BASE: &str = "/ccapi/v2/";

pub(super) const VENDOR: Vendor = Vendor {
    find,
    naming: "the document's number as in 24, or the path after /ccapi/v2/ as in callback2ivr or agents/{id}, alone or \
             with its method as in GET agents/{id}",
    has_tokens: false,
    has_batches: true,
};

/// The indexes of the operations with this number, path, or method and path.
fn find(name: &str) -> Vec<usize> {
    let number = name.parse::<u8>().ok();
    let (method, path) = name.split_once(' ').map_or((None, name), |(method, path)| (Some(method), path));
    let path = path.strip_prefix(BASE).unwrap_or_else(|| path.trim_start_matches('/'));
    let is_named = |operation: &Operation| {
        number == Some(operation.number)
            || operation.path.strip_prefix(BASE) == Some(path)
                && method.is_none_or(|method| method.eq_ignore_ascii_case(operation.method))
    };
    OPERATIONS.iter().enumerate().filter(|(_, operation)| is_named(operation)).map(|(index, _)| index).collect()
}

/// Shortens the list of 07, 08, 15, 16 or 17 to the first `entries` (C60). Returns whether it was longer.
pub(super) fn shorten(operation: &Operation, body: &mut Map<String, Value>, entries: usize) -> bool {
    let list = match operation.number {
        7 | 8 => "Extensions",
        15 => "AgentIds",
        16 | 17 => "Queues",
        _ => return false,
    };
    match body.get_mut(list) {
        Some(Value::Array(items)) if items.len() > entries => {
            items.truncate(entries);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::udesk::testing::{NOW, TestServer, prepare};

    #[test]
    fn operations_have_three_kinds_of_names() {
        for (name, numbers) in [
            ("24", &[24][..]),
            ("06", &[6]),
            ("callback2ivr", &[24]),
            ("/ccapi/v2/callback2ivr", &[24]),
            ("agents/{id}", &[5, 25]),
            ("GET /agents/{id}", &[25]),
            ("put agents/{id}", &[5]),
            ("27", &[]),
            ("PATCH agents", &[]),
            ("", &[]),
        ] {
            let found: Vec<u8> = find(name).into_iter().map(|index| OPERATIONS[index].number).collect();
            assert_eq!(found, numbers, "{name}");
        }
    }

    #[tokio::test]
    async fn a_fault_before_the_operation_does_nothing_and_one_after_it_does_all() {
        let server = TestServer::start().await;
        let call = json!({ "caller": "13676546374", "called": "01055500100", "called_display": "01055500100" });
        for (rule, calls) in [
            (json!({ "operation": "callback2ivr", "times": 1, "status": 503 }), 0),
            (json!({ "operation": "24", "times": 1, "status": 504, "processed": true }), 1),
        ] {
            server.simulator.faults().add(&rule).unwrap();
            let response = server.send(prepare(24, "", call.clone())).await;
            assert!(response.status >= 503, "{}", response.status);
            assert_eq!(server.simulator.callbacks().len(), calls, "{rule}");
        }
        server.done(24, "", call).await;
        assert_eq!(server.simulator.requests().len(), 3);
    }

    #[tokio::test]
    async fn a_batch_is_applied_in_part_and_refused() {
        let server = TestServer::start().await;
        let queues = || {
            let center = server.simulator.center();
            center.states[0].agent("1003").map(|agent| agent.queues.clone()).unwrap_or_default()
        };
        server.done(16, "", json!({ "AgentId": "1003", "Queues": ["9001"], "IsFull": 1 })).await;
        server.simulator.faults().add(&json!({ "operation": "16", "partial": 1 })).unwrap();
        let join = |list: Value| json!({ "AgentId": "1003", "Queues": list });
        assert_eq!(server.refused(16, "", join(json!(["9002", "9003"]))).await, "000001");
        assert!(queues().contains(&"9002".to_owned()) && !queues().contains(&"9003".to_owned()), "{:?}", queues());
        // A list that is short enough is applied as a whole.
        server.done(16, "", join(json!(["9003"]))).await;
        assert!(queues().contains(&"9003".to_owned()));
    }

    #[tokio::test]
    async fn a_skewed_clock_checks_signatures_and_dates_responses() {
        let server = TestServer::start().await;
        server.simulator.faults().add(&json!({ "operation": "1", "clock_skew_s": -3600 })).unwrap();
        let response = server.send(prepare(1, "", Value::Null)).await;
        assert_eq!(response.code(), "200020");
        assert_eq!(response.headers["date"], "Tue, 14 Nov 2023 21:13:20 GMT");
        let in_its_time = prepare(1, "", Value::Null).signed_at(&(NOW - 3_600_000).to_string());
        assert_eq!(server.send(in_its_time).await.code(), "000000");
        // Other operations have the right time.
        assert_eq!(server.send(prepare(11, "", Value::Null)).await.headers["date"], "Tue, 14 Nov 2023 22:13:20 GMT");
    }

    #[tokio::test]
    async fn a_caller_that_closes_the_connection_cancels_nothing() {
        let server = TestServer::start().await;
        server.simulator.faults().add(&json!({ "operation": "24", "latency_ms": 300 })).unwrap();
        let call = json!({ "caller": "13676546374", "called": "01055500100", "called_display": "01055500100" });
        let mut sent = Box::pin(server.send(prepare(24, "", call)));
        while server.simulator.requests().is_empty() {
            tokio::select! {
                _ = &mut sent => panic!("responded at once"),
                () = tokio::task::yield_now() => {}
            }
        }
        drop(sent);
        assert!(server.simulator.callbacks().is_empty());
        while server.simulator.callbacks().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn tokens_are_not_supported_and_a_reset_clears_the_faults() {
        let server = TestServer::start().await;
        assert!(server.simulator.faults().add(&json!({ "operation": "*", "revoke_token": true })).is_err());
        server.simulator.faults().add(&json!({ "operation": "*", "status": 503 })).unwrap();
        server.simulator.reset();
        server.done(1, "", Value::Null).await;
    }
}
