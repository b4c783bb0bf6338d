//! Redaction: what must not leave the gateway in a message, a payload or a log.
//!
//! | module | what it redacts |
//! |---|---|
//! | `names` | fields, by their names |
//! | `payload` | what a vendor posts: known secrets, callback addresses, and what follows a secret's name |
//! | `vendor_text` | a vendor's own words in an error: secrets, tokens and numbers |

mod names;
mod payload;
mod vendor_text;

pub use self::{
    names::is_secret,
    payload::Redactor,
    vendor_text::{secrets_in, vendor_code, vendor_text},
};

/// Stands for what was redacted.
const MASK: &str = "***";
