//! A resource that is read, merged and written back is changed by one call at a time: while the first one's write hangs
//! at the vendor, the next one asks the vendor nothing. Another resource does not wait.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tonic::Code;

use crate::support::{
    Gateway,
    vendor::serve_router,
    vendors::{Simulated, VENDORS},
};

type Call = (&'static str, Value);

/// How long the second call waits. A slow machine only makes it more certain that it asks nothing.
const SHORT: Duration = Duration::from_millis(500);

/// A gateway before a simulated vendor.
struct World {
    gateway: Gateway,
    vendor: Simulated,
}

impl World {
    async fn of(name: &str) -> Self {
        let vendor = VENDORS.iter().find(|vendor| vendor.name == name).unwrap();
        let simulated = (vendor.simulate)();
        let center = (vendor.config)(vendor.center, serve_router(simulated.router.clone()).await);
        Self { gateway: Gateway::start(&center).await, vendor: simulated }
    }

    /// Method and path of each request so far.
    fn asked(&self) -> Vec<String> {
        self.vendor.asked().into_iter().map(|asked| format!("{} {}", asked.method, asked.path)).collect()
    }

    /// While `first` hangs in its write, whose operation and line these are, `second` waits and `other` does not.
    async fn second_waits_for_first(&self, write: (&str, &str), first: Call, second: Call, other: Call) {
        let before = self.asked().len();
        self.vendor.fault(&json!({"operation": write.0, "times": 1, "latency_ms": 600_000}));
        let hanging = tokio::spawn({
            let client = self.gateway.client.clone();
            async move { client.call(first.0, first.1).await }
        });
        let limit = Instant::now() + Duration::from_secs(60);
        while !self.asked()[before..].iter().any(|line| line == write.1) {
            assert!(Instant::now() < limit && !hanging.is_finished(), "{}: {:?}", write.1, self.asked());
            tokio::task::yield_now().await;
        }
        let asked = self.asked();
        let failure = self.gateway.client.call_bare(second.0, second.1, SHORT).await.expect_err(second.0);
        let reported = (failure.code, failure.reason.as_str());
        assert_eq!(reported, (Code::DeadlineExceeded, "DEADLINE_BEFORE_SEND"), "{} after {}", second.0, first.0);
        assert_eq!(self.asked(), asked, "{} after {}", second.0, first.0);
        self.gateway.client.call(other.0, other.1).await.expect(other.0);
        hanging.abort();
    }
}

#[tokio::test]
async fn of_a_queue_at_udesk() {
    let update = |queue: &str| {
        let queue = json!({"name": format!("centers/acme/queues/{queue}"), "wait_music": "lock.wav"});
        ("UpdateQueue", json!({"queue": queue, "update_mask": "waitMusic"}))
    };
    let world = World::of("udesk").await;
    world.second_waits_for_first(("13", "PUT /ccapi/v2/queues"), update("9001"), update("9001"), update("9002")).await;
}

#[tokio::test]
async fn of_a_subscription_at_udesk() {
    let world = World::of("udesk").await;
    let mut names = Vec::new();
    for display_name in ["one", "other"] {
        let subscription = json!({"display_name": display_name, "event_types": ["EVENT_TYPE_CALL_HUNG_UP"],
            "callback_uri": format!("https://{display_name}.example.com")});
        let request = json!({"parent": "centers/acme", "subscription": subscription});
        names.push(world.gateway.client.call("CreateSubscription", request).await.unwrap()["name"].clone());
    }
    let update = |name: &Value| {
        let subscription = json!({"name": name, "enabled": false});
        ("UpdateSubscription", json!({"subscription": subscription, "update_mask": "enabled"}))
    };
    let put = format!("PUT /ccapi/v2/subscriptions/{}", names[0].as_str().unwrap().rsplit('/').next().unwrap());
    world.second_waits_for_first(("19", &put), update(&names[0]), update(&names[0]), update(&names[1])).await;
}

#[tokio::test]
async fn of_a_queue_at_huawei() {
    let update = |queue: u32| {
        let queue = json!({"name": format!("centers/beta/queues/{queue}"), "wait_timeout": "60s"});
        ("UpdateQueue", json!({"queue": queue, "update_mask": "waitTimeout"}))
    };
    let write = ("skill/modifySkill", "POST /apiaccess/rest/cc-management/v1/skill/modifySkill");
    World::of("huawei").await.second_waits_for_first(write, update(1), update(1), update(2)).await;
}

#[tokio::test]
async fn of_a_user_s_call_settings_at_huawei() {
    let update = |user: &str| {
        let settings = json!({"name": format!("centers/beta/users/{user}/callSettings"),
            "call_type": "OUTBOUND_CALL_TYPE_DIRECT"});
        let request = json!({"user_call_settings": settings, "update_mask": "callType", "allow_missing": true});
        ("UpdateUserCallSettings", request)
    };
    let (one, other) = ("1660270845627002501", "1660270845627009999");
    let write = ("agentsettings/update", "POST /apiaccess/CC-Management/v1/openapp/agentsettings/update");
    World::of("huawei").await.second_waits_for_first(write, update(one), update(one), update(other)).await;
}

/// Each of the three methods holds the lock, and each waits for it.
#[tokio::test]
async fn of_an_agent_s_queues_at_huawei() {
    let change = |method: &'static str, agent: u32, queue: u32| {
        let (agent, queue) = (format!("centers/beta/agents/{agent}"), format!("centers/beta/queues/{queue}"));
        (method, json!({"agent": agent, "queues": [queue]}))
    };
    let (add, set, remove) = ("AddAgentQueues", "SetAgentQueues", "RemoveAgentQueues");
    let adds = ("addSkillsToAgent", "POST /apiaccess/rest/cc-management/v1/agentAccount/addSkillsToAgent");
    let releases =
        ("releaseAgentBySkillId", "POST /apiaccess/rest/cc-management/v1/agentAccount/releaseAgentBySkillId");
    for (write, first, second) in [
        (adds, change(add, 1001, 2), change(set, 1001, 3)),
        (adds, change(set, 1001, 2), change(remove, 1001, 1)),
        (releases, change(remove, 1001, 1), change(add, 1001, 2)),
    ] {
        World::of("huawei").await.second_waits_for_first(write, first, second, change(add, 1003, 2)).await;
    }
}
