//! Durable key-value entries: subscriptions, issued callback addresses, generated keys.
//!
//! Gateways that share a store share its entries. A key consists of tokens of letters, digits and `- _ =`, joined by
//! `.`; the first token names the kind of entry.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;

/// Stores entries. A write is on disk when its method returns.
#[async_trait]
pub trait KeyValueStore: Send + Sync + fmt::Debug {
    /// The entries whose keys begin with this prefix, in the order of their keys.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    async fn list(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>>;

    /// The value of a key.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;

    /// Stores a value unless the key exists, and returns the stored value. Of concurrent calls, one wins.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    async fn create(&self, key: &str, value: Vec<u8>) -> Result<Vec<u8>>;

    /// Stores a value and replaces an existing one.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    async fn put(&self, key: &str, value: Vec<u8>) -> Result<()>;

    /// Removes a key, if it exists.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    async fn remove(&self, key: &str) -> Result<()>;
}
