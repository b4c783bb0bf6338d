//! What the faults of this simulator need to know: how operations are named.

use super::operations;
use crate::faults::Vendor;

pub(super) const VENDOR: Vendor = Vendor {
    find: operations::named,
    naming: "the end of the path as in queryPhone or tokenByAkSk, with as much before it as tells it from others, as in \
             agentAccount/query",
    has_tokens: true,
    has_batches: false,
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{
            Tenant, Tokens,
            testing::{Bench, MANAGEMENT, QUERY_PHONE},
        },
        *,
    };

    fn bench_path() -> String {
        format!("{MANAGEMENT}/querySysInfo")
    }

    #[test]
    fn operations_are_named_by_the_end_of_their_path() {
        let named = |name: &str| operations::named(name).len();
        // querySysInfo has two spellings of one path.
        assert_eq!(["queryPhone", "mobileAgent/queryPhone", "querySysInfo", "tokenByAkSk"].map(named), [1, 1, 2, 1]);
        assert_eq!(["agentAccount/query", "skill/querySkills"].map(named), [1, 1]);
        // Two operations end like this.
        assert_eq!(["query", "create", "Phone", "", "nothing"].map(named), [0, 0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn a_fault_befalls_its_operation_alone() {
        let bench = Bench::start(Tenant::Seeded, "").await;
        bench.simulator.faults().add(&json!({ "operation": "queryPhone", "status": 503 })).unwrap();
        assert_eq!(bench.post(QUERY_PHONE, json!({ "limit": "1", "offset": "0" })).await.status, 503);
        bench.get(&bench_path()).await.ok();
        assert_eq!(bench.simulator.requests().len(), 2);
        bench.simulator.reset();
        assert!(bench.simulator.faults().list().is_empty());
    }

    #[tokio::test]
    async fn revoked_tokens_end_before_the_call_is_looked_at() {
        let mut bench = Bench::start(Tenant::Seeded, "").await;
        let rule = json!({ "operation": "querySysInfo", "times": 1, "revoke_token": true });
        bench.simulator.faults().add(&rule).unwrap();
        assert_eq!(bench.get(&bench_path()).await.status, 401);
        assert_eq!(bench.get(&bench_path()).await.status, 401);
        bench.renew_token().await;
        bench.get(&bench_path()).await.ok();
    }

    #[tokio::test]
    async fn a_clock_that_is_off_ends_tokens_early() {
        let bench = Bench::start_with(Tenant::Seeded, "", Tokens::default()).await;
        let token = bench.ask_token(Some("600")).await.ok()["AccessToken"].as_str().unwrap().to_owned();
        let rule = json!({ "operation": "querySysInfo", "times": 1, "clock_skew_s": 600 });
        bench.simulator.faults().add(&rule).unwrap();
        assert_eq!(bench.get_with(&bench_path(), &token).await.status, 401);
        bench.get_with(&bench_path(), &token).await.ok();
        // Issued by a clock that is behind, a token ends before it says.
        bench.simulator.faults().add(&json!({ "operation": "tokenByAkSk", "times": 1, "clock_skew_s": -600 })).unwrap();
        let token = bench.ask_token(Some("600")).await.ok()["AccessToken"].as_str().unwrap().to_owned();
        assert_eq!(bench.get_with(&bench_path(), &token).await.status, 401);
    }

    #[test]
    fn batches_are_whole() {
        assert!(crate::faults::Faults::new(VENDOR).add(&json!({ "operation": "*", "partial": 1 })).is_err());
    }
}
