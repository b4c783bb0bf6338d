//! The client against a network that does what a test says, by a clock that leaps to what is waited for.

mod breaker;
mod responses;
mod retries;

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER};
use serde::Serialize;
use serde_json::Value;
use tokio::time::{Instant, advance, sleep};

use super::*;
use crate::{
    clock,
    config::tests::{ACME, parse},
    endpoint,
    error::{Error, ErrorReason},
};

/// A clock that stands at noon of 1 January 2026.
struct Noon;

impl clock::Source for Noon {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_268_800)
    }

    fn steady(&self) -> Duration {
        Duration::ZERO
    }
}

/// What becomes of a request.
#[derive(Clone)]
enum Fate {
    /// This response, after a while.
    Response(Duration, u16, &'static str),
    /// The same with `Retry-After`.
    Throttled(&'static str),
    /// No response, ever.
    Silence,
    /// It fails in this way.
    Fails(Failure),
}

/// A network whose requests meet their fates in turn, the last one forever.
#[derive(Clone, Default)]
struct Stage(Arc<Shared>);

#[derive(Default)]
struct Shared {
    fates: Mutex<VecDeque<Fate>>,
    /// When each request was sent, whether it may be sent again, and the largest response that it allows.
    sent: Mutex<Vec<(Instant, bool, usize)>>,
    /// Requests that were abandoned.
    given_up: AtomicUsize,
    /// The fate of every [`Ping`], if it has one of its own, and how many there were.
    pings: (Mutex<Option<Fate>>, AtomicUsize),
}

/// Counts a request that is dropped before its end.
struct Unfinished<'a>(&'a AtomicUsize);

/// A family whose credentials are a number, one more each time.
struct Numbered {
    refreshes: AtomicUsize,
    confirmed: Mutex<Vec<usize>>,
    accepted: Mutex<Vec<usize>>,
    /// How often there are other credentials.
    most: usize,
    /// Credentials that never come.
    hangs: Hangs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hangs {
    Never,
    AtFirst,
    AfterRefusal,
}

#[derive(Serialize)]
struct Read;

endpoint!(Numbered: Read, GET "/read", read, () => Value);

#[derive(Serialize)]
struct Ping;

endpoint!(Numbered: Ping, GET "/ping", read, () => Value);

#[derive(Serialize)]
struct Write {
    password: &'static str,
}

endpoint!(Numbered: Write, POST "/write", write, () => Value);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stage")
    }
}

#[async_trait]
impl Transport for Stage {
    async fn send(&self, request: HttpRequest, largest: usize) -> Result<HttpResponse, Failure> {
        let is_ping = request.uri.path() == "/ping";
        let own = is_ping.then(|| {
            self.0.pings.1.fetch_add(1, Ordering::AcqRel);
            self.0.pings.0.lock().unwrap().clone()
        });
        let fate = if let Some(Some(fate)) = own {
            Some(fate)
        } else {
            self.0.sent.lock().unwrap().push((Instant::now(), request.repeatable, largest));
            let mut fates = self.0.fates.lock().unwrap();
            if fates.len() > 1 { fates.pop_front() } else { fates.front().cloned() }
        };
        let unfinished = Unfinished(&self.0.given_up);
        let (status, headers, body) = match fate.expect("a fate") {
            Fate::Response(after, status, body) => {
                sleep(after).await;
                (status, HeaderMap::new(), body)
            }
            Fate::Throttled(requested) => {
                (503, HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(requested))]), "")
            }
            Fate::Silence => std::future::pending().await,
            Fate::Fails(failure) => {
                std::mem::forget(unfinished);
                return Err(failure);
            }
        };
        std::mem::forget(unfinished);
        Ok(HttpResponse { status: StatusCode::from_u16(status).unwrap(), headers, body: body.into() })
    }
}

#[async_trait]
impl Dialect for Numbered {
    const FAMILY: &'static str = "numbered";
    type Style = ();
    type Credentials = usize;

    async fn authorize(
        &self,
        _cx: &Context,
        _operation: &Operation<()>,
        outgoing: &Outgoing,
        refreshed: Option<&usize>,
    ) -> Result<Authorized<usize>> {
        if self.hangs == Hangs::AtFirst {
            std::future::pending::<()>().await;
        }
        let uri = format!("https://vendor.example.com{}", outgoing.path).parse().unwrap();
        Ok(Authorized { uri, headers: HeaderMap::new(), credentials: refreshed.copied().unwrap_or(0) })
    }

    /// `code text`; 401 is a refusal of the credentials, 429 one without a code, an empty body none.
    fn parse(&self, _operation: &Operation<()>, response: &HttpResponse) -> ParsedResponse {
        if response.status == StatusCode::OK && response.body.is_empty() {
            return ParsedResponse::Unreadable("a body");
        }
        let Some(meaning) = StatusMeaning::by_specification(response.status, "base_url") else {
            return ParsedResponse::Payload(response.body.clone());
        };
        let mut refusal = meaning.refusal(String::new());
        if let Some((code, message)) = std::str::from_utf8(&response.body).unwrap().split_once(' ') {
            (refusal.code, refusal.message) = (code.to_owned(), message.to_owned());
            refusal.status = None;
        }
        ParsedResponse::Refused(refusal)
    }

    async fn refresh(&self, _cx: &Context, refused: &usize, _reply: &HttpResponse) -> Result<Option<usize>> {
        if self.hangs == Hangs::AfterRefusal {
            std::future::pending::<()>().await;
        }
        let number = self.refreshes.fetch_add(1, Ordering::AcqRel) + 1;
        Ok((number <= self.most).then_some(refused + 1))
    }

    fn confirm(&self, credentials: &usize) {
        self.confirmed.lock().unwrap().push(*credentials);
    }

    fn accept(&self, credentials: &usize) {
        self.accepted.lock().unwrap().push(*credentials);
    }

    fn secrets(&self) -> Vec<&str> {
        vec!["of-the-family"]
    }

    fn credential_secrets<'a>(&self, _credentials: &'a usize) -> Vec<&'a str> {
        vec!["of-the-request"]
    }
}

impl Stage {
    fn of(fates: impl IntoIterator<Item = Fate>) -> Self {
        let stage = Self::default();
        stage.then(fates);
        stage
    }

    /// From now on requests meet these fates.
    fn then(&self, fates: impl IntoIterator<Item = Fate>) {
        *self.0.fates.lock().unwrap() = fates.into_iter().collect();
    }

    fn sent(&self) -> Vec<(Instant, bool, usize)> {
        self.0.sent.lock().unwrap().clone()
    }

    /// Pauses between the requests.
    fn pauses(&self) -> Vec<Duration> {
        self.sent().windows(2).map(|pair| pair[1].0 - pair[0].0).collect()
    }

    fn given_up(&self) -> usize {
        self.0.given_up.load(Ordering::Acquire)
    }

    /// The client of a center with these further keys.
    fn client(&self, keys: &str) -> Arc<Client<Numbered>> {
        let config = parse(&format!("{ACME}{keys}")).unwrap();
        let dialect = Numbered {
            refreshes: AtomicUsize::new(0),
            confirmed: Mutex::default(),
            accepted: Mutex::default(),
            most: 1,
            hangs: Hangs::Never,
        };
        let connections = Connections::over(Arc::new(self.clone()));
        let metrics = Metrics::new().unwrap();
        Client::new("acme", &config.centers["acme"], dialect, connections, Clock::from_source(Noon), metrics)
    }
}

fn within(time: Duration) -> Context {
    Context::new("Method", String::new(), Instant::now() + time)
}

fn minute() -> Context {
    within(Duration::from_secs(60))
}

async fn read(client: &Arc<Client<Numbered>>) -> Result<Value> {
    client.call(&minute(), &Read).await
}

async fn write(client: &Arc<Client<Numbered>>) -> Result<Value> {
    client.call(&minute(), &Write { password: "of-the-body" }).await
}

fn reported(result: &Result<Value>) -> ErrorReason {
    result.as_ref().unwrap_err().reason()
}

fn metadata(error: Error, key: &str) -> String {
    use tonic_types::StatusExt as _;
    let info = error.into_status(&minute()).get_details_error_info().unwrap();
    info.metadata.get(key).cloned().unwrap_or_default()
}

const OK: Fate = Fate::Response(Duration::ZERO, 200, "1");
const BUSY: Fate = Fate::Response(Duration::ZERO, 503, "");
const PATIENT: &str = "breaker = { consecutive_failures = 1000000 }\n";
