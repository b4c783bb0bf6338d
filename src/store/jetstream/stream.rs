//! Streams as the configuration wants them: made, or changed where they differ.

use std::time::Duration;

use async_nats::jetstream::{
    self, Context, ErrorCode,
    context::{CreateStreamErrorKind, GetStreamError, GetStreamErrorKind, RequestError, RequestErrorKind},
    stream::{Config, Info},
};
use tokio::time::{Instant, sleep};

use super::{Cause, SUBJECTS, bucket, idempotency as request_ids, kv, log};
use crate::{config, store::idempotency};

/// Shortest ages and windows that JetStream takes.
const SHORTEST: Duration = Duration::from_millis(100);

/// How long a call's answer stays: a little longer than it is good for, as gateways' clocks differ.
const REPEATS_KEPT_FOR: Duration = idempotency::KEPT_FOR.saturating_add(Duration::from_secs(3600));

/// How long servers may take until they are ready, and how often it is looked whether they are.
const START: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);

/// The stream of a center's events.
pub(super) fn of_events(center: &str, replicas: usize, events: &config::Events) -> Config {
    let age = events.retention.max(SHORTEST);
    Config {
        name: log::stream(center),
        subjects: vec![format!("{SUBJECTS}.{center}.>")],
        max_age: age,
        max_bytes: i64::try_from(events.retention_size).unwrap_or(i64::MAX),
        duplicate_window: events.duplicate_window.clamp(SHORTEST, age),
        num_replicas: replicas,
        ..Config::default()
    }
}

/// The stream of a key-value bucket, which other tools of NATS know by this name and these subjects.
///
/// Values are read from the server that leads the stream only: a copy may be behind.
fn of_bucket(name: &str, replicas: usize) -> Config {
    Config {
        name: bucket::stream(name),
        subjects: vec![bucket::subject(name, ">")],
        max_messages_per_subject: 1,
        num_replicas: replicas,
        allow_rollup: true,
        allow_message_ttl: true,
        ..Config::default()
    }
}

/// The bucket of facts.
pub(super) fn of_state(replicas: usize) -> Config {
    of_bucket(kv::BUCKET, replicas)
}

/// The bucket of calls and their answers.
pub(super) fn of_repeats(replicas: usize) -> Config {
    let bucket = of_bucket(request_ids::BUCKET, replicas);
    Config { max_age: REPEATS_KEPT_FOR, ..bucket }
}

/// Makes a stream, or changes it where it differs. Servers that have just started are waited for.
pub(super) async fn ensure(context: &Context, wanted: &Config) -> Result<(), Cause> {
    let deadline = Instant::now() + START;
    loop {
        match try_to_ensure(context, wanted).await {
            Err(Cause::Stream { may_pass: true, .. }) if Instant::now() < deadline => sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
}

async fn try_to_ensure(context: &Context, wanted: &Config) -> Result<(), Cause> {
    let stream = match context.get_stream(&wanted.name).await {
        Ok(stream) => stream,
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                return context.create_stream(wanted).await.map(drop).map_err(|error| refused(wanted, &error.kind()));
            }
            GetStreamErrorKind::JetStream(error) => return Err(told(wanted, &error)),
            _ => return Err(unanswered(wanted, &error)),
        },
    };
    let Info { config: known, cluster, .. } = stream.cached_info();
    // A server alone would take what it cannot do.
    let is_alone = cluster.as_ref().is_none_or(|cluster| cluster.name.is_none());
    if wanted.num_replicas > 1 && is_alone {
        return Err(Cause::Alone);
    }
    let changed = adopted(known, wanted);
    if changed == *known {
        return Ok(());
    }
    context.update_stream(&changed).await.map(drop).map_err(|error| refused(wanted, &error.kind()))
}

/// What is there with what is wanted in place of it. What the configuration does not speak of (placement, compression)
/// is the operator's and stays.
fn adopted(known: &Config, wanted: &Config) -> Config {
    let or = |wanted, known| if wanted == 0 { known } else { wanted };
    Config {
        subjects: wanted.subjects.clone(),
        max_age: wanted.max_age,
        max_bytes: or(wanted.max_bytes, known.max_bytes),
        max_messages_per_subject: or(wanted.max_messages_per_subject, known.max_messages_per_subject),
        duplicate_window: Some(wanted.duplicate_window).filter(|it| !it.is_zero()).unwrap_or(known.duplicate_window),
        num_replicas: wanted.num_replicas,
        storage: wanted.storage,
        discard: wanted.discard,
        allow_rollup: wanted.allow_rollup,
        allow_message_ttl: wanted.allow_message_ttl,
        ..known.clone()
    }
}

fn refused(wanted: &Config, kind: &CreateStreamErrorKind) -> Cause {
    match kind {
        CreateStreamErrorKind::JetStream(error) => told(wanted, error),
        CreateStreamErrorKind::JetStreamUnavailable => Cause::NoJetStream,
        other => failed(wanted, other.to_string(), *other == CreateStreamErrorKind::TimedOut),
    }
}

/// JetStream's own words: they are about the stream's configuration.
fn told(wanted: &Config, error: &jetstream::Error) -> Cause {
    let may_pass = match error.error_code() {
        ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => return Cause::NoJetStream,
        ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED => return Cause::Alone,
        // No leader, or not all servers yet; or another gateway makes it right now.
        ErrorCode::CLUSTER_NOT_AVAILABLE | ErrorCode::CLUSTER_NO_PEERS | ErrorCode::STREAM_NAME_EXIST => true,
        _ => false,
    };
    failed(wanted, error.to_string(), may_pass)
}

/// What a question ended with that JetStream did not answer.
fn unanswered(wanted: &Config, error: &GetStreamError) -> Cause {
    let cause = std::error::Error::source(error).and_then(|source| source.downcast_ref::<RequestError>());
    match cause.map(RequestError::kind) {
        Some(RequestErrorKind::NoResponders) => Cause::NoJetStream,
        _ => failed(wanted, "no answer".to_owned(), true),
    }
}

fn failed(wanted: &Config, refusal: String, may_pass: bool) -> Cause {
    Cause::Stream { name: wanted.name.clone(), refusal, may_pass }
}
