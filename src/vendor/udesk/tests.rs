//! The adapter against vendors behind real sockets: the simulator, and one that responds by a script.

mod agents;
mod callbacks;
mod clock;
mod codes;
mod extensions;
mod incomplete;
mod ingress;
mod nameless;
mod numbers;
mod queues;
mod quirks;
mod refusals;
mod subscriptions;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    body::{Body, Bytes},
    http::{Response, Uri},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use switchboard_simulators::udesk::{Options, Quirk, Request, Simulator, Tenant};
use tokio::{net::TcpListener, time::Instant};

use super::{NAME, Udesk};
use crate::{
    adapter::Adapter,
    clock::{Clock, Source},
    config,
    context::Context,
    error::{Error, Result},
    event::address::Addresses,
    http::Connections,
    name::ResourceName,
    page::{Page, Paged},
    proto::v1,
    store::{kv::KeyValueStore, sqlite::Database, subscription_ids::SubscriptionIds},
    telemetry::Metrics,
    token::Tokens,
    vendor::Parts,
};

const APP_ID: &str = "4b8dc715-05e0-4340-6cae-a6e3c39a6012";
const SID: &str = "sid-0001";
const AUTH_TOKEN: &str = "token-for-tests";

/// The vendor's time of day, and the gateway's unless a test says otherwise.
pub(super) const NOW: Duration = Duration::from_millis(1_700_000_000_123);

/// The adapter of a center at the simulator.
pub(super) struct TestServer {
    pub udesk: Arc<dyn Adapter>,
    pub simulator: Arc<Simulator>,
    pub storage: Database,
    base: String,
}

/// The adapter of a center at a vendor that responds by a script.
pub(super) struct Scripted {
    pub udesk: Arc<dyn Adapter>,
    pub metrics: Metrics,
    pub storage: Database,
    script: Arc<Script>,
}

#[derive(Default)]
struct Script {
    responses: Mutex<VecDeque<ScriptedResponse>>,
    requests: Mutex<Vec<(String, Value)>>,
    queries: Mutex<Vec<String>>,
}

/// One response of the script.
pub(super) struct ScriptedResponse {
    pub status: u16,
    pub body: String,
    pub date: Option<&'static str>,
}

struct At(Duration);

impl Source for At {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + self.0
    }

    fn steady(&self) -> Duration {
        Duration::ZERO
    }
}

// === impl TestServer ===

impl TestServer {
    /// The seeded tenant.
    pub(super) async fn open() -> Self {
        Self::with(|_| {}).await
    }

    /// The seeded tenant with a quirk.
    pub(super) async fn with_quirk(quirk: Quirk) -> Self {
        Self::with(|options| options.quirks.insert(quirk)).await
    }

    /// The document's examples.
    pub(super) async fn of_document() -> Self {
        Self::with(|options| options.tenant = Tenant::Document).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(APP_ID, SID, SecretString::from(AUTH_TOKEN));
        options.clock = Arc::new(|| UNIX_EPOCH + NOW);
        change(&mut options);
        let simulator = Simulator::new(options);
        let base = serve(simulator.router()).await;
        let storage = Database::in_memory().unwrap();
        let udesk = adapter(&base, NOW, config::TimestampUnit::Milliseconds, &storage, &metrics());
        Self { udesk, simulator, storage, base }
    }

    /// Another adapter of the same center, as after a restart; its clock may differ.
    pub(super) fn restarted(&self, now: Duration, unit: config::TimestampUnit) -> Arc<dyn Adapter> {
        adapter(&self.base, now, unit, &self.storage, &metrics())
    }

    /// A gateway at the same tenant that shares nothing with this one.
    pub(super) fn elsewhere(&self) -> Arc<dyn Adapter> {
        at_address(&self.base, &Database::in_memory().unwrap())
    }

    /// The stored IDs of its subscriptions.
    pub(super) fn subscription_ids(&self) -> SubscriptionIds {
        SubscriptionIds::new(Arc::new(self.storage.clone()))
    }

    /// The requests since the last call: method and path, and the body.
    pub(super) fn sent(&self) -> Vec<(String, Value)> {
        let requests = self.requests();
        let line = |request: &Request| format!("{} {}", request.method, request.path.trim_start_matches("/ccapi/v2"));
        requests.iter().map(|request| (line(request), body(&request.body))).collect()
    }

    /// The requests since the last call.
    pub(super) fn requests(&self) -> Vec<Request> {
        let requests = self.simulator.requests();
        self.simulator.forget_requests();
        requests
    }
}

// === impl Scripted ===

impl Scripted {
    /// A vendor that gives these responses in turn.
    pub(super) async fn new(responses: impl IntoIterator<Item = ScriptedResponse>) -> Self {
        let script = Arc::new(Script { responses: Mutex::new(responses.into_iter().collect()), ..Script::default() });
        let router =
            axum::Router::new().fallback({
                let script = script.clone();
                move |method: axum::http::Method, uri: Uri, bytes: Bytes| async move {
                    script.response(&method, &uri, &bytes)
                }
            });
        let base = serve(router).await;
        let metrics = metrics();
        let storage = Database::in_memory().unwrap();
        let udesk = adapter(&base, NOW, config::TimestampUnit::Milliseconds, &storage, &metrics);
        Self { udesk, metrics, storage, script }
    }

    /// Success with each of these results in turn.
    pub(super) async fn results(results: impl IntoIterator<Item = Value>) -> Self {
        Self::new(results.into_iter().map(|result| ScriptedResponse::ok(&result))).await
    }

    /// The requests so far: method and path, and the body.
    pub(super) fn sent(&self) -> Vec<(String, Value)> {
        self.script.requests.lock().unwrap().clone()
    }

    /// The values of a query parameter, request by request.
    pub(super) fn query(&self, name: &str) -> Vec<String> {
        let queries = self.script.queries.lock().unwrap();
        let value = |query: &String| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        queries.iter().map(value).collect()
    }
}

impl Script {
    fn response(&self, method: &axum::http::Method, uri: &Uri, bytes: &Bytes) -> Response<Body> {
        let line = format!("{method} {}", uri.path().trim_start_matches("/ccapi/v2"));
        self.requests.lock().unwrap().push((line, body(&String::from_utf8_lossy(bytes))));
        self.queries.lock().unwrap().push(uri.query().unwrap_or_default().to_owned());
        // A request beyond the script is an error of the test.
        let exhausted = ScriptedResponse::new(418, "no more responses");
        let scripted = self.responses.lock().unwrap().pop_front().unwrap_or(exhausted);
        let mut response = Response::builder().status(scripted.status);
        if let Some(date) = scripted.date {
            response = response.header("date", date);
        }
        response.body(Body::from(scripted.body)).unwrap()
    }
}

impl ScriptedResponse {
    pub(super) fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into(), date: None }
    }

    /// Success with this result.
    pub(super) fn ok(result: &Value) -> Self {
        Self::new(200, json!({ "ErrCode": "000000", "ErrDesc": "OK", "Result": result }).to_string())
    }

    /// A refusal with this code.
    pub(super) fn refusal(code: &str) -> Self {
        Self::new(200, json!({ "ErrCode": code, "ErrDesc": "no such thing", "Result": null }).to_string())
    }

    pub(super) fn dated(self, date: &'static str) -> Self {
        Self { date: Some(date), ..self }
    }
}

pub(super) fn cx() -> Context {
    Context::new("Test", "0123456789abcdef0123456789abcdef".to_owned(), Instant::now() + Duration::from_secs(30))
}

/// A typed name.
pub(super) fn name<N: ResourceName>(text: &str) -> N {
    N::parse(text).unwrap()
}

pub(super) fn names<N: ResourceName>(texts: &[&str]) -> Vec<N> {
    texts.iter().map(|text| name(text)).collect()
}

/// The page that a request asks for.
pub(super) fn page(request: &mut impl Paged) -> Page {
    Page::take("Test", request).unwrap()
}

pub(super) fn mask(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|&path| path.to_owned()).collect()
}

/// The agent with this ID, in full.
pub(super) async fn agent(udesk: &Arc<dyn Adapter>, id: &str) -> Result<v1::Agent> {
    let mut request = v1::GetAgentRequest::default();
    request.set_view(v1::View::Full);
    udesk.get_agent(&cx(), name(&format!("centers/acme/agents/{id}")), request).await
}

/// Every agent, in full.
pub(super) async fn agents(udesk: &Arc<dyn Adapter>) -> Result<v1::ListAgentsResponse> {
    let mut request = v1::ListAgentsRequest::default();
    request.set_view(v1::View::Full);
    udesk.list_agents(&cx(), name("centers/acme"), None, page(&mut request), request).await
}

/// The queue with this ID, in full.
pub(super) async fn queue(udesk: &Arc<dyn Adapter>, id: &str) -> Result<v1::Queue> {
    let mut request = v1::GetQueueRequest::default();
    request.set_view(v1::View::Full);
    udesk.get_queue(&cx(), name(&format!("centers/acme/queues/{id}")), request).await
}

/// Every subscription.
pub(super) async fn subscriptions(udesk: &Arc<dyn Adapter>) -> Result<Vec<v1::Subscription>> {
    let page = page(&mut v1::ListSubscriptionsRequest::default());
    udesk.list_subscriptions(&cx(), name("centers/acme"), page).await.map(|response| response.subscriptions)
}

/// Fields that an error names.
pub(super) fn fields(error: &Error) -> Vec<&str> {
    error.violations().iter().map(|violation| violation.field.as_str()).collect()
}

/// The name in an error's `ResourceInfo`, as the caller sees it.
pub(super) fn resource(error: Error) -> String {
    use tonic_types::StatusExt as _;
    let status = error.into_status(&cx());
    status.get_details_resource_info().map(|info| info.resource_name).unwrap_or_default()
}

/// An entry of an error's metadata, as the caller sees it.
pub(super) fn metadata(error: Error, key: &str) -> String {
    use tonic_types::StatusExt as _;
    let status = error.into_status(&cx());
    status.get_details_error_info().and_then(|info| info.metadata.get(key).cloned()).unwrap_or_default()
}

/// The adapter of a center at this vendor, with this storage.
pub(super) async fn at(vendor: axum::Router, storage: &Database) -> Arc<dyn Adapter> {
    adapter(&serve(vendor).await, NOW, config::TimestampUnit::Milliseconds, storage, &metrics())
}

/// The adapter of a center at a vendor that no test calls.
pub(super) fn at_address(base: &str, storage: &Database) -> Arc<dyn Adapter> {
    adapter(base, NOW, config::TimestampUnit::Milliseconds, storage, &metrics())
}

/// The addresses of a gateway with this storage.
pub(super) fn addresses(storage: &Database, now: Duration) -> Addresses {
    Addresses::new(&events(), Arc::new(storage.clone()), Clock::from_source(At(now)))
}

/// The configuration of the gateway's own addresses, with a generated key.
fn events() -> config::Events {
    config::Events {
        callback_base_url: "http://127.0.0.1:8080/".parse().unwrap(),
        callback_key: None,
        retention: Duration::from_secs(1),
        retention_size: 1 << 20,
        duplicate_window: Duration::ZERO,
    }
}

fn body(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

fn metrics() -> Metrics {
    Metrics::new().unwrap()
}

async fn serve(router: axum::Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}

fn adapter(
    base: &str,
    now: Duration,
    timestamp_unit: config::TimestampUnit,
    storage: &Database,
    metrics: &Metrics,
) -> Arc<dyn Adapter> {
    // The client requires a TLS provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let clock = Clock::from_source(At(now));
    let state: Arc<dyn KeyValueStore> = Arc::new(storage.clone());
    let parts = Parts {
        connections: Connections::new().unwrap(),
        metrics: metrics.clone(),
        clock: clock.clone(),
        tokens: Tokens::new(clock.clone(), metrics.clone()),
        lists: crate::lists::Lists::new(clock.clone()),
        kv: state.clone(),
        addresses: Addresses::new(&events(), state, clock),
    };
    let udesk = config::Udesk {
        app_id: APP_ID.to_owned(),
        sid: SID.to_owned(),
        auth_token: AUTH_TOKEN.into(),
        timestamp_unit,
        agent_states: config::AgentStates::default(),
    };
    let center = config::Center {
        display_name: NAME.to_owned(),
        base_url: base.parse().unwrap(),
        allow_plaintext: true,
        expose_credentials: true,
        limits: config::Limits {
            concurrency: 8,
            queue: 8,
            rate: 0,
            max_response_size: 1 << 20,
            max_list_size: 1 << 20,
        },
        retry: config::Retry { attempts: 1, budget: 0.0 },
        breaker: config::Breaker {
            consecutive_failures: 7,
            min_penalty: Duration::from_secs(1),
            max_penalty: Duration::from_secs(60),
        },
        vendor: config::Vendor::Udesk(udesk.clone()),
    };
    Arc::new(Udesk::new("acme", &center, &udesk, &parts).unwrap())
}
