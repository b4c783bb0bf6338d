//! The adapter, as the service sees it, against the simulator over real sockets.

mod agent_changes;
mod agents;
mod call_settings;
mod callbacks;
mod capabilities;
mod formats;
mod memberships;
mod nameless;
mod pages;
mod phone_numbers;
mod queues;
mod quirks;
mod sessions;
mod softphones;
mod tokens;

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use serde_json::Value;
use switchboard_simulators::huawei::{Options, Simulator, Tenant, Tokens as TokenRules};
use tokio::time::Instant;

use crate::{
    adapter::Adapter,
    clock::{Clock, Source},
    config::Config,
    context::Context,
    error::{Error, Result},
    event::address::Addresses,
    http::Connections,
    name::{AgentName, CenterName, QueueName, ResourceName as _},
    page::Page,
    proto::v1,
    store::{kv::KeyValueStore, sqlite::Database},
    telemetry::Metrics,
    token::Tokens,
    vendor::{Parts, build},
};

const APP_KEY: &str = "test-app-key";
const APP_SECRET: &str = "test-app-secret";
/// The second at which the clock stands first.
const START: u64 = 1_545_650_171;

/// How a server is set up.
#[derive(Default)]
struct Setup {
    tenant: Tenant,
    quirks: &'static str,
    tokens: TokenRules,
    /// More keys of the center.
    config: &'static str,
}

/// A simulator on its own socket, and the adapter of its center.
struct TestServer {
    simulator: Arc<Simulator>,
    adapter: Arc<dyn Adapter>,
    metrics: Metrics,
    time: ManualClock,
    script: Script,
}

/// A clock that the test advances, for both sides.
#[derive(Clone, Default)]
struct ManualClock(Arc<AtomicU64>);

/// Responses that replace the simulator's.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Vec<Scripted>>>, Arc<OnceLock<Responder>>);

/// Responds to requests by the end of their path and their body, in place of the simulator.
type Responder = Box<dyn Fn(&str, &Value) -> Option<Value> + Send + Sync>;

struct Scripted {
    /// End of the path.
    operation: &'static str,
    /// This many requests reach the simulator first.
    after: usize,
    status: u16,
    body: String,
    /// The simulator executes the request, and its response is replaced.
    does: bool,
}

impl Source for ManualClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(START) + self.steady()
    }

    fn steady(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Acquire))
    }
}

impl ManualClock {
    fn advance(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::AcqRel);
    }
}

impl TestServer {
    async fn start(quirks: &'static str) -> Self {
        Self::with(Setup { quirks, ..Setup::default() }).await
    }

    async fn with(setup: Setup) -> Self {
        // Another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let time = ManualClock::default();
        let clock = Clock::from_source(time.clone());
        let simulator = Simulator::new(Options {
            app_key: APP_KEY.into(),
            app_secret: APP_SECRET.into(),
            tokens: setup.tokens,
            quirks: setup.quirks.parse().unwrap(),
            tenant: setup.tenant,
            clock: Arc::new({
                let clock = clock.clone();
                move || clock.now()
            }),
        });
        let script = Script::default();
        let router = simulator.router().layer(from_fn_with_state(script.clone(), play));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let text = format!(
            "[centers.beta]\nvendor = 'huawei'\nbase_url = 'http://{}'\nallow_plaintext = true\napp_key = '{APP_KEY}'\n\
             app_secret = '{APP_SECRET}'\nexpose_credentials = true\n{}",
            listener.local_addr().unwrap(),
            setup.config,
        );
        tokio::spawn(async move { axum::serve(listener, router).await });
        let config = Config::parse(&text, "test.toml", &|_| None).unwrap();
        let metrics = Metrics::new().unwrap();
        let state: Arc<dyn KeyValueStore> = Arc::new(Database::in_memory().unwrap());
        let parts = Parts {
            connections: Connections::new().unwrap(),
            metrics: metrics.clone(),
            tokens: Tokens::new(clock.clone(), metrics.clone()),
            addresses: Addresses::new(&config.events, state.clone(), clock.clone()),
            lists: crate::lists::Lists::new(clock.clone()),
            clock,
            kv: state,
        };
        let adapter = build("beta", &config.centers["beta"], &parts).unwrap();
        Self { simulator, adapter, metrics, time, script }
    }

    /// The next request of this operation gets this response, and does not reach the simulator.
    fn respond(&self, operation: &'static str, status: u16, body: &str) {
        self.script.add(Scripted { operation, after: 0, status, body: body.to_owned(), does: false });
    }

    /// The same for a later request.
    fn respond_after(&self, after: usize, operation: &'static str, status: u16, body: &str) {
        self.script.add(Scripted { operation, after, status, body: body.to_owned(), does: false });
    }

    /// The simulator executes the next request of this operation, which gets this response.
    fn response_is_lost(&self, operation: &'static str, status: u16, body: &str) {
        self.script.add(Scripted { operation, after: 0, status, body: body.to_owned(), does: true });
    }

    /// From now on these requests do not reach the simulator.
    fn respond_by(&self, responder: impl Fn(&str, &Value) -> Option<Value> + Send + Sync + 'static) {
        assert!(self.script.1.set(Box::new(responder)).is_ok(), "one responder");
    }

    /// The operations requested from the simulator since the last call, without token requests.
    fn calls(&self) -> Vec<String> {
        self.requests().into_iter().map(|(operation, _)| operation).collect()
    }

    /// The same with bodies.
    fn requests(&self) -> Vec<(String, Value)> {
        let requests = self.simulator.requests();
        self.simulator.forget_requests();
        let read = requests.into_iter().filter(|request| !request.path.ends_with("tokenByAkSk"));
        read.map(|request| {
            let operation = request.path.rsplit("/v1/").next().unwrap_or_default().to_owned();
            (operation, serde_json::from_str(&request.body).unwrap_or_default())
        })
        .collect()
    }

    /// The number of token requests since the last call.
    fn token_requests(&self) -> usize {
        let requests = self.simulator.requests();
        requests.iter().filter(|request| request.path.ends_with("tokenByAkSk")).count()
    }

    async fn agent(&self, id: &str) -> Result<v1::Agent> {
        let request = v1::GetAgentRequest { view: v1::View::Full.into(), ..Default::default() };
        self.adapter.get_agent(&cx("GetAgent"), agent_name(id), request).await
    }

    async fn queue(&self, id: &str) -> Result<v1::Queue> {
        let request = v1::GetQueueRequest { view: v1::View::Full.into(), ..Default::default() };
        self.adapter.get_queue(&cx("GetQueue"), queue_name(id), request).await
    }

    async fn list_agents(&self, mut request: v1::ListAgentsRequest) -> Result<v1::ListAgentsResponse> {
        let queue = (!request.queue.is_empty()).then(|| QueueName::parse(&request.queue).unwrap());
        let page = Page::take("ListAgents", &mut request)?;
        self.adapter.list_agents(&cx("ListAgents"), center(), queue, page, request).await
    }

    async fn list_queues(&self, mut request: v1::ListQueuesRequest) -> Result<v1::ListQueuesResponse> {
        let page = Page::take("ListQueues", &mut request)?;
        self.adapter.list_queues(&cx("ListQueues"), center(), page, request).await
    }

    async fn list_extensions(&self, mut request: v1::ListExtensionsRequest) -> Result<v1::ListExtensionsResponse> {
        let page = Page::take("ListExtensions", &mut request)?;
        self.adapter.list_extensions(&cx("ListExtensions"), center(), page, request).await
    }

    async fn list_numbers(&self, mut request: v1::ListPhoneNumbersRequest) -> Result<v1::ListPhoneNumbersResponse> {
        let page = Page::take("ListPhoneNumbers", &mut request)?;
        self.adapter.list_phone_numbers(&cx("ListPhoneNumbers"), center(), page, request).await
    }

    /// IDs of the queues an agent is in.
    async fn queues_of(&self, id: &str) -> Vec<String> {
        self.agent(id).await.unwrap().queues.iter().map(|name| last(name)).collect()
    }

    /// IDs of a queue's agents.
    async fn agents_of(&self, queue: &str) -> Vec<String> {
        let request = v1::ListAgentsRequest { queue: queue_name(queue).to_string(), ..Default::default() };
        self.list_agents(request).await.unwrap().agents.iter().map(|agent| last(&agent.name)).collect()
    }
}

impl Script {
    fn add(&self, scripted: Scripted) {
        self.0.lock().unwrap().push(scripted);
    }

    fn next(&self, path: &str) -> Option<Scripted> {
        let mut script = self.0.lock().unwrap();
        let index = script.iter().position(|scripted| path.ends_with(scripted.operation))?;
        if script[index].after > 0 {
            script[index].after -= 1;
            return None;
        }
        Some(script.remove(index))
    }
}

async fn play(State(script): State<Script>, mut request: Request, next: Next) -> Response {
    if let Some(responder) = script.1.get() {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        if let Some(response) = responder(head.uri.path(), &serde_json::from_slice(&body).unwrap_or_default()) {
            return Response::new(Body::from(response.to_string()));
        }
        request = Request::from_parts(head, Body::from(body));
    }
    let Some(scripted) = script.next(request.uri().path()) else { return next.run(request).await };
    if scripted.does {
        let body = next.run(request).await.into_body();
        to_bytes(body, usize::MAX).await.unwrap();
    }
    Response::builder().status(scripted.status).body(Body::from(scripted.body)).unwrap()
}

fn cx(method: &'static str) -> Context {
    let cx = Context::new(method, "trace".into(), Instant::now() + Duration::from_secs(120));
    cx.set_center("beta", "huawei");
    cx
}

fn center() -> CenterName {
    CenterName::new("beta")
}

fn agent_name(id: &str) -> AgentName {
    AgentName::new("beta", id)
}

fn queue_name(id: &str) -> QueueName {
    QueueName::new("beta", id)
}

fn agent_names<const N: usize>(ids: [&str; N]) -> Vec<AgentName> {
    ids.map(agent_name).into()
}

fn queue_names<const N: usize>(ids: [&str; N]) -> Vec<QueueName> {
    ids.map(queue_name).into()
}

fn last(name: &str) -> String {
    name.rsplit('/').next().unwrap_or_default().to_owned()
}

fn vendor_data(json: &Value) -> Option<prost_types::Struct> {
    let fields = json.as_object().unwrap().iter();
    fields.fold(crate::vendor_data::VendorData::new(), |data, (key, value)| data.json(key, value)).build()
}

/// A field of `vendor_data`, as text.
fn extra(data: Option<&prost_types::Struct>, key: &str) -> String {
    use prost_types::value::Kind;
    match data.and_then(|data| data.fields.get(key)).and_then(|value| value.kind.as_ref()) {
        Some(Kind::NumberValue(number)) => number.to_string(),
        Some(Kind::StringValue(text)) => text.clone(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

/// The refused fields.
fn fields(error: &Error) -> Vec<&str> {
    error.violations().iter().map(|violation| violation.field.as_str()).collect()
}

/// An entry of the metadata of the error's status.
fn metadata(error: &Error, key: &str) -> String {
    use tonic_types::StatusExt as _;
    let status = error.clone().into_status(&cx("Test"));
    let info = status.get_details_error_info().unwrap();
    info.metadata.get(key).cloned().unwrap_or_default()
}
