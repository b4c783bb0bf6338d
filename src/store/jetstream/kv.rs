//! Key-value entries in a bucket that all gateways share.

use async_trait::async_trait;

use super::JetStream;
use crate::{error::Result, store::kv::KeyValueStore};

/// The bucket's name.
pub(super) const BUCKET: &str = "switchboard_state";

#[async_trait]
impl KeyValueStore for JetStream {
    async fn list(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let entries = self.0.state.list(prefix).await?;
        Ok(entries.into_iter().map(|(key, value)| (key, value.into())).collect())
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.0.state.get(key).await?.map(|entry| entry.value.into()))
    }

    async fn create(&self, key: &str, value: Vec<u8>) -> Result<Vec<u8>> {
        let existing = self.0.state.create(key, value.clone().into()).await?;
        Ok(existing.map_or(value, |entry| entry.value.into()))
    }

    async fn put(&self, key: &str, value: Vec<u8>) -> Result<()> {
        Ok(self.0.state.put(key, value.into()).await?)
    }

    async fn remove(&self, key: &str) -> Result<()> {
        Ok(self.0.state.remove(key).await?)
    }
}
