//! Small facts that outlive the gateway: what was subscribed, which addresses were given out, keys that were made.
//!
//! Whoever shares the store knows the same facts. A key is made of letters, digits and `- _ =`, in parts that are joined
//! by `.`; the first part says whose fact it is.

use std::fmt;

use async_trait::async_trait;

use crate::error::Result;

/// Where facts are kept. What was written is on disk when a method returns.
#[async_trait]
pub trait KeyValueStore: Send + Sync + fmt::Debug {
    /// The facts whose keys begin with this prefix, in the order of their keys.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    async fn list(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>>;

    /// One fact.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;

    /// Keeps a fact unless there is one, and gives the one that is there then. Of several who ask at once, one wins.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    async fn create(&self, key: &str, value: Vec<u8>) -> Result<Vec<u8>>;

    /// Keeps a fact, in place of one that was there.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    async fn put(&self, key: &str, value: Vec<u8>) -> Result<()>;

    /// Forgets a fact. There need not be one.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    async fn remove(&self, key: &str) -> Result<()>;
}
