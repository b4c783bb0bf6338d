//! A gateway before vendors that forget everything between two calls, so that what they are asked can be compared.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::{Router, extract::Request};
use prost_reflect::DynamicMessage;
use serde_json::{Map, Value, json};
use switchboard::clock::{Clock, Source};
use tower::Service as _;

use crate::support::{
    Gateway,
    client::{Failure, descriptor},
    events::{CALLBACK_SECRET, Watcher, post},
    vendor::{Asked, serve_router},
    vendors::{Simulated, Vendor, new_subscription},
};

/// The second center of every vendor.
pub(super) const OTHER: &str = "other";

/// What a vendor was asked: each parameter of each request, and each request's method and path.
pub(super) type Wire = BTreeSet<String>;

/// What came back of a call, and what the vendor was asked for it.
pub(super) struct Run {
    pub response: Result<Value, Failure>,
    pub wire: Wire,
    /// What the simulator of the other center was asked.
    pub elsewhere: Wire,
}

/// A gateway with two centers of one vendor.
pub(super) struct Bench {
    pub vendor: &'static Vendor,
    pub gateway: Gateway,
    centers: [Stage; 2],
    time: Leaps,
    /// What `GetCapabilities` says.
    pub capabilities: Value,
}

/// Where the simulator of a center stands, which is a new one for every call.
#[derive(Clone)]
struct Stage(Arc<Mutex<Arc<Simulated>>>);

/// The machine's time of day, and a steady time that leaps by a day before every call: nothing is remembered.
#[derive(Clone, Default)]
struct Leaps(Arc<AtomicU64>);

impl Source for Leaps {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn steady(&self) -> Duration {
        Duration::from_secs(24 * 3600 * self.0.load(Ordering::Acquire))
    }
}

impl Stage {
    fn new(vendor: &Vendor) -> Self {
        Self(Arc::new(Mutex::new(Arc::new((vendor.simulate)()))))
    }

    fn current(&self) -> Arc<Simulated> {
        self.0.lock().unwrap().clone()
    }

    fn router(&self) -> Router {
        let stage = self.clone();
        Router::new()
            .fallback(move |request: Request| async move { stage.current().router.clone().call(request).await })
    }
}

impl Bench {
    pub(super) async fn open(vendor: &'static Vendor) -> Self {
        let centers = [Stage::new(vendor), Stage::new(vendor)];
        let mut text = String::new();
        for (id, stage) in [vendor.center, OTHER].into_iter().zip(&centers) {
            text += &(vendor.config)(id, serve_router(stage.router()).await);
        }
        let time = Leaps::default();
        let gateway = Gateway::start_with(&text, "", Clock::from_source(time.clone())).await;
        let name = json!({"name": format!("centers/{}/capabilities", vendor.center)});
        let capabilities = gateway.client.call("GetCapabilities", name).await.unwrap();
        Self { vendor, gateway, centers, time, capabilities }
    }

    /// What `GetCapabilities` says of a method.
    pub(super) fn capability(&self, method: &str) -> &Value {
        let rows = self.capabilities["methods"].as_array().unwrap();
        rows.iter().find(|row| row["method"] == method).unwrap_or_else(|| panic!("no capability {method}"))
    }

    pub(super) fn supports(&self, method: &str) -> bool {
        self.capability(method)["support"] != "SUPPORT_UNSUPPORTED"
    }

    /// Whether `GetCapabilities` lists a field of a method, or what holds it, under this name.
    pub(super) fn lists(&self, method: &str, list: &str, field: &str) -> bool {
        let listed = self.capability(method)[list].as_array().into_iter().flatten();
        listed.filter_map(Value::as_str).any(|known| field == known || field.starts_with(&format!("{known}.")))
    }

    /// Makes a call at a vendor that was never asked anything, but for what the call is about.
    pub(super) async fn run(&self, method: &str, request: Value) -> Run {
        self.time.0.fetch_add(1, Ordering::AcqRel);
        for stage in &self.centers {
            *stage.0.lock().unwrap() = Arc::new((self.vendor.simulate)());
        }
        if method.contains("Subscription") && self.supports("CreateSubscription") {
            for name in ["walked-1", "walked-2"] {
                self.gateway.client.call("CreateSubscription", new_subscription(self.vendor, name)).await.unwrap();
            }
        }
        self.again(method, request).await
    }

    /// Makes another call at the same vendor.
    pub(super) async fn again(&self, method: &str, request: Value) -> Run {
        self.centers.iter().for_each(|stage| stage.current().forget());
        let response = if method == "WatchEvents" {
            self.watch(request).await
        } else {
            self.gateway.client.call(method, request).await
        };
        let [wire, elsewhere] = self.centers.each_ref().map(|stage| self.wire(stage.current().asked()));
        Run { response, wire, elsewhere }
    }

    /// The events that a stream brings until it has caught up, each with the cursor behind it.
    async fn watch(&self, request: Value) -> Result<Value, Failure> {
        let message = DynamicMessage::deserialize(descriptor("WatchEvents").input(), &request).unwrap();
        let mut watcher = Watcher::open(self.gateway.client.channel.clone(), message.transcode_to().unwrap()).await?;
        let mut events = Vec::new();
        while let Some(event) = watcher.next().await.map_err(Failure::of)? {
            events.push(json!({"id": event.event_id, "type": event.r#type, "cursor": watcher.cursor}));
        }
        Ok(json!({"events": events}))
    }

    /// Posts two events of the vendor to the gateway.
    pub(super) async fn post_events(&self) {
        let address = if self.supports("CreateSubscription") {
            let mut request = new_subscription(self.vendor, "live");
            request["subscription"]["callback_uri"] = Value::Null;
            let run = self.run("CreateSubscription", request).await;
            let ours = format!("=http://{}/callbacks/", self.gateway.http);
            let reported = run.wire.iter().find(|leaf| leaf.contains(&ours));
            let reported = reported.unwrap_or_else(|| panic!("no address in {:?}, {:?}", run.wire, run.response));
            reported[reported.find("http://").unwrap()..].to_owned()
        } else {
            format!("http://{}/callbacks/{}/{CALLBACK_SECRET}", self.gateway.http, self.vendor.center)
        };
        for body in self.vendor.posts {
            assert_eq!(post(&address, body).await.0, 200);
        }
    }

    fn wire(&self, asked: Vec<Asked>) -> Wire {
        let mut wire = Wire::new();
        for Asked { method, path, query, headers: _, body } in asked {
            let line = format!("{method} {path}");
            let query: Map<String, Value> = query
                .into_iter()
                .filter(|(name, _)| !self.vendor.fresh.contains(&name.as_str()))
                .map(|(name, value)| (name, value.into()))
                .collect();
            leaves(&format!("{line} ?"), &Value::Object(query), &mut wire);
            leaves(&format!("{line} "), &serde_json::from_str(&body).unwrap_or_default(), &mut wire);
            wire.insert(line);
        }
        wire
    }
}

/// Each text, number and flag of a value with its place.
fn leaves(place: &str, value: &Value, found: &mut Wire) {
    match value {
        Value::Null => {}
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| leaves(&format!("{place}.{name}"), value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| leaves(&format!("{place}[]"), item, found)),
        Value::String(text) => drop(found.insert(format!("{place}={text}"))),
        other => drop(found.insert(format!("{place}={other}"))),
    }
}
