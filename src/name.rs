//! Typed resource names: parsed once, then passed on as types.
//!
//! A name is `centers/{center}` and the path of the resource in that center. A byte of the vendor's ID that the
//! contract's pattern does not allow is percent-encoded, so that an unusual ID never fails a list. The types contain
//! the vendor's ID in the vendor's spelling.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use percent_encoding::percent_decode_str;

/// A text is not a valid name: says what was expected, never what was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameError(pub &'static str);

/// A parsed resource name.
pub trait ResourceName: Sized + Default {
    /// The type's name in the contract, e.g. `Agent`.
    const KIND: &'static str;
    /// Parses a full name.
    ///
    /// # Errors
    /// Names the expected format.
    fn parse(text: &str) -> Result<Self, NameError>;
    /// ID of the center that it belongs to.
    fn center(&self) -> &str;
    /// A name of nothing in this center.
    fn in_center(center: &str) -> Self;
    /// The format of an ID of this type, in text for people.
    const ID_PATTERN: &'static str;
    /// Whether a caller may choose this ID.
    fn is_id(id: &str) -> bool;
    /// Whether a name identifies the resource with this vendor ID: there is one, and it is not too long.
    fn identifies(id: &str) -> bool;
}

/// Longest percent-encoded ID that parses; vendors document IDs of up to 128 bytes.
const MAX_ENCODED_ID_BYTES: usize = 256;

/// `centers/{center}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct CenterName {
    center: String,
}

impl CenterName {
    /// The name of a configured center. The configuration has validated its ID.
    pub fn new(center: impl Into<String>) -> Self {
        Self { center: center.into() }
    }
}

impl ResourceName for CenterName {
    const KIND: &'static str = "Center";

    fn parse(text: &str) -> Result<Self, NameError> {
        let expected = NameError("expected centers/{center}; {center} matches ^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$");
        match text.strip_prefix("centers/") {
            Some(center) if is_center_id(center) => Ok(Self { center: center.to_owned() }),
            _ => Err(expected),
        }
    }

    fn center(&self) -> &str {
        &self.center
    }

    fn in_center(center: &str) -> Self {
        Self { center: center.to_owned() }
    }

    const ID_PATTERN: &'static str = "matches ^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$";

    fn is_id(id: &str) -> bool {
        is_center_id(id)
    }

    fn identifies(id: &str) -> bool {
        is_center_id(id)
    }
}

impl fmt::Display for CenterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "centers/{}", self.center)
    }
}

/// Whether a text is a valid center ID.
pub(crate) fn is_center_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes[0].is_ascii_lowercase()
        && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
        && bytes[bytes.len() - 1] != b'-'
}

/// The format of an ID in a name.
struct Pattern {
    /// The pattern in text for people.
    text: &'static str,
    first: fn(u8) -> bool,
    rest: fn(u8) -> bool,
    /// Longest ID, without the optional prefix.
    longest: usize,
    /// An optional byte before the first.
    prefix: Option<u8>,
}

const fn word(longest: usize, text: &'static str) -> Pattern {
    Pattern {
        text,
        first: |byte| byte.is_ascii_alphanumeric(),
        rest: |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'),
        longest,
        prefix: None,
    }
}

const ID: Pattern = word(32, "matches ^[0-9A-Za-z][0-9A-Za-z_.-]{0,31}$");
const USER_ID: Pattern = word(64, "matches ^[0-9A-Za-z][0-9A-Za-z_.-]{0,63}$");
const SUBSCRIPTION_ID: Pattern =
    Pattern { prefix: Some(b'~'), ..word(128, "matches ^~?[0-9A-Za-z][0-9A-Za-z_.-]{0,127}$") };
const NUMBER: Pattern = Pattern {
    text: "matches ^\\+?[0-9*#]{1,32}$",
    first: |byte| byte.is_ascii_digit() || matches!(byte, b'*' | b'#'),
    rest: |byte| byte.is_ascii_digit() || matches!(byte, b'*' | b'#'),
    longest: 32,
    prefix: Some(b'+'),
};

impl Pattern {
    /// Decodes the vendor's ID from a segment of a name.
    fn decode(&self, segment: &str) -> Option<String> {
        if !segment.contains('%') {
            let bytes = segment.as_bytes();
            let bytes = bytes.strip_prefix(self.prefix.as_slice()).unwrap_or(bytes);
            let (first, rest) = bytes.split_first()?;
            let fits =
                bytes.len() <= self.longest && (self.first)(*first) && rest.iter().all(|byte| (self.rest)(*byte));
            return fits.then(|| segment.to_owned());
        }
        let decoded = percent_decode_str(segment).decode_utf8().ok()?.into_owned();
        // An ID has one canonical name: only the required bytes are encoded, with upper-case hexadecimal digits.
        let canonical = decoded.len() <= MAX_ENCODED_ID_BYTES && self.encode(&decoded) == segment;
        canonical.then_some(decoded)
    }

    /// Encodes a vendor's ID as a segment of a name.
    fn encode<'a>(&self, id: &'a str) -> Cow<'a, str> {
        if self.is_plain(id.as_bytes()) {
            return Cow::Borrowed(id);
        }
        let mut segment = String::with_capacity(id.len());
        let mut at_first = true;
        for (index, &byte) in id.as_bytes().iter().enumerate() {
            let plain = if index == 0 && self.prefix == Some(byte) {
                true
            } else if at_first {
                at_first = false;
                (self.first)(byte)
            } else {
                (self.rest)(byte)
            };
            if plain {
                segment.push(char::from(byte));
            } else {
                let _ = write!(segment, "%{byte:02X}");
            }
        }
        Cow::Owned(segment)
    }

    /// Whether no byte of a vendor's ID must be encoded.
    fn is_plain(&self, id: &[u8]) -> bool {
        let id = id.strip_prefix(self.prefix.as_slice()).unwrap_or(id);
        id.split_first().is_none_or(|(first, rest)| (self.first)(*first) && rest.iter().all(|byte| (self.rest)(*byte)))
    }
}

macro_rules! resource_name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $collection:literal, $pattern:expr, $suffix:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
        pub struct $name {
            center: String,
            id: String,
        }

        impl $name {
            /// The resource with this vendor ID in this center.
            pub fn new(center: impl Into<String>, id: impl Into<String>) -> Self {
                Self { center: center.into(), id: id.into() }
            }

            /// The name of the resource with this vendor ID, as text; `None` if no name identifies it.
            pub fn text(center: &str, id: &str) -> Option<String> {
                Self::identifies(id).then(|| Self::new(center, id).to_string())
            }

            /// The ID in the vendor's spelling.
            pub fn id(&self) -> &str {
                &self.id
            }
        }

        impl ResourceName for $name {
            const KIND: &'static str = $kind;

            fn parse(text: &str) -> Result<Self, NameError> {
                let parse = || {
                    let (center, rest) = text.strip_prefix("centers/")?.split_once('/')?;
                    let segment = rest.strip_prefix(concat!($collection, "/"))?.strip_suffix($suffix)?;
                    let id = $pattern.decode(segment)?;
                    is_center_id(center).then(|| Self { center: center.to_owned(), id })
                };
                parse().ok_or(NameError(concat!("expected ", $expected)))
            }

            fn center(&self) -> &str {
                &self.center
            }

            fn in_center(center: &str) -> Self {
                Self { center: center.to_owned(), id: String::new() }
            }

            const ID_PATTERN: &'static str = $pattern.text;

            fn is_id(id: &str) -> bool {
                !id.contains('%') && $pattern.decode(id).is_some()
            }

            fn identifies(id: &str) -> bool {
                // A character that was not readable is not the vendor's.
                !id.contains(char::REPLACEMENT_CHARACTER) && $pattern.decode(&$pattern.encode(id)).is_some()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("centers/{}/", $collection, "/{}", $suffix), self.center, $pattern.encode(&self.id))
            }
        }
    };
}

resource_name! {
    /// `centers/{center}/phoneNumbers/{phone_number}`.
    PhoneNumberName, "PhoneNumber", "phoneNumbers", NUMBER, "",
    "centers/{center}/phoneNumbers/{phone_number}; {phone_number} matches ^\\+?[0-9*#]{1,32}$"
}
resource_name! {
    /// `centers/{center}/agents/{agent}`.
    AgentName, "Agent", "agents", ID, "",
    "centers/{center}/agents/{agent}; {agent} matches ^[0-9A-Za-z][0-9A-Za-z_.-]{0,31}$"
}
resource_name! {
    /// `centers/{center}/extensions/{extension}`.
    ExtensionName, "Extension", "extensions", ID, "",
    "centers/{center}/extensions/{extension}; {extension} matches ^[0-9A-Za-z][0-9A-Za-z_.-]{0,31}$"
}
resource_name! {
    /// `centers/{center}/queues/{queue}`.
    QueueName, "Queue", "queues", ID, "",
    "centers/{center}/queues/{queue}; {queue} matches ^[0-9A-Za-z][0-9A-Za-z_.-]{0,31}$"
}
resource_name! {
    /// `centers/{center}/subscriptions/{subscription}`.
    SubscriptionName, "Subscription", "subscriptions", SUBSCRIPTION_ID, "",
    "centers/{center}/subscriptions/{subscription}; {subscription} matches ^~?[0-9A-Za-z][0-9A-Za-z_.-]{0,127}$"
}
resource_name! {
    /// `centers/{center}/users/{user}/callSettings`, the singleton call settings of a user.
    CallSettingsName, "UserCallSettings", "users", USER_ID, "/callSettings",
    "centers/{center}/users/{user}/callSettings; {user} matches ^[0-9A-Za-z][0-9A-Za-z_.-]{0,63}$"
}

macro_rules! singleton_name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $suffix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
        pub struct $name(CenterName);

        /// The center that the singleton belongs to.
        impl From<$name> for CenterName {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl ResourceName for $name {
            const KIND: &'static str = $kind;

            fn parse(text: &str) -> Result<Self, NameError> {
                text.strip_suffix($suffix)
                    .and_then(|center| CenterName::parse(center).ok())
                    .map(Self)
                    .ok_or(NameError(concat!("expected centers/{center}", $suffix)))
            }

            fn center(&self) -> &str {
                self.0.center()
            }

            fn in_center(center: &str) -> Self {
                Self(CenterName::in_center(center))
            }

            const ID_PATTERN: &'static str = CenterName::ID_PATTERN;

            fn is_id(id: &str) -> bool {
                is_center_id(id)
            }

            fn identifies(id: &str) -> bool {
                is_center_id(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{}", $suffix), self.0)
            }
        }
    };
}

singleton_name! {
    /// `centers/{center}/capabilities`.
    CapabilitiesName, "Capabilities", "/capabilities"
}
singleton_name! {
    /// `centers/{center}/softphoneConfig`.
    SoftphoneConfigName, "SoftphoneConfig", "/softphoneConfig"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_follow_the_contract() {
        let name = AgentName::parse("centers/acme/agents/9415").unwrap();
        assert_eq!((name.center(), name.id()), ("acme", "9415"));
        assert_eq!(name.to_string(), "centers/acme/agents/9415");
        for bad in [
            "",
            "9415",
            "agents/9415",
            "centers/acme/agents/",
            "centers/acme/agents/a/b",
            "centers/Acme/agents/1",
            "centers/acme/queues/9415",
            "centers/acme/agents/-1",
            "/centers/acme/agents/1",
            "centers/acme/agents/1 ",
            "centers/acme-/agents/1",
            "centers/acme/agents/123456789012345678901234567890123",
        ] {
            assert!(AgentName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_resource_has_its_own_pattern() {
        assert_eq!(PhoneNumberName::parse("centers/a/phoneNumbers/+8657126200671").unwrap().id(), "+8657126200671");
        assert!(PhoneNumberName::parse("centers/a/phoneNumbers/+").is_err());
        assert_eq!(
            SubscriptionName::parse("centers/a/subscriptions/~0123456789abcdef").unwrap().id(),
            "~0123456789abcdef"
        );
        assert_eq!(CallSettingsName::parse("centers/a/users/u1/callSettings").unwrap().id(), "u1");
        assert!(CallSettingsName::parse("centers/a/users/u1").is_err());
        assert_eq!(CapabilitiesName::parse("centers/a/capabilities").unwrap().center(), "a");
        assert!(SoftphoneConfigName::parse("centers/a/capabilities").is_err());
        assert!(CenterName::parse("centers/a/").is_err());
    }

    #[test]
    fn an_unusual_id_has_exactly_one_name() {
        let odd = AgentName::new("acme", "-a b/\u{e9}");
        assert_eq!(odd.to_string(), "centers/acme/agents/%2Da%20b%2F%C3%A9");
        assert_eq!(AgentName::parse(&odd.to_string()), Ok(odd));
        for other in
            ["centers/acme/agents/%2da", "centers/acme/agents/%61", "centers/acme/agents/%ff", "centers/acme/agents/%"]
        {
            assert!(AgentName::parse(other).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_vendor_id_survives_its_name(id in "\\PC{1,40}") {
            prop_assume!(id.len() <= MAX_ENCODED_ID_BYTES);
            // A plain ID that is longer than the contract allows appears in lists, but its name does not parse.
            prop_assume!(ID.encode(&id).contains('%') || id.len() <= 32);
            let name = AgentName::new("acme", id.clone());
            prop_assert_eq!(AgentName::parse(&name.to_string()), Ok(name));
        }

        #[test]
        fn a_name_identifies_only_what_it_parses_to(id in "\\PC{0,40}|[0-9]{0,40}|%{80,90}") {
            let text = AgentName::new("acme", id.clone()).to_string();
            let is_readable = !id.contains(char::REPLACEMENT_CHARACTER);
            prop_assert_eq!(AgentName::identifies(&id), is_readable && AgentName::parse(&text).is_ok());
            prop_assert_eq!(AgentName::text("acme", &id), AgentName::identifies(&id).then_some(text));
            prop_assert!(!id.is_empty() || !AgentName::identifies(&id));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = AgentName::parse(&text);
            let _ = PhoneNumberName::parse(&text);
            let _ = SubscriptionName::parse(&format!("centers/a/subscriptions/{text}"));
            let _ = CallSettingsName::parse(&format!("centers/a/users/{text}/callSettings"));
        }

        #[test]
        fn a_parsed_name_prints_the_same(text in "centers/[a-z]{1,3}/agents/[%0-9A-Fa-f_.~-]{1,8}") {
            if let Ok(name) = AgentName::parse(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
