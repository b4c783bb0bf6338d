//! Key-value buckets: the newest message of a subject is the value of a key.
//!
//! Names, subjects and headers are those of NATS' own key-value buckets, so that NATS' tools can read them.

use std::time::Duration;

use async_nats::{
    HeaderMap, HeaderValue, header,
    jetstream::{ErrorCode, message::StreamMessage},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::{Instant, sleep};

use super::connection::{Connection, Failure, REQUEST_TIMEOUT};

const OPERATION: &str = "KV-Operation";
const PURGE: &str = "PURGE";

/// How long the marker of a purged key is retained.
const PURGE_MARKER_TTL: Duration = Duration::from_secs(3600);
/// Most concurrent reads of a list.
const CONCURRENT_READS: usize = 16;

/// Pause before a retry while others write the same key.
const PAUSE: Duration = Duration::from_millis(10);

/// One bucket. Values are read from the leader of its stream, so that reads see every acknowledged write.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    connection: Connection,
    name: &'static str,
    stream: String,
}

/// The value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Increases with every change.
    pub(super) revision: u64,
    pub(super) value: Bytes,
}

// === impl Bucket ===

impl Bucket {
    pub(super) fn new(connection: Connection, name: &'static str) -> Self {
        Self { connection, name, stream: stream(name) }
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Entry>, Failure> {
        Ok(self.last(key).await?.and_then(into_entry))
    }

    /// The entries whose keys begin with this prefix, ordered by key.
    pub(super) async fn list(&self, prefix: &str) -> Result<Vec<(String, Bytes)>, Failure> {
        let above = prefix.rsplit_once('.').map_or(">".to_owned(), |(above, _)| format!("{above}.>"));
        let root = subject(self.name, "");
        let subjects = self.connection.subjects(&self.stream, &subject(self.name, &above)).await?;
        let mut keys: Vec<String> =
            subjects.iter().filter_map(|subject| subject.strip_prefix(&root)).map(str::to_owned).collect();
        keys.retain(|key| key.starts_with(prefix));
        keys.sort_unstable();
        let values = stream::iter(keys).map(async |key| {
            let entry = self.get(&key).await?;
            Ok(entry.map(|entry| (key, entry.value)))
        });
        values.buffered(CONCURRENT_READS).try_filter_map(async |found| Ok(found)).try_collect().await
    }

    /// Creates a key. Returns the existing entry if the key exists.
    pub(super) async fn create(&self, key: &str, value: Bytes) -> Result<Option<Entry>, Failure> {
        let mut revision = 0;
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        while Instant::now() < deadline {
            if self.update(key, value.clone(), revision).await? {
                return Ok(None);
            }
            revision = match self.last(key).await? {
                None => 0,
                Some(message) if is_removed(&message) => message.sequence,
                Some(message) => return Ok(into_entry(message)),
            };
            sleep(PAUSE).await;
        }
        Err(Failure::Contended)
    }

    /// Updates a key at this revision. `false` when it has another one.
    pub(super) async fn update(&self, key: &str, value: Bytes, revision: u64) -> Result<bool, Failure> {
        self.publish_at_revision(key, HeaderMap::new(), value, revision).await
    }

    pub(super) async fn put(&self, key: &str, value: Bytes) -> Result<(), Failure> {
        self.connection.publish(subject(self.name, key), HeaderMap::new(), value).await.map(drop)
    }

    pub(super) async fn remove(&self, key: &str) -> Result<(), Failure> {
        self.connection.publish(subject(self.name, key), purge_headers(), Bytes::new()).await.map(drop)
    }

    /// Removes a key at this revision. `false` when it has another one.
    pub(super) async fn remove_at(&self, key: &str, revision: u64) -> Result<bool, Failure> {
        self.publish_at_revision(key, purge_headers(), Bytes::new(), revision).await
    }

    async fn publish_at_revision(
        &self,
        key: &str,
        mut headers: HeaderMap,
        value: Bytes,
        revision: u64,
    ) -> Result<bool, Failure> {
        headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, HeaderValue::from(revision));
        match self.connection.publish(subject(self.name, key), headers, value).await {
            Ok(_) => Ok(true),
            Err(failure) if is_conflict(failure) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn last(&self, key: &str) -> Result<Option<StreamMessage>, Failure> {
        self.connection.last(&self.stream, &subject(self.name, key)).await
    }
}

/// The name of a bucket's stream.
pub(super) fn stream(bucket: &str) -> String {
    format!("KV_{bucket}")
}

/// The subject of a key, or of several.
pub(super) fn subject(bucket: &str, key: &str) -> String {
    format!("$KV.{bucket}.{key}")
}

/// Whether another message was written in between: committed, or still being replicated.
pub(super) fn is_conflict(failure: Failure) -> bool {
    let Failure::Rejected(code) = failure else { return false };
    matches!(code, ErrorCode::STREAM_WRONG_LAST_SEQUENCE | ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT)
}

/// The headers of a message that purges its key.
fn purge_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(OPERATION, PURGE);
    headers.insert(header::NATS_ROLLUP, "sub");
    headers.insert(header::NATS_MESSAGE_TTL, HeaderValue::from(PURGE_MARKER_TTL.as_secs()));
    headers
}

fn is_removed(message: &StreamMessage) -> bool {
    message.headers.get(OPERATION).is_some_and(|operation| operation.as_str() != "PUT")
}

fn into_entry(message: StreamMessage) -> Option<Entry> {
    (!is_removed(&message)).then_some(Entry { revision: message.sequence, value: message.payload })
}
