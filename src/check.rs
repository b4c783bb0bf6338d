//! Parse, don't validate: the fields of a request become checked values, and all that is wrong is told at once.

use std::collections::HashSet;

use prost_types::Duration;

use crate::{
    error::{Error, Result, Violation},
    name::ResourceName,
};

/// Collects what is wrong with one request.
///
/// A reader that finds its field wrong notes the violation and returns a default value, which nobody gets to see because
/// [`Check::done`] then fails.
#[derive(Debug, Default)]
pub struct Check {
    invalid: Vec<Violation>,
    unsupported: Vec<Violation>,
    center: Option<String>,
}

impl Check {
    /// A request of which nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A resource name that must be set.
    pub fn name<N: ResourceName>(&mut self, field: &str, value: &str) -> N {
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
                N::default()
            }
        }
    }

    /// A resource name that may be left empty.
    pub fn optional_name<N: ResourceName>(&mut self, field: &str, value: &str) -> Option<N> {
        (!value.is_empty()).then(|| self.name(field, value))
    }

    /// A list of resource names, without duplicates.
    pub fn names<N: ResourceName + PartialEq>(
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
                self.invalid(format!("{field}[{index}]"), "is there twice");
            }
        }
        values.iter().enumerate().map(|(index, value)| self.name(&format!("{field}[{index}]"), value)).collect()
    }

    /// A message that must be set.
    pub fn message<M: Default>(&mut self, field: &str, value: Option<M>) -> M {
        value.unwrap_or_else(|| {
            self.invalid(field, "required");
            M::default()
        })
    }

    /// A text that must be set.
    pub fn required(&mut self, field: &str, value: &str) {
        if value.is_empty() {
            self.invalid(field, "required");
        }
    }

    /// A text of at most this many characters.
    pub fn at_most(&mut self, field: &str, value: &str, characters: usize) {
        // A character takes at least one byte, so short texts need no counting.
        if value.len() > characters && value.chars().count() > characters {
            self.invalid(field, format!("at most {characters} characters"));
        }
    }

    /// An enum value the contract knows.
    pub fn known<E: TryFrom<i32>>(&mut self, field: &str, value: i32) {
        if E::try_from(value).is_err() {
            self.invalid(field, "not a value of this enum");
        }
    }

    /// An enum value that must be one the contract knows, and not unspecified.
    pub fn chosen<E: TryFrom<i32>>(&mut self, field: &str, value: i32) {
        if value == 0 {
            self.invalid(field, "required");
        } else {
            self.known::<E>(field, value);
        }
    }

    /// A list of enum values that the contract knows, none unspecified, none twice.
    pub fn each<E: TryFrom<i32>>(&mut self, field: &str, values: &[i32]) {
        let mut seen = HashSet::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            if !seen.insert(value) {
                self.invalid(format!("{field}[{index}]"), "is there twice");
            } else if *value == 0 || E::try_from(*value).is_err() {
                self.invalid(format!("{field}[{index}]"), "not a value of this enum");
            }
        }
    }

    /// An ID that a resource shall have: what would stand for it in a name.
    pub fn id<N: ResourceName>(&mut self, field: &str, id: &str) {
        if id.is_empty() {
            self.invalid(field, "required");
        } else if !N::is_id(id) {
            self.invalid(field, N::ID_PATTERN);
        }
    }

    /// An e-mail address, or none.
    pub fn email(&mut self, field: &str, value: &str) {
        if !value.is_empty() && !is_email(value) {
            self.invalid(field, "a valid e-mail address");
        }
    }

    /// A page size.
    pub fn page_size(&mut self, value: i32) {
        if value < 0 {
            self.invalid("page_size", "not negative");
        }
    }

    /// A duration of whole seconds, not negative.
    pub fn whole_seconds(&mut self, field: &str, value: Option<&Duration>) {
        if let Some(Duration { seconds, nanos }) = value {
            if *seconds < 0 || *nanos < 0 {
                self.invalid(field, "not negative");
            } else if *nanos != 0 {
                self.invalid(field, "whole seconds");
            }
        }
    }

    /// A number of items within bounds.
    pub fn count(&mut self, field: &str, count: usize, (fewest, most): (usize, usize)) {
        if count == 0 && fewest > 0 {
            self.invalid(field, "required");
        } else if count < fewest || count > most {
            self.invalid(field, format!("{fewest} to {most} items"));
        }
    }

    /// An identifier of a request, for repeating it safely.
    pub fn request_id(&mut self, value: &str) {
        if !value.is_empty() && uuid::Uuid::try_parse(value).is_err() {
            self.invalid("request_id", "a UUID");
        }
    }

    /// Notes a field that breaks the contract. `expected` says what the field takes, never what was sent.
    pub fn invalid(&mut self, field: impl Into<String>, expected: impl Into<std::borrow::Cow<'static, str>>) {
        self.invalid.push(Violation::new(field, expected));
    }

    /// Notes a field that cannot be taken here.
    pub fn unsupported(&mut self, field: impl Into<String>, why: impl Into<std::borrow::Cow<'static, str>>) {
        self.unsupported.push(Violation::new(field, why));
    }

    /// Notes an unsupported field when it is set.
    pub fn unsupported_if(&mut self, set: bool, field: &'static str, why: &'static str) {
        if set {
            self.unsupported(field, why);
        }
    }

    /// Ends the check.
    ///
    /// # Errors
    /// `FIELD_INVALID` with every violation, or `FIELD_UNSUPPORTED` when all that is wrong is what cannot be taken.
    pub fn done(mut self) -> Result<()> {
        if !self.invalid.is_empty() {
            self.invalid.append(&mut self.unsupported);
            return Err(Error::invalid(self.invalid));
        }
        if !self.unsupported.is_empty() {
            return Err(Error::unsupported_fields(self.unsupported));
        }
        Ok(())
    }

    fn same_center(&mut self, field: &str, center: &str) {
        match &self.center {
            None => self.center = Some(center.to_owned()),
            Some(first) if first == center => {}
            Some(_) => {
                self.invalid(field, "belongs to another center; all names in a request must belong to one center")
            }
        }
    }
}

/// Whether a text is an address as mail systems take it: a local part of at most 64 bytes and a domain of labels, at most
/// 255 bytes (RFC 5321, 4.5.3.1; without quoted local parts and address literals, which no vendor takes).
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
    fn all_violations_come_at_once() {
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
    fn one_request_is_about_one_center() {
        let mut check = Check::new();
        let _: AgentName = check.name("agent", "centers/acme/agents/1");
        let _: Vec<QueueName> =
            check.names("queues", &["centers/acme/queues/1".into(), "centers/beta/queues/1".into()], (1, 100));
        let error = check.done().unwrap_err();
        assert_eq!(error.violations().len(), 1);
        assert_eq!(error.violations()[0].field, "queues[1]");
    }

    #[test]
    fn what_only_cannot_be_taken_here_is_told_apart() {
        let mut check = Check::new();
        check.unsupported("strategy", "not here");
        assert_eq!(check.done().unwrap_err().reason(), ErrorReason::FieldUnsupported);
    }

    #[test]
    fn addresses_as_mail_systems_take_them() {
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
