//! How the rules of fault injection name this vendor's operations.

use super::operations;
use crate::faults::Vendor;

pub(super) const VENDOR: Vendor = Vendor {
    find: operations::named,
    naming: "the end of the path as in queryPhone or tokenByAkSk, long enough to be unique, as in agentAccount/query",
    has_tokens: true,
    has_batches: false,
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{
            Tenant, Tokens,
            testing::{MANAGEMENT, QUERY_PHONE, TestServer},
        },
        *,
    };

    fn sys_info_path() -> String {
        format!("{MANAGEMENT}/querySysInfo")
    }

    #[test]
    fn operations_are_named_by_the_end_of_their_path() {
        let named = |name: &str| operations::named(name).len();
        // querySysInfo has two spellings of one path.
        assert_eq!(["queryPhone", "mobileAgent/queryPhone", "querySysInfo", "tokenByAkSk"].map(named), [1, 1, 2, 1]);
        assert_eq!(["agentAccount/query", "skill/querySkills"].map(named), [1, 1]);
        // No operation, or several, end like this.
        assert_eq!(["query", "create", "Phone", "", "nothing"].map(named), [0, 0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn a_fault_concerns_its_operation_alone() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        server.simulator.faults().add(&json!({ "operation": "queryPhone", "status": 503 })).unwrap();
        assert_eq!(server.post(QUERY_PHONE, json!({ "limit": "1", "offset": "0" })).await.status, 503);
        server.get(&sys_info_path()).await.ok();
        assert_eq!(server.simulator.requests().len(), 2);
        server.simulator.reset();
        assert!(server.simulator.faults().list().is_empty());
    }

    #[tokio::test]
    async fn tokens_are_revoked_before_the_request_is_checked() {
        let mut server = TestServer::start(Tenant::Seeded, "").await;
        let rule = json!({ "operation": "querySysInfo", "times": 1, "revoke_token": true });
        server.simulator.faults().add(&rule).unwrap();
        assert_eq!(server.get(&sys_info_path()).await.status, 401);
        assert_eq!(server.get(&sys_info_path()).await.status, 401);
        server.refresh_token().await;
        server.get(&sys_info_path()).await.ok();
    }

    #[tokio::test]
    async fn a_clock_that_is_off_ends_tokens_early() {
        let server = TestServer::start_with(Tenant::Seeded, "", Tokens::default()).await;
        let token = server.request_token(Some("600")).await.ok()["AccessToken"].as_str().unwrap().to_owned();
        let rule = json!({ "operation": "querySysInfo", "times": 1, "clock_skew_s": 600 });
        server.simulator.faults().add(&rule).unwrap();
        assert_eq!(server.get_with(&sys_info_path(), &token).await.status, 401);
        server.get_with(&sys_info_path(), &token).await.ok();
        // A token issued by a clock that is behind expires early.
        server
            .simulator
            .faults()
            .add(&json!({ "operation": "tokenByAkSk", "times": 1, "clock_skew_s": -600 }))
            .unwrap();
        let token = server.request_token(Some("600")).await.ok()["AccessToken"].as_str().unwrap().to_owned();
        assert_eq!(server.get_with(&sys_info_path(), &token).await.status, 401);
    }

    #[test]
    fn batches_are_whole() {
        assert!(crate::faults::Faults::new(VENDOR).add(&json!({ "operation": "*", "partial": 1 })).is_err());
    }
}
