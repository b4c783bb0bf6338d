//! The caller's status of an error, which is small whatever the error repeats.

use std::{borrow::Cow, collections::HashMap};

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{DOMAIN, MAX_VIOLATIONS, Parts, code, truncate};
use crate::context::Context;

/// Longest texts of a status: its message, the path of a field, and any other text.
const MAX_MESSAGE_BYTES: usize = 512;
const MAX_FIELD_BYTES: usize = 128;
const MAX_TEXT_BYTES: usize = 256;
/// Largest status in the headers of a response, where clients accept 8 KiB. A larger one reaches its caller without
/// details.
const MAX_STATUS_BYTES: usize = 4000;
/// A text that is cut for a smaller status keeps this many bytes.
const MIN_TEXT_BYTES: usize = 16;

// === impl Parts ===

impl Parts {
    /// The status of less than 4 KiB.
    pub(super) fn into_status(mut self, cx: &Context) -> Status {
        self.bound();
        loop {
            let status = self.status(cx);
            if header_bytes(&status) <= MAX_STATUS_BYTES || !self.shrink() {
                return status;
            }
        }
    }

    fn status(&self, cx: &Context) -> Status {
        let mut metadata: HashMap<String, String> = HashMap::with_capacity(10);
        metadata.insert("method".into(), cx.method().into());
        metadata.insert("traceId".into(), cx.trace_id().into());
        if let Some(center) = cx.center() {
            metadata.insert("center".into(), center.id.clone());
            metadata.insert("vendor".into(), center.vendor.into());
        }
        if let Some(vendor) = &self.vendor {
            if !vendor.operation.is_empty() {
                metadata.insert("vendorOperation".into(), vendor.operation.into());
            }
            if !vendor.code.is_empty() {
                metadata.insert("vendorCode".into(), vendor.code.clone());
            }
            if !vendor.message.is_empty() {
                metadata.insert("vendorMessage".into(), vendor.message.clone());
            }
            if let Some(status) = vendor.http_status {
                metadata.insert("vendorHttpStatus".into(), status.to_string());
            }
            metadata.insert("sent".into(), cx.may_have_been_sent().to_string());
        }
        metadata.extend(self.metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));

        let mut details = ErrorDetails::new();
        details.set_error_info(self.reason.as_str_name(), DOMAIN, metadata);
        for violation in &self.violations {
            details.add_bad_request_violation(violation.field.as_str(), violation.description.as_ref());
        }
        if let Some(resource) = &self.resource {
            details.set_resource_info(resource.kind, resource.name.as_str(), "", self.message.as_ref());
        }
        if self.retry_after.is_some() {
            details.set_retry_info(self.retry_after);
        }
        if let Some(limit) = self.quota {
            let subject = cx.center().map_or_else(String::new, |center| format!("centers/{}", center.id));
            details.add_quota_failure_violation(subject, limit);
        }
        Status::with_error_details(code(self.reason, self.deadline_passed), self.message.as_ref(), details)
    }

    /// Bounds every part on its own.
    fn bound(&mut self) {
        self.violations.truncate(MAX_VIOLATIONS);
        for violation in &mut self.violations {
            cut(&mut violation.field, MAX_FIELD_BYTES);
        }
        if self.message.len() > MAX_MESSAGE_BYTES {
            cut(self.message.to_mut(), MAX_MESSAGE_BYTES);
        }
        for text in self.texts() {
            cut(text, MAX_TEXT_BYTES);
        }
    }

    /// Makes the status smaller: without its last violation, or with its longest text cut in half. `false` when
    /// nothing is left to cut.
    fn shrink(&mut self) -> bool {
        if self.violations.len() > 1 {
            self.violations.pop();
            return true;
        }
        let message_bytes = self.message.len();
        let text = match self.texts().into_iter().max_by_key(|text| text.len()) {
            Some(text) if text.len() > message_bytes => text,
            _ => self.message.to_mut(),
        };
        let bytes = text.len() / 2;
        if bytes < MIN_TEXT_BYTES {
            return false;
        }
        cut(text, bytes);
        true
    }

    /// The texts besides the message.
    fn texts(&mut self) -> Vec<&mut String> {
        let violations =
            self.violations.iter_mut().flat_map(|violation| [&mut violation.field, violation.description.to_mut()]);
        let resource = self.resource.iter_mut().map(|resource| &mut resource.name);
        let vendor = self.vendor.iter_mut().flat_map(|vendor| [&mut vendor.code, &mut vendor.message]);
        let metadata = self.metadata.iter_mut().map(|(_, value)| value);
        violations.chain(resource).chain(vendor).chain(metadata).collect()
    }
}

/// Truncates text and marks that it did.
fn cut(text: &mut String, bytes: usize) {
    if text.len() > bytes {
        truncate(text, bytes - '\u{2026}'.len_utf8());
        text.push('\u{2026}');
    }
}

/// The path of a field as messages show it.
pub(super) fn shown(field: &str) -> Cow<'_, str> {
    if field.len() <= MAX_FIELD_BYTES {
        return Cow::Borrowed(field);
    }
    let mut field = field.to_owned();
    cut(&mut field, MAX_FIELD_BYTES);
    Cow::Owned(field)
}

/// The size of a status in headers: its message is percent-encoded, its details are in base64.
fn header_bytes(status: &Status) -> usize {
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'%';
    let message: usize = status.message().bytes().map(|byte| if is_plain(byte) { 1 } else { 3 }).sum();
    message + status.details().len().div_ceil(3) * 4
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::error::{Error, Vendor, Violation};

    #[test]
    fn a_status_is_small_whatever_it_repeats() {
        let cx = Context::new("CreateAgent", String::new(), Instant::now());
        for text in ["k".repeat(5000), "\u{5ea7}\u{5e2d}".repeat(3000), "%\n".repeat(900)] {
            let violation = |index| Violation::new(format!("agent.vendor_data.{index}{text}"), text.clone());
            for violations in [vec![violation(0)], (0..100).map(violation).collect()] {
                let vendor = Vendor {
                    operation: "POST /agents",
                    code: text.clone(),
                    message: text.clone(),
                    http_status: Some(400),
                };
                let error = Error::invalid(violations).about("Agent", &text).from_vendor(vendor).with("cause", &text);
                let status = error.into_status(&cx);
                assert!(header_bytes(&status) <= MAX_STATUS_BYTES, "{}", header_bytes(&status));
                let details = status.get_error_details();
                assert_eq!(details.error_info().unwrap().reason, "FIELD_INVALID");
                let first = &details.bad_request().unwrap().field_violations[0];
                assert!(first.field.starts_with("agent.") && first.field.ends_with('\u{2026}'), "{}", first.field);
            }
        }
    }
}
