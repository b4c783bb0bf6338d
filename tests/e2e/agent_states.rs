//! Agents' states by the tenant's codes: read, filtered by, set at sign-in, and in events.

use serde_json::{Value, json};
use switchboard::proto::v1::event::Payload;
use switchboard_simulators::udesk;

use crate::support::{
    Gateway, acme,
    client::Failure,
    events::{Watcher, request},
    vendor::{serve_router, udesk_options},
};

/// The tenant's codes: other than the hints of Udesk's document.
const TENANTS: &str = "[centers.acme.agent_states]\nready = 1\nnot_ready = [\"0\", 9]\nbusy = [\"3\"]\n";

/// A Udesk tenant of twelve agents, and a gateway with these lines of its center.
async fn start(states: &str) -> (std::sync::Arc<udesk::Simulator>, Gateway) {
    let simulator = udesk::Simulator::new(udesk::Options { pace: std::time::Duration::ZERO, ..udesk_options() });
    let center = acme(serve_router(simulator.router()).await);
    let gateway = Gateway::start(&format!("{center}{states}")).await;
    (simulator, gateway)
}

async fn sign_in(gateway: &Gateway, state: &str) -> Result<Value, Failure> {
    let request = json!({"name": "centers/acme/agents/1004", "initial_state": format!("AGENT_STATE_{state}")});
    gateway.client.call("LoginAgent", request).await
}

/// An agent's state and its code.
fn state(agent: &Value) -> (&str, &str) {
    (agent["state"].as_str().unwrap_or_default(), agent["vendor_state"]["code"].as_str().unwrap_or_default())
}

/// The agents in a state.
async fn in_state(gateway: &Gateway, state: &str, queue: &str) -> Result<Vec<Value>, Failure> {
    let request = json!({"parent": "centers/acme", "state": format!("AGENT_STATE_{state}"), "queue": queue});
    let list = gateway.client.call("ListAgents", request).await?;
    let agents = list["agents"].as_array().cloned().unwrap_or_default();
    assert_eq!(list["total_size"].as_u64().unwrap_or_default(), u64::try_from(agents.len()).unwrap());
    Ok(agents)
}

#[tokio::test]
async fn a_state_is_written_and_read_by_the_tenants_codes() {
    for (lines, expected) in
        [("", [("READY", "0"), ("NOT_READY", "1")]), (TENANTS, [("READY", "1"), ("NOT_READY", "0")])]
    {
        let (simulator, gateway) = start(lines).await;
        let subscription = json!({"parent": "centers/acme", "subscription":
            {"display_name": "states", "event_types": ["EVENT_TYPE_AGENT_STATE_CHANGED"]}});
        gateway.client.call("CreateSubscription", subscription).await.unwrap();
        let mut watcher = Watcher::live(&gateway, request("acme")).await;
        for (name, code) in expected {
            simulator.forget_requests();
            sign_in(&gateway, name).await.unwrap();
            let sent: Value = serde_json::from_str(&simulator.requests()[0].body).unwrap();
            assert_eq!(sent["state"].to_string(), code);
            let agent = gateway.client.call("GetAgent", json!({"name": "centers/acme/agents/1004"})).await.unwrap();
            let long = format!("AGENT_STATE_{name}");
            assert_eq!(state(&agent), (long.as_str(), code));
            let Some(Payload::AgentStateChanged(changed)) = watcher.event().await.payload else { panic!("a state") };
            assert_eq!(
                (changed.state().as_str_name(), changed.vendor_state.unwrap().code.as_str()),
                (long.as_str(), code)
            );
        }
    }
}

#[tokio::test]
async fn a_filter_finds_the_agents_of_all_codes_of_a_state() {
    let (_simulator, gateway) = start(TENANTS).await;
    let all = gateway.client.call("ListAgents", json!({"parent": "centers/acme"})).await.unwrap();
    let mut found = 0;
    for name in ["READY", "NOT_READY", "BUSY", "OFFLINE"] {
        let agents = in_state(&gateway, name, "").await.unwrap();
        assert!(agents.iter().all(|agent| state(agent).0 == format!("AGENT_STATE_{name}")), "{agents:?}");
        found += agents.len();
        let of_queue = in_state(&gateway, name, "centers/acme/queues/9001").await.unwrap();
        assert!(of_queue.iter().all(|agent| state(agent).0 == format!("AGENT_STATE_{name}")), "{of_queue:?}");
    }
    assert_eq!(found, all["agents"].as_array().unwrap().len());
    assert!(!in_state(&gateway, "READY", "").await.unwrap().is_empty());
    assert!(!in_state(&gateway, "NOT_READY", "").await.unwrap().is_empty());
    let no_code = in_state(&gateway, "WRAP_UP", "").await.unwrap_err();
    assert_eq!((no_code.reason.as_str(), no_code.fields), ("FIELD_UNSUPPORTED", vec!["state".to_owned()]));
}

#[tokio::test]
async fn a_state_without_a_number_is_refused_at_sign_in() {
    let (simulator, gateway) = start("[centers.acme.agent_states]\nready = [\"idle\"]\nnot_ready = []\n").await;
    for name in ["READY", "NOT_READY"] {
        let refused = sign_in(&gateway, name).await.unwrap_err();
        assert_eq!((refused.reason.as_str(), refused.fields), ("FIELD_UNSUPPORTED", vec!["initial_state".to_owned()]));
    }
    assert!(simulator.requests().is_empty());
}
