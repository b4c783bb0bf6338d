//! The centers of the configuration, each with its adapter, built at start.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use prost::Message;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::{
    adapter::Adapter,
    config,
    context::Context,
    detached,
    drain::Draining,
    error::{Error, ErrorReason, Result},
    event::{
        feed::Feed,
        watch::{Watch, WatchOptions, WatcherPermit},
    },
    idempotency::{Idempotency, Scope},
    name::{CenterName, ResourceName},
    proto::v1,
    store::event_log::EventLog,
    telemetry::Metrics,
    vendor,
};

/// Most concurrent streams of one center's events.
const MAX_WATCHERS: usize = 10_000;

/// Every center, by ID.
#[derive(Debug)]
pub struct Centers {
    by_id: BTreeMap<String, Center>,
    metrics: Metrics,
}

/// One center.
pub struct Center {
    /// Its ID.
    pub id: String,
    /// Human-readable name.
    pub display_name: String,
    /// Whether `AccessSoftphoneCredentials` may return passwords.
    pub expose_credentials: bool,
    /// The adapter of its vendor.
    pub adapter: Arc<dyn Adapter>,
    feed: Arc<Feed>,
    /// One permit per stream.
    watchers: Arc<Semaphore>,
    draining: Draining,
    metrics: Metrics,
    idempotency: Idempotency,
    tasks: TaskTracker,
}

// === impl Centers ===

impl Centers {
    /// Builds every configured center.
    ///
    /// # Errors
    /// When an adapter cannot be built.
    pub fn build(
        centers: &BTreeMap<String, config::Center>,
        parts: &vendor::Parts,
        idempotency: &Idempotency,
        log: &Arc<dyn EventLog>,
        draining: &Draining,
    ) -> Result<Self> {
        let center = |(id, config): (&String, &config::Center)| {
            let adapter = vendor::build(id, config, parts)?;
            parts.metrics.declare_center(id, vendor::operations(&config.vendor));
            let center = Center {
                id: id.clone(),
                display_name: config.display_name.clone(),
                expose_credentials: config.expose_credentials,
                feed: Arc::new(Feed::new(id.clone(), log.clone(), adapter.clone(), parts.clock.clone())),
                adapter,
                watchers: Arc::new(Semaphore::new(MAX_WATCHERS)),
                draining: draining.clone(),
                metrics: parts.metrics.clone(),
                idempotency: idempotency.clone(),
                tasks: parts.connections.running_writes(),
            };
            Ok((id.clone(), center))
        };
        let by_id = centers.iter().map(center).collect::<Result<_>>()?;
        Ok(Self { by_id, metrics: parts.metrics.clone() })
    }

    /// The center that a name belongs to. It becomes the center of the call.
    ///
    /// # Errors
    /// `CENTER_NOT_FOUND`.
    pub fn get(&self, cx: &Context, name: &impl ResourceName) -> Result<&Center> {
        let center = self.by_id.get(name.center()).ok_or_else(|| {
            let name = CenterName::new(name.center()).to_string();
            Error::new(ErrorReason::CenterNotFound, format!("no such center: {name}; ListCenters lists the centers"))
                .about(CenterName::KIND, name)
        })?;
        cx.set_center(&center.id, center.adapter.vendor());
        Ok(center)
    }

    /// Every center, by ID.
    pub fn iter(&self) -> impl Iterator<Item = &Center> {
        self.by_id.values()
    }

    /// Counts a failed call.
    pub fn count_failure(&self, cx: &Context, error: &Error) {
        let center = cx.center().map_or("", |center| center.id.as_str());
        self.metrics.call_failed(center, error.reason());
    }
}

// === impl Center ===

impl Center {
    /// Runs a write, detached from its caller: see [`detached`]. What the contract rejects is no write.
    pub async fn write<A, F>(&self, cx: &Context, run: impl FnOnce(Arc<dyn Adapter>, Context) -> F) -> Result<A>
    where
        A: Send + 'static,
        F: Future<Output = Result<A>> + Send + 'static,
    {
        if cx.rejected().is_some() {
            return run(self.adapter.clone(), cx.clone()).await;
        }
        detached::run(&self.tasks, cx, |cx| run(self.adapter.clone(), cx)).await
    }

    /// Runs a write at most once per `request_id`: see [`Idempotency::run`]. Without an ID it is a plain write. The
    /// caller has removed the ID from `request`.
    pub async fn write_idempotent<Q, A, F>(
        &self,
        cx: &Context,
        request_id: &str,
        request: Q,
        run: impl FnOnce(Arc<dyn Adapter>, Context, Q) -> F,
    ) -> Result<A>
    where
        Q: Message + Clone,
        A: Message + Default + 'static,
        F: Future<Output = Result<A>> + Send + 'static,
    {
        let adapter = self.adapter.clone();
        if cx.rejected().is_some() {
            return run(adapter, cx.clone(), request).await;
        }
        // The canonical spelling: several spellings of a UUID are one ID.
        let Ok(request_id) = Uuid::try_parse(request_id) else {
            return detached::run(&self.tasks, cx, |cx| run(adapter, cx, request)).await;
        };
        let scope = Scope { caller: "", center: &self.id, method: cx.method() };
        let content = request.clone();
        let run = |cx| run(adapter, cx, request);
        self.idempotency.run(cx, scope, &request_id.to_string(), &content, run).await
    }

    /// Opens a stream of the center's events.
    ///
    /// # Errors
    /// As [`Watch::start`]; `CENTER_OVERLOADED` when too many streams are open.
    pub async fn watch(&self, options: WatchOptions) -> Result<Watch> {
        let semaphore_permit = self.watchers.clone().try_acquire_owned().map_err(|_| {
            let message = "too many streams of this center are open at this gateway; wait, or use another gateway";
            Error::new(ErrorReason::CenterOverloaded, message).retry_after(Duration::from_secs(1)).quota("watchers")
        })?;
        let permit = WatcherPermit::new(self.draining.clone(), self.metrics.watch(&self.id), semaphore_permit);
        Watch::start(self.feed.clone(), options, permit).await
    }

    /// The center as a resource of the contract.
    pub fn resource(&self) -> v1::Center {
        v1::Center {
            name: CenterName::new(self.id.as_str()).to_string(),
            display_name: self.display_name.clone(),
            vendor: self.adapter.vendor().to_owned(),
        }
    }
}

impl fmt::Debug for Center {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Center").field("id", &self.id).field("vendor", &self.adapter.vendor()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock, config::Config, event::address::Addresses, event::watch::Start, http::Connections, lists::Lists,
        store::Stores, token::Tokens, vendor::Parts,
    };

    fn center() -> Centers {
        // There may be one already, from another test.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let text = "[centers.beta]\nvendor = 'huawei'\nbase_url = 'https://beta.example.com'\napp_key = 'key'\n\
                    app_secret = 'secret'\n";
        let config = Config::parse(text, "test", &|_| None).unwrap();
        let (clock, metrics) = (Clock::system(), Metrics::new().unwrap());
        let stores = Stores::in_memory(&config, &clock).unwrap();
        let parts = Parts {
            connections: Connections::new().unwrap(),
            tokens: Tokens::new(clock.clone(), metrics.clone()),
            metrics,
            addresses: Addresses::new(&config.events, stores.kv.clone(), clock.clone()),
            lists: Lists::new(clock.clone()),
            clock: clock.clone(),
            kv: stores.kv.clone(),
        };
        let idempotency = Idempotency::new(stores.idempotency.clone(), clock, TaskTracker::new());
        Centers::build(&config.centers, &parts, &idempotency, &stores.events, &Draining::default()).unwrap()
    }

    #[tokio::test]
    async fn streams_of_a_center_are_bounded_and_one_that_ends_makes_room() {
        let centers = center();
        let center = centers.iter().next().unwrap();
        let options = || WatchOptions {
            start: Start::Live,
            event_types: Vec::new(),
            heartbeat_interval: Duration::from_secs(15),
            deadline: None,
        };
        let others = center.watchers.clone().try_acquire_many_owned(9_999).unwrap();
        let last = center.watch(options()).await.unwrap();
        let rejected = center.watch(options()).await.unwrap_err();
        assert_eq!(rejected.reason(), ErrorReason::CenterOverloaded);
        drop(last);
        center.watch(options()).await.unwrap();
        drop(others);
    }
}
