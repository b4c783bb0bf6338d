//! The vendors that the harness knows, one row each: a test of what must hold at every vendor walks this table.

use std::net::SocketAddr;

use serde_json::{Value, json};
use switchboard_simulators::{huawei, udesk};

use super::{
    Gateway,
    client::descriptor,
    events::CALLBACK_SECRET,
    vendor::{Asked, Response, Scripted, huawei_options, serve_router, udesk_options},
};

/// Makes a part of a request.
pub(crate) type Make = fn() -> Value;

/// A call: its method, its request, and the name in rules of faults of the one operation that serves it.
pub(crate) type Call = (&'static str, Make, &'static str);

/// Makes a vendor's response.
pub(crate) type Respond = fn() -> Response;

/// One vendor.
pub(crate) struct Vendor {
    /// Its name in the contract.
    pub name: &'static str,
    /// The center that tests call it by.
    pub center: &'static str,
    /// Lines of a configuration: a center of this vendor that gives passwords away and receives events.
    pub config: fn(&str, SocketAddr) -> String,
    /// A seeded tenant.
    pub simulate: fn() -> Simulated,
    /// Resources of the seeded tenant.
    pub ids: &'static [Ids],
    /// What the vendor requires or refuses beyond the contract: a method, and the request's fields in place of the
    /// contract's own; null removes one.
    pub requests: &'static [(&'static str, Make)],
    /// Keys of `vendor_data` that the vendor accepts: method, field, and a key with a value.
    pub keys: &'static [(&'static str, &'static str, Make)],
    /// A read and a write that the seeded tenant allows.
    pub read: Call,
    pub write: Call,
    /// The operation that issues access tokens, and its response, if the vendor has tokens.
    pub token: Option<(&'static str, Respond)>,
    /// Query parameters that no two requests share.
    pub fresh: &'static [&'static str],
    /// Two posts of the vendor, which are events of two types, if it supports `WatchEvents`.
    pub posts: [&'static str; 2],
}

/// Two resources of a collection.
pub(crate) struct Ids {
    pub collection: &'static str,
    pub first: &'static str,
    pub second: &'static str,
    /// What stands for the second in a request to the vendor, besides its ID.
    pub spelled: &'static str,
}

/// A simulator that plays a vendor.
pub(crate) struct Simulated {
    pub router: axum::Router,
    requests: Box<dyn Fn() -> Vec<Asked> + Send + Sync>,
    forget: Box<dyn Fn() + Send + Sync>,
    fault: Box<dyn Fn(&Value) + Send + Sync>,
}

pub(crate) const VENDORS: &[Vendor] = &[
    Vendor {
        name: "udesk",
        center: "acme",
        config: super::udesk,
        simulate: simulate_udesk,
        ids: &[
            ids("phoneNumbers", "01055500100", "01055500101"),
            ids("agents", "1004", "1006"),
            ids("queues", "9001", "9002"),
            ids("extensions", "1101", "1102"),
            ids("subscriptions", "102", "103"),
            ids("users", "u1", "u2"),
        ],
        requests: &[(
            "CreateAgent",
            || json!({"agent_id": "2001", "agent": {"display_name": "New", "employee_number": "E2001"}}),
        )],
        keys: &[
            ("CreateAgent", "agent.vendor_data", || json!({"AssistantAccessRight": 37})),
            ("UpdateAgent", "agent.vendor_data", || json!({"AssistantAccessRight": 37})),
            ("LoginAgent", "vendor_data", || json!({"state": 1})),
        ],
        read: ("GetAgent", || json!({"name": "centers/acme/agents/1001"}), "GET agents/{id}"),
        write: (
            "StartCallback",
            || json!({"parent": "centers/acme", "customer_number": "13800000000", "entry_number": "01055500100"}),
            "callback2ivr",
        ),
        token: None,
        fresh: &["Timestamp", "Sign", "MsgId"],
        posts: [r#"{"Event":"general_hangup","CallId":"c-1"}"#, r#"{"Event":"enqueue_succ","CallId":"c-2"}"#],
    },
    Vendor {
        name: "huawei",
        center: "beta",
        config: |id, address| format!("{}callback_secret = \"{CALLBACK_SECRET}\"\n", super::huawei(id, address)),
        simulate: simulate_huawei,
        ids: &[
            ids("phoneNumbers", "5550001", "5550002"),
            // Huawei changes agents by their accounts.
            Ids { spelled: "chen.yu", ..ids("agents", "1001", "1003") },
            ids("queues", "2", "3"),
            ids("extensions", "88880001", "88880002"),
            ids("subscriptions", "102", "103"),
            ids("users", "1660270845627002501", "10gg000000y6SeedUser2"),
        ],
        requests: &[
            ("LoginAgent", || json!({"queues": null, "phone_number": "5550102"})),
            ("CreateAgent", || {
                json!({"agent": {
                    "display_name": "New", "email": "new@example.com", "login_account": "new.agent",
                    "login_password": "Abcde#12",
                }})
            }),
            ("UpdateQueue", || json!({"queue": {"name": "centers/beta/queues/2", "wait_timeout": "30s"}})),
        ],
        keys: &[
            ("CreateAgent", "agent.vendor_data", || json!({"agentType": 5})),
            ("CreateAgent", "agent.vendor_data", || json!({"ccRoleId": 3})),
            ("UpdateAgent", "agent.vendor_data", || json!({"agentType": 5})),
            ("UpdateAgent", "agent.vendor_data", || json!({"ccRoleId": 3})),
            ("CreateQueue", "queue.vendor_data", || json!({"mediaTypeId": 19})),
            ("CreateQueue", "queue.vendor_data", || json!({"maxWaitNum": 37})),
            ("CreateQueue", "queue.vendor_data", || json!({"maxAgentWrapupTime": 37})),
            ("CreateQueue", "queue.vendor_data", || json!({"description": "walked"})),
            ("CreateQueue", "queue.vendor_data", || json!({"skillParam": {"waitVoice": {"parameterType": "walked"}}})),
            ("UpdateQueue", "queue.vendor_data", || json!({"maxWaitNum": 37})),
            ("UpdateQueue", "queue.vendor_data", || json!({"maxAgentWrapupTime": 37})),
            ("UpdateQueue", "queue.vendor_data", || json!({"description": "walked"})),
            ("UpdateQueue", "queue.vendor_data", || json!({"skillParam": {"waitVoice": {"parameterType": "walked"}}})),
        ],
        read: ("ListExtensions", || json!({"parent": "centers/beta"}), "queryPhone"),
        write: (
            "LoginAgent",
            || json!({"name": "centers/beta/agents/1001", "phone_number": "5550102"}),
            "offline/agent/login",
        ),
        token: Some(("tokenByAkSk", Response::token)),
        fresh: &[],
        posts: [
            r#"{"callSerialNo":"c-1","serviceNo":"1001"}"#,
            r#"{"callSerialNo":"c-2","releaseTime":"2027-01-15 08:00:00"}"#,
        ],
    },
];

const fn ids(collection: &'static str, first: &'static str, second: &'static str) -> Ids {
    Ids { collection, first, second, spelled: second }
}

/// The simulators' records of requests, as the harness knows them.
macro_rules! simulated {
    ($simulator:expr) => {{
        let simulator = $simulator;
        let (journal, forgetful, faulty) = (simulator.clone(), simulator.clone(), simulator.clone());
        Simulated {
            router: simulator.router(),
            requests: Box::new(move || {
                let asked = journal.requests().into_iter().map(|request| Asked {
                    method: request.method,
                    path: request.path,
                    query: request.query.into_iter().collect(),
                    headers: request.headers.into_iter().collect(),
                    body: request.body,
                });
                asked.collect()
            }),
            forget: Box::new(move || forgetful.forget_requests()),
            fault: Box::new(move |rule| {
                faulty.faults().add(rule).unwrap_or_else(|error| panic!("{rule}: {error}"));
            }),
        }
    }};
}

fn simulate_udesk() -> Simulated {
    simulated!(udesk::Simulator::new(udesk_options()))
}

fn simulate_huawei() -> Simulated {
    simulated!(huawei::Simulator::new(huawei_options()))
}

impl Vendor {
    /// The first resource of a collection, by its name.
    pub(crate) fn first(&self, collection: &str) -> String {
        format!("centers/{}/{collection}/{}", self.center, self.ids_of(collection).first)
    }

    /// The second.
    pub(crate) fn second(&self, collection: &str) -> String {
        format!("centers/{}/{collection}/{}", self.center, self.ids_of(collection).second)
    }

    fn ids_of(&self, collection: &str) -> &Ids {
        let mut known = self.ids.iter();
        known
            .find(|ids| ids.collection == collection)
            .unwrap_or_else(|| panic!("{}: name two {collection} in the table of vendors", self.name))
    }

    /// A request that the contract and the vendor allow.
    pub(crate) fn request(&self, method: &str) -> Value {
        let mut request = contract_request(self, method);
        if let Some((_, fields)) = self.requests.iter().find(|(known, _)| *known == method) {
            request.as_object_mut().unwrap().extend(fields().as_object().unwrap().clone());
            request.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        }
        request
    }
}

impl Vendor {
    /// A gateway before a seeded tenant.
    pub(crate) async fn simulated(&self) -> (Gateway, Simulated) {
        let simulator = (self.simulate)();
        let address = serve_router(simulator.router.clone()).await;
        (Gateway::start(&(self.config)(self.center, address)).await, simulator)
    }

    /// A gateway with these further lines of its configuration, before a vendor that issues a token, if it has tokens,
    /// and then gives these responses.
    pub(crate) async fn scripted(
        &self,
        responses: impl IntoIterator<Item = Response>,
        settings: &str,
    ) -> (Gateway, Scripted) {
        let token = self.token.map(|(_, response)| response());
        self.scripted_from(token.into_iter().chain(responses), settings).await
    }

    /// The same without the token.
    pub(crate) async fn scripted_from(
        &self,
        responses: impl IntoIterator<Item = Response>,
        settings: &str,
    ) -> (Gateway, Scripted) {
        let vendor = Scripted::start(responses).await;
        let gateway = Gateway::start(&format!("{}{settings}", (self.config)(self.center, vendor.address))).await;
        (gateway, vendor)
    }

    /// How many token requests precede the first request of an operation.
    pub(crate) fn token_requests(&self) -> usize {
        usize::from(self.token.is_some())
    }
}

impl Simulated {
    /// Adds a rule of faults.
    pub(crate) fn fault(&self, rule: &Value) {
        (self.fault)(rule);
    }

    /// What it was asked so far, oldest first.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        (self.requests)()
    }

    pub(crate) fn forget(&self) {
        (self.forget)();
    }
}

/// A gateway before a seeded tenant of every vendor, in the order of [`VENDORS`].
pub(crate) async fn every_vendor() -> (Gateway, Vec<Simulated>) {
    every_vendor_and("").await
}

/// The same with other centers, which are lines of a configuration.
pub(crate) async fn every_vendor_and(centers: &str) -> (Gateway, Vec<Simulated>) {
    let (mut centers, mut simulators) = (centers.to_owned(), Vec::new());
    for vendor in VENDORS {
        let simulator = (vendor.simulate)();
        centers += &(vendor.config)(vendor.center, serve_router(simulator.router.clone()).await);
        simulators.push(simulator);
    }
    (Gateway::start(&centers).await, simulators)
}

/// A request that the contract allows, for every method.
fn contract_request(vendor: &Vendor, method: &str) -> Value {
    let center = format!("centers/{}", vendor.center);
    let (agent, queue, extension) = (vendor.first("agents"), vendor.first("queues"), vendor.first("extensions"));
    let number = vendor.first("phoneNumbers");
    let entry_number = number.rsplit('/').next();
    let (subscription, settings) = (vendor.first("subscriptions"), vendor.first("users") + "/callSettings");
    match method {
        "ListCenters" => json!({}),
        "GetCenter" => json!({"name": center}),
        "GetCapabilities" => json!({"name": center + "/capabilities"}),
        "GetPhoneNumber" | "SetDefaultPhoneNumber" => json!({"name": number}),
        "GetAgent" | "DeleteAgent" | "LogoutAgent" => json!({"name": agent}),
        "LoginAgent" => json!({"name": agent, "queues": [queue]}),
        "CreateAgent" => json!({"parent": center, "agent": {"display_name": "New"}}),
        "UpdateAgent" => json!({"agent": {"name": agent, "display_name": "New"}}),
        "BindAgentExtensions" | "UnbindAgentExtensions" => json!({"agent": agent, "extensions": [extension]}),
        "AddAgentQueues" | "SetAgentQueues" | "RemoveAgentQueues" => json!({"agent": agent, "queues": [queue]}),
        "GetExtension" | "DeleteExtension" => json!({"name": extension}),
        "CreateExtension" => {
            let extension = json!({"protocol": "EXTENSION_PROTOCOL_SIP"});
            json!({"parent": center, "extension_id": "1999", "extension": extension})
        }
        "GetQueue" | "DeleteQueue" => json!({"name": queue}),
        "CreateQueue" => json!({"parent": center, "queue": {"display_name": "New"}}),
        "UpdateQueue" => json!({"queue": {"name": queue, "display_name": "New"}}),
        "AddQueueAgents" => json!({"queue": queue, "agents": [agent]}),
        "GetSoftphoneConfig" => json!({"name": center + "/softphoneConfig"}),
        "GetUserCallSettings" => json!({"name": settings}),
        "UpdateUserCallSettings" => {
            json!({"user_call_settings": {"name": settings, "call_type": "OUTBOUND_CALL_TYPE_DIRECT"}})
        }
        "StartCallback" => {
            json!({"parent": center, "customer_number": "13800000000", "entry_number": entry_number})
        }
        "GetSubscription" | "DeleteSubscription" => json!({"name": subscription}),
        "CreateSubscription" => new_subscription(vendor, "s"),
        "UpdateSubscription" => {
            json!({"subscription": {"name": subscription, "event_types": ["EVENT_TYPE_CALL_HUNG_UP"]}})
        }
        "WatchEvents" => json!({"parent": center, "event_types": ["EVENT_TYPE_CALL_HUNG_UP"]}),
        _ if descriptor(method).input().get_field_by_name("parent").is_some() => json!({"parent": center}),
        _ => panic!("tests/e2e/support/vendors.rs: contract_request has no request of {method}"),
    }
}

/// A request for a subscription of this name.
pub(crate) fn new_subscription(vendor: &Vendor, name: &str) -> Value {
    json!({"parent": format!("centers/{}", vendor.center), "subscription": {
        "display_name": name, "callback_uri": "https://example.com/x", "event_types": ["EVENT_TYPE_CALL_HUNG_UP"],
    }})
}
