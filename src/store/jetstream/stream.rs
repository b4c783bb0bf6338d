//! Creates the configured streams, and updates those that differ.

use std::time::Duration;

use async_nats::jetstream::{
    self, Context, ErrorCode,
    context::{CreateStreamErrorKind, GetStreamError, GetStreamErrorKind, RequestError, RequestErrorKind},
    stream::{Config, Info},
};
use tokio::time::{Instant, sleep};

use super::{Cause, SUBJECTS, bucket, idempotency as request_ids, kv, log};
use crate::{config, store::idempotency};

/// Shortest age and duplicate window that JetStream accepts.
const MIN_AGE: Duration = Duration::from_millis(100);

/// Retention of the bucket of calls: longer than a response is valid, because the gateways' clocks differ.
const REQUEST_ID_RETENTION: Duration = idempotency::RETENTION.saturating_add(Duration::from_secs(3600));

/// How long to wait until the servers are ready, and the pause between attempts.
const START_TIMEOUT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);

/// The stream of a center's events.
pub(super) fn events_stream(center: &str, replicas: usize, events: &config::Events) -> Config {
    let age = events.retention.max(MIN_AGE);
    Config {
        name: log::stream(center),
        subjects: vec![format!("{SUBJECTS}.{center}.>")],
        max_age: age,
        max_bytes: i64::try_from(events.retention_size).unwrap_or(i64::MAX),
        duplicate_window: events.duplicate_window.clamp(MIN_AGE, age),
        num_replicas: replicas,
        ..Config::default()
    }
}

/// The stream of a key-value bucket, with the name and the subjects of NATS' own buckets.
///
/// Direct gets stay disabled: values are read from the leader only, because a replica may lag.
fn bucket_stream(name: &str, replicas: usize) -> Config {
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

/// The bucket of key-value entries.
pub(super) fn state_stream(replicas: usize) -> Config {
    bucket_stream(kv::BUCKET, replicas)
}

/// The bucket of calls with a `request_id`.
pub(super) fn request_ids_stream(replicas: usize) -> Config {
    let bucket = bucket_stream(request_ids::BUCKET, replicas);
    Config { max_age: REQUEST_ID_RETENTION, ..bucket }
}

/// Creates a stream, or updates it if it differs. Waits for servers that have just started.
pub(super) async fn ensure(context: &Context, wanted: &Config) -> Result<(), Cause> {
    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        match try_to_ensure(context, wanted).await {
            Err(Cause::Stream { is_transient: true, .. }) if Instant::now() < deadline => sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
}

/// What became of a stream that may have been lost.
pub(super) enum Restored {
    /// It exists, unchanged.
    Present,
    /// It did not exist, and was created.
    Created,
    /// It does not exist and cannot be created.
    Missing(Cause),
}

/// Creates a stream if it does not exist. An existing one stays as it is.
///
/// # Errors
/// When the servers do not say whether the stream exists.
pub(super) async fn restore(context: &Context, wanted: &Config) -> Result<Restored, Cause> {
    let Err(error) = context.get_stream(&wanted.name).await else { return Ok(Restored::Present) };
    match error.kind() {
        GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
            match context.create_stream(wanted).await {
                Ok(_) => Ok(Restored::Created),
                // Another gateway was first.
                Err(error) if is_taken(&error.kind()) => Ok(Restored::Present),
                Err(error) => Ok(Restored::Missing(rejected(wanted, &error.kind()))),
            }
        }
        GetStreamErrorKind::JetStream(error) => Err(from_jetstream(wanted, &error)),
        _ => Err(no_response(wanted, &error)),
    }
}

fn is_taken(kind: &CreateStreamErrorKind) -> bool {
    matches!(kind, CreateStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NAME_EXIST)
}

async fn try_to_ensure(context: &Context, wanted: &Config) -> Result<(), Cause> {
    let stream = match context.get_stream(&wanted.name).await {
        Ok(stream) => stream,
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                return context.create_stream(wanted).await.map(drop).map_err(|error| rejected(wanted, &error.kind()));
            }
            GetStreamErrorKind::JetStream(error) => return Err(from_jetstream(wanted, &error)),
            _ => return Err(no_response(wanted, &error)),
        },
    };
    let Info { config: existing, cluster, .. } = stream.cached_info();
    // A single server would accept replicas that it cannot provide.
    let is_standalone = cluster.as_ref().is_none_or(|cluster| cluster.name.is_none());
    if wanted.num_replicas > 1 && is_standalone {
        return Err(Cause::NotClustered);
    }
    let changed = merged(existing, wanted);
    if changed == *existing {
        return Ok(());
    }
    context.update_stream(&changed).await.map(drop).map_err(|error| rejected(wanted, &error.kind()))
}

/// The existing configuration with the wanted values. Settings that the gateway does not configure (placement,
/// compression) belong to the operator and stay.
fn merged(existing: &Config, wanted: &Config) -> Config {
    let or = |wanted, existing| if wanted == 0 { existing } else { wanted };
    Config {
        subjects: wanted.subjects.clone(),
        max_age: wanted.max_age,
        max_bytes: or(wanted.max_bytes, existing.max_bytes),
        max_messages_per_subject: or(wanted.max_messages_per_subject, existing.max_messages_per_subject),
        duplicate_window: Some(wanted.duplicate_window).filter(|it| !it.is_zero()).unwrap_or(existing.duplicate_window),
        num_replicas: wanted.num_replicas,
        storage: wanted.storage,
        discard: wanted.discard,
        allow_rollup: wanted.allow_rollup,
        allow_message_ttl: wanted.allow_message_ttl,
        ..existing.clone()
    }
}

fn rejected(wanted: &Config, kind: &CreateStreamErrorKind) -> Cause {
    match kind {
        CreateStreamErrorKind::JetStream(error) => from_jetstream(wanted, error),
        CreateStreamErrorKind::JetStreamUnavailable => Cause::NoJetStream,
        other => failed(wanted, other.to_string(), *other == CreateStreamErrorKind::TimedOut),
    }
}

/// JetStream's error, with its own text, which is about the stream's configuration.
fn from_jetstream(wanted: &Config, error: &jetstream::Error) -> Cause {
    let is_transient = match error.error_code() {
        ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => return Cause::NoJetStream,
        ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED => return Cause::NotClustered,
        // No leader, not all servers yet, or another gateway is creating the stream.
        ErrorCode::CLUSTER_NOT_AVAILABLE | ErrorCode::CLUSTER_NO_PEERS | ErrorCode::STREAM_NAME_EXIST => true,
        _ => false,
    };
    failed(wanted, error.to_string(), is_transient)
}

/// A request without a response from JetStream.
fn no_response(wanted: &Config, error: &GetStreamError) -> Cause {
    let cause = std::error::Error::source(error).and_then(|source| source.downcast_ref::<RequestError>());
    match cause.map(RequestError::kind) {
        Some(RequestErrorKind::NoResponders) => Cause::NoJetStream,
        _ => failed(wanted, "no response".to_owned(), true),
    }
}

fn failed(wanted: &Config, error: String, is_transient: bool) -> Cause {
    Cause::Stream { name: wanted.name.clone(), error, is_transient }
}
