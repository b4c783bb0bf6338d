//! What is asked of NATS: every question has an end, and what went wrong has a name.

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

use super::answers::Answers;
use crate::error::{Error, ErrorReason};

/// How long an answer is waited for.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long servers that are not there are waited for. A lost connection is, before anything is asked: what is handed to
/// the client meanwhile would be sent whenever it is back, also when nobody wants it any more.
const GRACE: Duration = Duration::from_secs(2);
/// How often is looked whether servers are there again.
const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// A connection to NATS. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Link {
    client: Client,
    answers: Arc<Answers>,
    context: Context,
}

/// Why something could not be asked or was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no connection. Nothing was sent.
    Away,
    /// No answer came. It may have been done, or may be yet.
    Silent,
    /// No stream takes or holds it.
    Nobody,
    /// The servers have none that leads them. Nothing was done.
    Leaderless,
    /// It is larger than the server takes. Nothing was sent.
    TooLarge,
    /// JetStream refused it.
    Refused(ErrorCode),
    /// The answer is not what it should be.
    Unreadable,
    /// Others wrote to the same place again and again.
    Contended,
    /// The servers ended it before its end.
    Ended,
    /// It is not there any more, and will not be again.
    Gone,
}

/// What a stream holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Info {
    /// When it was made.
    pub(super) created: SystemTime,
    /// The time of the server that leads it.
    pub(super) now: SystemTime,
    /// Sequence of its oldest message; one more than the newest one's, or 0, when there is none.
    pub(super) first: u64,
    /// Sequence of its newest message.
    pub(super) last: u64,
}

/// What a server says of a stream, and who leads it. Without a leader every server answers, each as far as it knows.
#[derive(Deserialize)]
struct Led<T> {
    cluster: Option<Cluster>,
    #[serde(flatten)]
    said: T,
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
struct Found {
    message: RawMessage,
}

// === impl Link ===

impl Link {
    pub(super) async fn new(client: Client) -> Result<Self, SubscribeError> {
        let inbox = client.new_inbox();
        let answers = Answers::new(inbox.clone(), client.subscribe(format!("{inbox}.*")).await?);
        let context = ContextBuilder::new().timeout(REQUEST_TIMEOUT).build(client.clone());
        Ok(Self { client, answers: Arc::new(answers), context })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// How often a connection was made: what was asked on an earlier one may be forgotten.
    pub(super) fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// Waits a little for the connection where it is lost.
    pub(super) async fn connected(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + GRACE;
        while self.client.connection_state() != State::Connected {
            if Instant::now() >= deadline {
                return Err(Failure::Away);
            }
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Adds a message to the stream of its subject. It is on disk, as the servers are configured, when this returns.
    pub(super) async fn publish(
        &self,
        subject: String,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<PublishAck, Failure> {
        self.ask(subject, headers, body, opened).await
    }

    /// What a stream holds, as the server has it that leads the stream.
    pub(super) async fn info(&self, stream: &str) -> Result<Info, Failure> {
        let StreamInfo { created, ts, state } = self.stream(stream, json!({})).await?;
        Ok(Info { created: time(&created)?, now: time(&ts)?, first: state.first_seq, last: state.last_seq })
    }

    /// The newest message of a subject, as the server has it that leads the stream.
    pub(super) async fn last(&self, stream: &str, subject: &str) -> Result<Option<StreamMessage>, Failure> {
        self.message(stream, json!({ "last_by_subj": subject })).await
    }

    /// The oldest message that is not older than this, as the server has it that leads the stream.
    pub(super) async fn since(&self, stream: &str, time: SystemTime) -> Result<Option<StreamMessage>, Failure> {
        let time = Timestamp::from(time).to_string();
        self.message(stream, json!({ "next_by_subj": ">", "start_time": time })).await
    }

    /// Makes a consumer, and gives its name.
    pub(super) async fn consumer(&self, stream: &str, config: pull::Config) -> Result<String, Failure> {
        #[derive(Deserialize)]
        struct Made {
            name: String,
        }
        let question = json!({ "stream_name": stream, "config": config.into_consumer_config() });
        let made: Made = self.api(&format!("CONSUMER.CREATE.{stream}"), question, opened).await?;
        Ok(made.name)
    }

    /// The subjects that match, with a message each at least.
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
            let question = json!({ "subjects_filter": filter, "offset": all.len() });
            let Page { total, state } = self.stream(stream, question).await?;
            let page = state.subjects.unwrap_or_default();
            let is_last = page.is_empty() || all.len() + page.len() >= total;
            all.extend(page.into_keys());
            if is_last {
                return Ok(all);
            }
        }
    }

    async fn stream<T: DeserializeOwned>(&self, stream: &str, question: Value) -> Result<T, Failure> {
        self.api(&format!("STREAM.INFO.{stream}"), question, |answer| match opened(answer)? {
            Led { cluster: Some(Cluster { leader: None }), .. } => Err(Failure::Leaderless),
            Led { said, .. } => Ok(said),
        })
        .await
    }

    async fn message(&self, stream: &str, question: Value) -> Result<Option<StreamMessage>, Failure> {
        match self.api(&format!("STREAM.MSG.GET.{stream}"), question, opened).await {
            Ok(Found { message }) => StreamMessage::try_from(message).map(Some).map_err(|_| Failure::Unreadable),
            Err(Failure::Refused(ErrorCode::NO_MESSAGE_FOUND)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn api<T>(
        &self,
        what: &str,
        question: Value,
        read: impl Fn(&Message) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.ask(format!("$JS.API.{what}"), HeaderMap::new(), question.to_string().into(), read).await
    }

    /// Asks until somebody is there who answers: servers that elect a leader have none for a moment.
    async fn ask<T>(
        &self,
        subject: String,
        headers: HeaderMap,
        body: Bytes,
        read: impl Fn(&Message) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.connected().await?;
        let deadline = Instant::now() + GRACE;
        loop {
            let answer = self.ask_once(subject.clone(), headers.clone(), body.clone()).await;
            match answer.and_then(|message| read(&message)) {
                Err(Failure::Nobody | Failure::Leaderless) if Instant::now() < deadline => sleep(LOOK_AGAIN).await,
                outcome => return outcome,
            }
        }
    }

    async fn ask_once(&self, subject: String, headers: HeaderMap, body: Bytes) -> Result<Message, Failure> {
        let mut place = self.answers.place();
        let asking = async {
            let asked = self.client.publish_with_reply_and_headers(subject, place.reply(), headers, body).await;
            asked.map_err(|error| match error.kind() {
                PublishErrorKind::MaxPayloadExceeded => Failure::TooLarge,
                PublishErrorKind::InvalidSubject => Failure::Unreadable,
                PublishErrorKind::Send => Failure::Away,
            })?;
            place.answer().await.ok_or(Failure::Silent)
        };
        let answer = timeout(REQUEST_TIMEOUT, asking).await.map_err(|_| Failure::Silent)??;
        if answer.status == Some(StatusCode::NO_RESPONDERS) { Err(Failure::Nobody) } else { Ok(answer) }
    }
}

// === impl Failure ===

impl Failure {
    /// For whoever reads the logs.
    fn cause(self) -> &'static str {
        match self {
            Self::Away => "not connected",
            Self::Silent => "no answer",
            Self::Nobody => "no stream answers",
            Self::Leaderless => "no server leads",
            Self::TooLarge => "larger than max_payload",
            Self::Refused(_) => "refused",
            Self::Unreadable => "not of the expected shape",
            Self::Contended => "written concurrently",
            Self::Ended => "closed by the servers",
            Self::Gone => "not there any more",
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let code = if let Failure::Refused(code) = failure { code.0 } else { 0 };
        tracing::error!(cause = failure.cause(), code, "NATS failed");
        Self::new(ErrorReason::StorageUnavailable, "the gateway's storage is unavailable")
    }
}

/// JetStream's answer.
fn opened<T: DeserializeOwned>(message: &Message) -> Result<T, Failure> {
    match serde_json::from_slice(&message.payload) {
        Ok(Response::Ok(answer)) => Ok(answer),
        Ok(Response::Err { error }) => Err(refused(error.error_code())),
        Err(_) => Err(Failure::Unreadable),
    }
}

fn refused(code: ErrorCode) -> Failure {
    match code {
        // What is published is never answered so.
        ErrorCode::CLUSTER_NOT_AVAILABLE => Failure::Leaderless,
        code => Failure::Refused(code),
    }
}

/// A time as JetStream writes it (RFC 3339).
fn time(text: &str) -> Result<SystemTime, Failure> {
    let time: Timestamp = text.parse().map_err(|_| Failure::Unreadable)?;
    SystemTime::try_from(time).map_err(|_| Failure::Unreadable)
}
