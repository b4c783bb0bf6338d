//! Secrets that a vendor issued. A file can replace one while the gateway runs.

use std::{
    fmt, iter,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    key::Kind,
    secret::{self, SECRET},
};

/// A vendor's secret. Cheap to clone: clones share it.
///
/// [`VendorSecret::is_replaced`] reads its file again. Every value that was read stays, because a vendor's text may
/// repeat a former one, and must not show it; there are as many as the file was rotated.
#[derive(Clone)]
pub struct VendorSecret(Arc<Inner>);

struct Inner {
    first: Version,
    /// `None`: the configuration or the environment has the secret, and it does not change.
    file: Option<PathBuf>,
}

struct Version {
    value: SecretString,
    next: OnceLock<Box<Version>>,
}

/// A vendor's secret of one line.
pub(super) fn vendor_secret() -> Kind<VendorSecret> {
    Kind::new(SECRET, |table, value| {
        let (document, text) = (table.document(), secret::read_line(table.document(), value)?);
        Ok(VendorSecret::new(text, secret::file_of(document, value)))
    })
}

// === impl VendorSecret ===

impl VendorSecret {
    fn new(value: String, file: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner { first: Version::new(value), file }))
    }

    /// The latest value.
    pub fn expose_secret(&self) -> &str {
        self.iter().last().unwrap_or_default()
    }

    /// The number of the latest value.
    pub fn version(&self) -> usize {
        self.iter().count() - 1
    }

    /// The value of this number.
    pub fn expose_version(&self, version: usize) -> &str {
        self.iter().nth(version).unwrap_or_default()
    }

    /// Every value so far, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.versions().map(|version| version.value.expose_secret())
    }

    /// Whether there is a later value than the one of this number, which the vendor refused. Reads the file again if
    /// there is none yet.
    pub async fn is_replaced(&self, refused: usize) -> bool {
        if self.version() > refused {
            return true;
        }
        let Some(file) = self.0.file.clone() else { return false };
        let read = tokio::task::spawn_blocking(move || secret::read_file_line(&file)).await;
        match read {
            Ok(Ok(value)) => self.push(value) > refused,
            Ok(Err(cause)) => {
                tracing::warn!(cause, "a secret that the vendor refuses could not be read again");
                false
            }
            Err(_) => false,
        }
    }

    /// Appends a value, unless it is the latest one already. Returns the number of the latest one.
    fn push(&self, value: String) -> usize {
        let mut value = Some(value);
        let mut number = 0;
        let mut version = &self.0.first;
        loop {
            let is_latest = version.next.get().is_none();
            if is_latest && value.as_deref() == Some(version.value.expose_secret()) {
                return number;
            }
            // Where another thread appends first, the loop compares with what that one appended.
            let next = version.next.get_or_init(|| Box::new(Version::new(value.take().unwrap_or_default())));
            number += 1;
            if value.is_none() {
                return number;
            }
            version = next;
        }
    }

    fn versions(&self) -> impl Iterator<Item = &Version> {
        iter::successors(Some(&self.0.first), |version| version.next.get().map(|next| &**next))
    }
}

impl From<&str> for VendorSecret {
    fn from(value: &str) -> Self {
        Self::new(value.to_owned(), None)
    }
}

impl fmt::Debug for VendorSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VendorSecret([REDACTED])")
    }
}

// === impl Version ===

impl Version {
    fn new(value: String) -> Self {
        Self { value: value.into(), next: OnceLock::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn a_file_is_read_again_for_the_value_that_was_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let secret = VendorSecret::new("first".to_owned(), Some(file.clone()));
        assert!(!secret.is_replaced(0).await, "there is no file");
        fs::write(&file, "first\n").unwrap();
        assert!(!secret.is_replaced(0).await, "the same value");
        fs::write(&file, "\u{feff}second\r\n").unwrap();
        assert!(secret.is_replaced(0).await);
        assert_eq!((secret.version(), secret.expose_secret(), secret.expose_version(0)), (1, "second", "first"));
        fs::write(&file, "not\0a secret").unwrap();
        assert!(secret.is_replaced(0).await, "the second one was not refused");
        assert!(!secret.clone().is_replaced(1).await);
        fs::write(&file, "first").unwrap();
        assert!(secret.is_replaced(1).await, "a former value is a new one");
        assert!(secret.iter().eq(["first", "second", "first"]));
    }

    #[tokio::test]
    async fn what_is_not_from_a_file_does_not_change() {
        let secret = VendorSecret::from("first");
        assert!(!secret.is_replaced(0).await);
        assert_eq!(secret.expose_secret(), "first");
        assert!(!format!("{secret:?}").contains("first"));
    }
}
