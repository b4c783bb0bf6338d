//! Redaction of secrets and numbers in messages, payloads and logs.
//!
//! | module | it redacts |
//! |---|---|
//! | `names` | fields, by their names |
//! | `payload` | the bodies of callbacks: known secrets, callback addresses, and values behind a secret's name |
//! | `vendor_text` | a vendor's text in an error: secrets, tokens and numbers |

mod names;
mod payload;
mod vendor_text;

pub use self::{
    names::is_secret,
    payload::Redactor,
    vendor_text::{secrets_in, vendor_code, vendor_text},
};

/// Replaces redacted text.
const MASK: &str = "***";
