//! Requests to NATS: each one has a timeout, and each failure has a name.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use async_nats::{
    Client, HeaderMap, Message, PublishErrorKind, StatusCode, SubscribeError,
    connection::State,
    jetstream::{
        Context, ContextBuilder, ErrorCode,
        consumer::{IntoConsumerConfig as _, pull},
        message::StreamMessage,
        publish::PublishAck,
        response::Response,
        stream::RawMessage,
    },
};
use bytes::Bytes;
use prost_types::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::{presence::Presence, replies::Replies};
use crate::{
    error::{Error, ErrorReason},
    telemetry,
};

/// Timeout of a request.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for a connection, a responder or a leader. A request waits for the connection before it is handed
/// to the client: the client would send it after a reconnect, even if its caller has cancelled.
const UNAVAILABLE_TIMEOUT: Duration = Duration::from_secs(2);
/// The interval of these checks.
const CHECK_INTERVAL: Duration = Duration::from_millis(25);

/// The connection to NATS. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    client: Client,
    replies: Arc<Replies>,
    context: Context,
    presence: Presence,
}

/// Why a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no connection. Nothing was sent.
    NotConnected,
    /// No reply arrived in time. The request may have been carried out, or may be later.
    Timeout,
    /// No stream listens on the subject.
    NoResponders,
    /// The cluster has no leader. The request was not carried out.
    NoLeader,
    /// The message exceeds `max_payload`. Nothing was sent.
    TooLarge,
    /// JetStream rejected the request.
    Rejected(ErrorCode),
    /// The reply is malformed.
    Malformed,
    /// Concurrent writes of the same key outlasted the retries.
    Contended,
    /// The servers closed the pull request early.
    Closed,
    /// The stream or the entry no longer exists; a retry does not help.
    Gone,
}

/// The state of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Info {
    /// When it was created.
    pub(super) created: SystemTime,
    /// The time of its leader.
    pub(super) now: SystemTime,
    /// Sequence of its oldest message. In an empty stream: one more than `last`, or 0.
    pub(super) first: u64,
    /// Sequence of its newest message.
    pub(super) last: u64,
}

/// A server's response about a stream, with the stream's leader. Without a leader every server responds, and its state
/// may be stale.
#[derive(Deserialize)]
struct WithCluster<T> {
    cluster: Option<Cluster>,
    #[serde(flatten)]
    response: T,
}

#[derive(Deserialize)]
struct Cluster {
    leader: Option<String>,
}

#[derive(Deserialize)]
struct StreamInfo {
    created: String,
    ts: String,
    state: StreamState,
}

#[derive(Deserialize)]
struct StreamState {
    first_seq: u64,
    last_seq: u64,
}

#[derive(Deserialize)]
struct MessageResponse {
    message: RawMessage,
}

// === impl Connection ===

impl Connection {
    pub(super) async fn new(client: Client) -> Result<Self, SubscribeError> {
        let inbox = client.new_inbox();
        let replies = Replies::new(inbox.clone(), client.subscribe(format!("{inbox}.*")).await?);
        let context = ContextBuilder::new().timeout(REQUEST_TIMEOUT).build(client.clone());
        Ok(Self { client, replies: Arc::new(replies), context, presence: Presence::default() })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// Whether the streams are there.
    pub(super) fn presence(&self) -> Presence {
        self.presence.clone()
    }

    /// How many times the client has connected: the servers forget the pull requests of an earlier connection.
    pub(super) fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// Waits for the connection for up to [`UNAVAILABLE_TIMEOUT`].
    pub(super) async fn connected(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + UNAVAILABLE_TIMEOUT;
        while self.client.connection_state() != State::Connected {
            if Instant::now() >= deadline {
                return Err(Failure::NotConnected);
            }
            sleep(CHECK_INTERVAL).await;
        }
        Ok(())
    }

    /// Publishes a message to the stream of its subject. When this returns, the stream has stored it.
    pub(super) async fn publish(
        &self,
        subject: String,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<PublishAck, Failure> {
        self.request(subject, headers, body, parse).await
    }

    /// The state of a stream, from its leader.
    pub(super) async fn info(&self, stream: &str) -> Result<Info, Failure> {
        let StreamInfo { created, ts, state } = self.stream(stream, json!({})).await?;
        Ok(Info { created: time(&created)?, now: time(&ts)?, first: state.first_seq, last: state.last_seq })
    }

    /// The newest message of a subject, from the stream's leader.
    pub(super) async fn last(&self, stream: &str, subject: &str) -> Result<Option<StreamMessage>, Failure> {
        self.message(stream, json!({ "last_by_subj": subject })).await
    }

    /// The oldest message of this time or later, from the stream's leader.
    pub(super) async fn since(&self, stream: &str, time: SystemTime) -> Result<Option<StreamMessage>, Failure> {
        let time = Timestamp::from(time).to_string();
        self.message(stream, json!({ "next_by_subj": ">", "start_time": time })).await
    }

    /// Creates a consumer and returns its name.
    pub(super) async fn consumer(&self, stream: &str, config: pull::Config) -> Result<String, Failure> {
        #[derive(Deserialize)]
        struct Created {
            name: String,
        }
        let request = json!({ "stream_name": stream, "config": config.into_consumer_config() });
        let created: Created = self.api(&format!("CONSUMER.CREATE.{stream}"), request, parse).await?;
        Ok(created.name)
    }

    /// The matching subjects that have messages.
    pub(super) async fn subjects(&self, stream: &str, filter: &str) -> Result<Vec<String>, Failure> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            total: usize,
            state: Subjects,
        }
        #[derive(Deserialize)]
        struct Subjects {
            #[serde(default)]
            subjects: Option<std::collections::BTreeMap<String, u64>>,
        }
        let mut all: Vec<String> = Vec::new();
        loop {
            let request = json!({ "subjects_filter": filter, "offset": all.len() });
            let Page { total, state } = self.stream(stream, request).await?;
            let page = state.subjects.unwrap_or_default();
            let is_last = page.is_empty() || all.len() + page.len() >= total;
            all.extend(page.into_keys());
            if is_last {
                return Ok(all);
            }
        }
    }

    async fn stream<T: DeserializeOwned>(&self, stream: &str, request: Value) -> Result<T, Failure> {
        self.api(&format!("STREAM.INFO.{stream}"), request, |reply| match parse(reply)? {
            WithCluster { cluster: Some(Cluster { leader: None }), .. } => Err(Failure::NoLeader),
            WithCluster { response, .. } => Ok(response),
        })
        .await
    }

    async fn message(&self, stream: &str, request: Value) -> Result<Option<StreamMessage>, Failure> {
        match self.api(&format!("STREAM.MSG.GET.{stream}"), request, parse).await {
            Ok(MessageResponse { message }) => {
                StreamMessage::try_from(message).map(Some).map_err(|_| Failure::Malformed)
            }
            Err(Failure::Rejected(ErrorCode::NO_MESSAGE_FOUND)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn api<T>(
        &self,
        subject: &str,
        request: Value,
        parse: impl Fn(&Message) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.request(format!("$JS.API.{subject}"), HeaderMap::new(), request.to_string().into(), parse).await
    }

    /// Sends a request, and retries it while the cluster elects a leader, and while a lost stream is created again.
    async fn request<T>(
        &self,
        subject: String,
        headers: HeaderMap,
        body: Bytes,
        parse: impl Fn(&Message) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.connected().await?;
        let deadline = Instant::now() + UNAVAILABLE_TIMEOUT;
        loop {
            let reply = self.request_once(subject.clone(), headers.clone(), body.clone()).await;
            match reply.and_then(|message| parse(&message)) {
                Err(failure) if failure.is_unavailable() => {
                    if failure != Failure::NoLeader {
                        self.presence.suspect();
                    }
                    if Instant::now() >= deadline {
                        return Err(failure);
                    }
                    sleep(CHECK_INTERVAL).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn request_once(&self, subject: String, headers: HeaderMap, body: Bytes) -> Result<Message, Failure> {
        let mut pending = self.replies.register();
        let exchange = async {
            let sent = self.client.publish_with_reply_and_headers(subject, pending.subject(), headers, body).await;
            sent.map_err(|error| match error.kind() {
                PublishErrorKind::MaxPayloadExceeded => Failure::TooLarge,
                PublishErrorKind::InvalidSubject => Failure::Malformed,
                PublishErrorKind::Send => Failure::NotConnected,
            })?;
            pending.reply().await.ok_or(Failure::Timeout)
        };
        let reply = timeout(REQUEST_TIMEOUT, exchange).await.map_err(|_| Failure::Timeout)??;
        if reply.status == Some(StatusCode::NO_RESPONDERS) { Err(Failure::NoResponders) } else { Ok(reply) }
    }
}

// === impl Failure ===

impl Failure {
    /// Whether there is no leader or no stream, so that the request was not carried out.
    fn is_unavailable(self) -> bool {
        matches!(self, Self::NoResponders | Self::NoLeader | Self::Rejected(ErrorCode::STREAM_NOT_FOUND))
    }

    /// The `cause` in the log.
    pub(super) fn cause(self) -> &'static str {
        match self {
            Self::NotConnected => "not connected",
            Self::Timeout => "no response",
            Self::NoResponders => "no stream replies",
            Self::NoLeader => "no server leads",
            Self::TooLarge => "larger than max_payload",
            Self::Rejected(_) => "refused",
            Self::Malformed => "not of the expected shape",
            Self::Contended => "written concurrently",
            Self::Closed => "closed by the servers",
            Self::Gone => "not there any more",
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let code = if let Failure::Rejected(code) = failure { code.0 } else { 0 };
        telemetry::storage_failed();
        tracing::error!(cause = failure.cause(), code, "NATS failed");
        Self::new(ErrorReason::StorageUnavailable, "the gateway's storage is unavailable")
    }
}

/// Parses JetStream's response.
fn parse<T: DeserializeOwned>(message: &Message) -> Result<T, Failure> {
    match serde_json::from_slice(&message.payload) {
        Ok(Response::Ok(response)) => Ok(response),
        Ok(Response::Err { error }) => Err(rejected(error.error_code())),
        Err(_) => Err(Failure::Malformed),
    }
}

fn rejected(code: ErrorCode) -> Failure {
    match code {
        // A publish never gets this error.
        ErrorCode::CLUSTER_NOT_AVAILABLE => Failure::NoLeader,
        code => Failure::Rejected(code),
    }
}

/// A time as JetStream writes it (RFC 3339).
fn time(text: &str) -> Result<SystemTime, Failure> {
    let time: Timestamp = text.parse().map_err(|_| Failure::Malformed)?;
    SystemTime::try_from(time).map_err(|_| Failure::Malformed)
}
