//! Redaction of secrets and numbers in messages, payloads and logs.
//!
//! | module | it redacts |
//! |---|---|
//! | `names` | fields, by their names |
//! | `payload` | the bodies of callbacks: known secrets, callback addresses, and values behind a secret's name |
//! | `uri` | callback addresses of others: user information and query |
//! | `vendor_text` | a vendor's text in an error: secrets, tokens and numbers |

mod names;
mod payload;
mod uri;
mod vendor_text;

pub use self::{
    names::is_secret,
    payload::Redactor,
    uri::{is_masked_uri, uri},
    vendor_text::{secrets_in, vendor_code, vendor_text},
};

/// Replaces redacted text.
const MASK: &str = "***";
