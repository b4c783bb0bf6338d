//! Contradictions of the document, each switched on by name.
//!
//! Without a quirk the simulator responds as in the document's examples. A quirk makes it respond as another statement
//! of the document says, so that a test can show that a client reads both.

use std::{fmt, str::FromStr};

/// A contradiction of the document, or a liberty of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// `text-numbers`: numbers and booleans of a result are texts (C33).
    TextNumbers,
    /// `number-codes`: the return code is a number, so `000000` is 0 (C10).
    NumberCodes,
    /// `empty-bodies`: a successful `PUT` or `DELETE` is HTTP 204 without a body (C6).
    EmptyBodies,
    /// `http-statuses`: the statuses of the document's general list: 201 for `POST` and `PUT`, 204 without a body for
    /// `DELETE`, and 400, 401, 404, 406 or 422 with the envelope of a failure (C6).
    HttpStatuses,
    /// `result-as-text`: a `Result` that is a string in the table and an object or array in the example (12, 25, 26) is
    /// JSON text (C38).
    ResultAsText,
    /// `nulls`: an empty value is null, and an empty list inside an object is absent (C14).
    Nulls,
    /// `extra-fields`: every object has a field that no table has.
    ExtraFields,
    /// `unknown-enums`: State 7, Strategy 9, Role `monitor`, `SignalType` `voip` (C25).
    UnknownEnums,
    /// `exten-infos-strings`: `ExtenInfos` is a list of extension numbers, as in the table of 04 (C30).
    ExtenInfosStrings,
    /// `sub-succ-object`: a single `sub_succ` is an object, as in the table of 18 (C42).
    SubSuccObject,
    /// `subscriptions-with-ids`: the list of 21 has each `subid` (C46).
    SubscriptionsWithIds,
    /// `suffixed-ids`: IDs of agents and queues end with `@` and the short application ID in every response (C18, C19).
    SuffixedIds,
    /// `assigned-queue-ids`: 12 ignores the ID in the request, as [`super::QueueIds::Assign`] (C21).
    AssignedQueueIds,
    /// `second-generation-codes`: of two codes with one meaning, the `2xxxxx` one (C13).
    SecondGenerationCodes,
    /// `pages`: 06 returns the first of several pages (C35).
    Pages,
}

/// A text that names no [`Quirk`]. The message lists the quirks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownQuirk;

/// A set of [`Quirk`]s; empty by default.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Quirks(u32);

// === impl Quirk ===

impl Quirk {
    /// Every quirk.
    pub const ALL: [Self; 15] = [
        Self::TextNumbers,
        Self::NumberCodes,
        Self::EmptyBodies,
        Self::HttpStatuses,
        Self::ResultAsText,
        Self::Nulls,
        Self::ExtraFields,
        Self::UnknownEnums,
        Self::ExtenInfosStrings,
        Self::SubSuccObject,
        Self::SubscriptionsWithIds,
        Self::SuffixedIds,
        Self::AssignedQueueIds,
        Self::SecondGenerationCodes,
        Self::Pages,
    ];

    /// The name that switches it on.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TextNumbers => "text-numbers",
            Self::NumberCodes => "number-codes",
            Self::EmptyBodies => "empty-bodies",
            Self::HttpStatuses => "http-statuses",
            Self::ResultAsText => "result-as-text",
            Self::Nulls => "nulls",
            Self::ExtraFields => "extra-fields",
            Self::UnknownEnums => "unknown-enums",
            Self::ExtenInfosStrings => "exten-infos-strings",
            Self::SubSuccObject => "sub-succ-object",
            Self::SubscriptionsWithIds => "subscriptions-with-ids",
            Self::SuffixedIds => "suffixed-ids",
            Self::AssignedQueueIds => "assigned-queue-ids",
            Self::SecondGenerationCodes => "second-generation-codes",
            Self::Pages => "pages",
        }
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Quirk {
    type Err = UnknownQuirk;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|quirk| quirk.name() == name).ok_or(UnknownQuirk)
    }
}

// === impl UnknownQuirk ===

impl fmt::Display for UnknownQuirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no such quirk; there are {}", Quirk::ALL.map(Quirk::name).join(", "))
    }
}

impl std::error::Error for UnknownQuirk {}

// === impl Quirks ===

impl Quirks {
    /// Whether the set has `quirk`.
    pub(super) const fn contains(self, quirk: Quirk) -> bool {
        self.0 & (1 << quirk as u32) != 0
    }

    /// Adds `quirk` to the set.
    pub const fn insert(&mut self, quirk: Quirk) {
        self.0 |= 1 << quirk as u32;
    }
}

impl FromIterator<Quirk> for Quirks {
    fn from_iter<I: IntoIterator<Item = Quirk>>(quirks: I) -> Self {
        let mut set = Self::default();
        for quirk in quirks {
            set.insert(quirk);
        }
        set
    }
}

impl fmt::Debug for Quirks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Quirk::ALL.into_iter().filter(|quirk| self.contains(*quirk)).map(Quirk::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quirk_is_found_by_its_name_and_kept_apart_from_the_others() {
        for quirk in Quirk::ALL {
            assert_eq!(quirk.to_string().parse(), Ok(quirk));
            let alone = Quirks::from_iter([quirk]);
            let members: Vec<Quirk> = Quirk::ALL.into_iter().filter(|other| alone.contains(*other)).collect();
            assert_eq!(members, [quirk]);
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_names_there_are() {
        let refused = "text_numbers".parse::<Quirk>().expect_err("names are written with hyphens");
        let message = refused.to_string();
        assert!(Quirk::ALL.iter().all(|quirk| message.contains(quirk.name())), "{message}");
    }
}
