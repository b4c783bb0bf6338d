//! Parse, don't validate: the fields of a request become typed values, and the error lists every violation.

use std::{borrow::Cow, collections::HashSet};

use prost_types::Duration;

use crate::{
    context::{Context, Rejected},
    error::{Error, ErrorReason, MAX_VIOLATIONS, Result, Violation},
    name::{ResourceName, is_center_id},
};

/// Collects the violations of one request.
///
/// A method that finds its field invalid records the violation and returns a default value. Nothing uses that value,
/// because [`Check::done`] then fails.
#[derive(Debug, Default)]
pub(crate) struct Check {
    invalid: Violations,
    unsupported: Violations,
    center: Option<String>,
    /// The fields that the contract rejected. They have no value that a vendor could reject.
    rejected: Vec<String>,
}

/// The first violations, and the number of all: a request can violate the contract a million times.
#[derive(Debug, Default)]
struct Violations {
    first: Vec<Violation>,
    total: usize,
}

// === impl Check ===

impl Check {
    /// No violations yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The check of a vendor, which adds to what the contract rejects in this call.
    pub(crate) fn of(cx: &Context) -> Self {
        let mut check = Self::default();
        let Some(Rejected { invalid, unsupported }) = cx.rejected() else { return check };
        for (field, expected) in invalid {
            check.invalid(field, expected.clone());
        }
        for (field, why) in unsupported {
            check.unsupported(field, why.clone());
        }
        check.rejected = invalid.iter().chain(unsupported).map(|(field, _)| field.clone()).collect();
        check
    }

    /// A required resource name.
    pub(crate) fn name<N: ResourceName>(&mut self, field: &str, value: &str) -> N {
        if value.is_empty() {
            self.invalid(field, "required");
            return N::default();
        }
        match N::parse(value) {
            Ok(name) => {
                self.same_center(field, name.center());
                name
            }
            Err(error) => {
                self.invalid(field, error.0);
                // Where it names a center, that center's vendor checks the rest of the request.
                let center = value.split('/').nth(1).filter(|center| is_center_id(center));
                center.map_or_else(N::default, N::in_center)
            }
        }
    }

    /// An optional resource name.
    pub(crate) fn optional_name<N: ResourceName>(&mut self, field: &str, value: &str) -> Option<N> {
        (!value.is_empty()).then(|| self.name(field, value))
    }

    /// A list of resource names, without duplicates.
    pub(crate) fn names<N: ResourceName + PartialEq>(
        &mut self,
        field: &str,
        values: &[String],
        (fewest, most): (usize, usize),
    ) -> Vec<N> {
        self.count(field, values.len(), (fewest, most));
        if values.len() > most {
            return Vec::new();
        }
        let mut seen = HashSet::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            if !seen.insert(value) {
                self.invalid(format!("{field}[{index}]"), "is a duplicate");
            }
        }
        values.iter().enumerate().map(|(index, value)| self.name(&format!("{field}[{index}]"), value)).collect()
    }

    /// A required message.
    pub(crate) fn message<M: Default>(&mut self, field: &str, value: Option<M>) -> M {
        value.unwrap_or_else(|| {
            self.invalid(field, "required");
            M::default()
        })
    }

    /// A required text.
    pub(crate) fn required(&mut self, field: &str, value: &str) {
        if value.is_empty() {
            self.invalid(field, "required");
        }
    }

    /// A text of at most this many characters.
    pub(crate) fn at_most(&mut self, field: &str, value: &str, characters: usize) {
        // A character has at least one byte, so a short text needs no counting.
        if value.len() > characters && value.chars().count() > characters {
            self.invalid(field, format!("at most {characters} characters"));
        }
    }

    /// An enum value that the contract defines, or unspecified.
    pub(crate) fn known<E: TryFrom<i32>>(&mut self, field: &str, value: i32) {
        if E::try_from(value).is_err() {
            self.invalid(field, "not a value of this enum");
        }
    }

    /// A required enum value: one that the contract defines, and not unspecified.
    pub(crate) fn chosen<E: TryFrom<i32>>(&mut self, field: &str, value: i32) {
        if value == 0 {
            self.invalid(field, "required");
        } else {
            self.known::<E>(field, value);
        }
    }

    /// A list of distinct enum values that the contract defines, without unspecified.
    pub(crate) fn each<E: TryFrom<i32>>(&mut self, field: &str, values: &[i32], (fewest, most): (usize, usize)) {
        self.count(field, values.len(), (fewest, most));
        if values.len() > most {
            return;
        }
        let mut seen = HashSet::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            if !seen.insert(value) {
                self.invalid(format!("{field}[{index}]"), "is a duplicate");
            } else if *value == 0 || E::try_from(*value).is_err() {
                self.invalid(format!("{field}[{index}]"), "not a value of this enum");
            }
        }
    }

    /// The ID of a resource to create: a valid last segment of its name.
    pub(crate) fn id<N: ResourceName>(&mut self, field: &str, id: &str) {
        if id.is_empty() {
            self.invalid(field, "required");
        } else if !N::is_id(id) {
            self.invalid(field, N::ID_PATTERN);
        }
    }

    /// An optional e-mail address.
    pub(crate) fn email(&mut self, field: &str, value: &str) {
        if !value.is_empty() && !is_email(value) {
            self.invalid(field, "a valid e-mail address");
        }
    }

    /// A page size.
    pub(crate) fn page_size(&mut self, value: i32) {
        if value < 0 {
            self.invalid("page_size", "not negative");
        }
    }

    /// A duration of whole seconds, not negative.
    pub(crate) fn whole_seconds(&mut self, field: &str, value: Option<&Duration>) {
        if let Some(Duration { seconds, nanos }) = value {
            if *seconds < 0 || *nanos < 0 {
                self.invalid(field, "not negative");
            } else if *nanos != 0 {
                self.invalid(field, "whole seconds");
            }
        }
    }

    /// The length of a list, within bounds.
    pub(crate) fn count(&mut self, field: &str, count: usize, (fewest, most): (usize, usize)) {
        if count == 0 && fewest > 0 {
            self.invalid(field, "required");
        } else if count < fewest || count > most {
            self.invalid(field, format!("{fewest} to {most} items"));
        }
    }

    /// The optional ID that makes a request idempotent.
    pub(crate) fn request_id(&mut self, value: &str) {
        match uuid::Uuid::try_parse(value) {
            _ if value.is_empty() => {}
            // What an unfilled field of a caller's own looks like: all such calls would be one.
            Ok(id) if id.is_nil() => self.invalid("request_id", "a UUID that is not the nil UUID"),
            Ok(_) => {}
            Err(_) => self.invalid("request_id", "a UUID"),
        }
    }

    /// Records a field that violates the contract. `expected` says what the field accepts, never what was sent.
    pub(crate) fn invalid(&mut self, field: impl Into<String>, expected: impl Into<Cow<'static, str>>) {
        let field = field.into();
        if !self.is_rejected(&field) {
            self.invalid.record(field, expected);
        }
    }

    /// Records a field that the center does not support.
    pub(crate) fn unsupported(&mut self, field: impl Into<String>, why: impl Into<Cow<'static, str>>) {
        let field = field.into();
        if !self.is_rejected(&field) {
            self.unsupported.record(field, why);
        }
    }

    /// Records an unsupported field when it is set.
    pub(crate) fn unsupported_if(&mut self, set: bool, field: &'static str, why: &'static str) {
        if set {
            self.unsupported(field, why);
        }
    }

    /// Ends the contract's check. The call goes on to the adapter, which adds its own violations and then fails:
    /// nothing is sent for it.
    ///
    /// # Errors
    /// As [`Check::done`], where the response has no room for more violations.
    pub(crate) fn hand_over(self, cx: &Context) -> Result<()> {
        let total = self.invalid.total + self.unsupported.total;
        if total >= MAX_VIOLATIONS {
            return self.done();
        }
        if total > 0 {
            let of = |violations: Violations| {
                violations.first.into_iter().map(|Violation { field, description }| (field, description)).collect()
            };
            cx.reject(Rejected { invalid: of(self.invalid), unsupported: of(self.unsupported) });
        }
        Ok(())
    }

    /// Whether nothing violates the contract so far.
    pub(crate) fn is_passed(&self) -> bool {
        self.invalid.total + self.unsupported.total == 0
    }

    /// Ends the check.
    ///
    /// # Errors
    /// `FIELD_INVALID` with the first violations and the number of all; `FIELD_UNSUPPORTED` when all violations are
    /// unsupported fields.
    pub(crate) fn done(self) -> Result<()> {
        let Self { invalid, unsupported, center: _, rejected: _ } = self;
        let total = invalid.total + unsupported.total;
        let reason = match (invalid.total, unsupported.total) {
            (0, 0) => return Ok(()),
            (0, _) => ErrorReason::FieldUnsupported,
            _ => ErrorReason::FieldInvalid,
        };
        let first = invalid.first.into_iter().chain(unsupported.first).take(MAX_VIOLATIONS).collect();
        Err(Error::of_fields(reason, first, total))
    }

    /// Whether the contract rejected this field, a part of it or what it is a part of.
    fn is_rejected(&self, field: &str) -> bool {
        let contains = |whole: &str, part: &str| {
            part.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.rejected.iter().any(|rejected| contains(rejected, field) || contains(field, rejected))
    }

    fn same_center(&mut self, field: &str, center: &str) {
        match &self.center {
            None => self.center = Some(center.to_owned()),
            Some(first) if first == center => {}
            Some(_) => {
                self.invalid(field, "belongs to another center; all names in a request must belong to one center");
            }
        }
    }
}

// === impl Violations ===

impl Violations {
    fn record(&mut self, field: impl Into<String>, description: impl Into<Cow<'static, str>>) {
        self.total += 1;
        if self.first.len() < MAX_VIOLATIONS {
            self.first.push(Violation::new(field, description));
        }
    }
}

/// The outcome of a call: where the contract rejects it, its violations, and the vendor's if the adapter found some.
pub(crate) fn outcome<A>(cx: &Context, outcome: Result<A>) -> Result<A> {
    let Err(rejected) = Check::of(cx).done() else { return outcome };
    match outcome {
        Err(all) if all.violations().len() > rejected.violations().len() && is_part(&rejected, &all) => Err(all),
        _ => Err(rejected),
    }
}

/// Whether all violations of one error are in another.
fn is_part(part: &Error, whole: &Error) -> bool {
    part.violations().iter().all(|violation| whole.violations().contains(violation))
}

/// Whether a text is an e-mail address: a local part of at most 64 bytes and a domain of labels of at most 255 bytes
/// (RFC 5321, 4.5.3.1). Quoted local parts and address literals are invalid, because no vendor accepts them.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let atom = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|char| char.is_alphanumeric() || char == '-')
    };
    (1..=64).contains(&local.len())
        && local.split('.').all(|part| !part.is_empty() && part.bytes().all(atom))
        && domain.len() <= 255
        && domain.contains('.')
        && domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::ErrorReason,
        name::{AgentName, QueueName},
        proto::v1::View,
    };

    #[test]
    fn the_error_lists_every_violation() {
        let mut check = Check::new();
        let _: AgentName = check.name("name", "centers/acme/queues/1");
        check.page_size(-1);
        check.known::<View>("view", 7);
        check.request_id("not a UUID");
        let error = check.done().unwrap_err();
        let fields: Vec<&str> = error.violations().iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["name", "page_size", "view", "request_id"]);
        assert_eq!(error.reason(), ErrorReason::FieldInvalid);
    }

    #[test]
    fn the_nil_uuid_is_no_request_id_in_any_spelling() {
        let nil = uuid::Uuid::nil();
        let refused = |id: &str| {
            let mut check = Check::new();
            check.request_id(id);
            check.done().is_err()
        };
        let spellings =
            [nil.hyphenated().to_string(), nil.simple().to_string(), nil.braced().to_string(), nil.urn().to_string()];
        for spelling in &spellings {
            assert!(refused(spelling), "{spelling}");
            // The same spelling of another UUID.
            let other = spelling.replacen('0', "a", 1);
            assert!(!refused(&other), "{other}");
        }
        assert!(!refused(""), "the field is optional");
    }

    #[test]
    fn violations_past_the_bound_are_counted_and_not_recorded() {
        let mut check = Check::new();
        for index in 0..100_000 {
            check.invalid(format!("update_mask.paths[{index}]"), "one of name");
            check.unsupported("strategy", "not here");
        }
        assert_eq!((check.invalid.first.capacity(), check.unsupported.first.capacity()), (8, 8));
        let error = check.done().unwrap_err();
        assert_eq!(error.violations().len(), 8);
        assert!(error.message().starts_with("200000 fields are invalid: update_mask.paths[0], "), "{error}");
    }

    #[test]
    fn a_list_that_is_too_long_is_one_violation() {
        let mut check = Check::new();
        check.each::<View>("views", &vec![0; 100_000], (0, 64));
        let _: Vec<QueueName> = check.names("queues", &vec![String::new(); 100_000], (1, 100));
        let error = check.done().unwrap_err();
        let fields: Vec<&str> = error.violations().iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["views", "queues"]);
    }

    #[test]
    fn all_names_of_a_request_belong_to_one_center() {
        let mut check = Check::new();
        let _: AgentName = check.name("agent", "centers/acme/agents/1");
        let _: Vec<QueueName> =
            check.names("queues", &["centers/acme/queues/1".into(), "centers/beta/queues/1".into()], (1, 100));
        let error = check.done().unwrap_err();
        assert_eq!(error.violations().len(), 1);
        assert_eq!(error.violations()[0].field, "queues[1]");
    }

    #[test]
    fn unsupported_fields_alone_are_field_unsupported() {
        let mut check = Check::new();
        check.unsupported("strategy", "not here");
        assert_eq!(check.done().unwrap_err().reason(), ErrorReason::FieldUnsupported);
    }

    #[test]
    fn email_addresses_follow_rfc_5321() {
        for good in ["a@example.com", "first.last+tag@sub.example.com", "o'brien@example.co", "a@b\u{e9}.fr"] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "a",
            "a@",
            "@b.c",
            "a@b",
            "a b@example.com",
            "a@-b.com",
            "a..b@example.com",
            "a@b..com",
            ".a@b.com",
            "a@b.com ",
        ] {
            assert!(!is_email(bad), "{bad}");
        }
    }
}
