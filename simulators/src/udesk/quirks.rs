//! The document's contradictions, each played on demand.
//!
//! Without a quirk the simulator answers as the document's examples do. A quirk makes it answer as one of the document's
//! other statements has it, so that a client can be shown to read both.

use std::{fmt, str::FromStr};

/// One contradiction of the document, or one liberty that a server may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// `text-numbers`: numbers and booleans of a result are text (C33).
    TextNumbers,
    /// `number-codes`: the return code is a number, so `000000` is 0 (C10).
    NumberCodes,
    /// `empty-bodies`: a successful `PUT` or `DELETE` answers 204 with no body (C6).
    EmptyBodies,
    /// `http-statuses`: the statuses of the document's general list: 201 for `POST` and `PUT`, 204 without a body for
    /// `DELETE`, and 400, 401, 404, 406 or 422 beside the envelope of a refusal (C6).
    HttpStatuses,
    /// `result-as-text`: where the table types `Result` as string and the example shows an object or array (12, 25, 26),
    /// it is JSON text (C38).
    ResultAsText,
    /// `nulls`: what is empty is null, and an empty list inside an object is left out (C14).
    Nulls,
    /// `extra-fields`: every object carries a field that no table has.
    ExtraFields,
    /// `unknown-enums`: State 7, Strategy 9, Role `monitor`, `SignalType` `voip` (C25).
    UnknownEnums,
    /// `exten-infos-strings`: `ExtenInfos` is a list of extension numbers, as the table of 04 types it (C30).
    ExtenInfosStrings,
    /// `sub-succ-object`: a single `sub_succ` is an object, as the table of 18 types it (C42).
    SubSuccObject,
    /// `subscriptions-with-ids`: the list of 21 says each `subid` (C46).
    SubscriptionsWithIds,
    /// `suffixed-ids`: agent and queue ids end with `@` and the short application id in every answer (C18, C19).
    SuffixedIds,
    /// `assigned-queue-ids`: 12 ignores the id asked for, as [`super::QueueIds::Assign`] (C21).
    AssignedQueueIds,
    /// `second-generation-codes`: the `2xxxxx` code where the document has two for one meaning (C13).
    SecondGenerationCodes,
    /// `pages`: 06 answers only the first of several pages (C35).
    Pages,
}

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

    /// The name by which a command line asks for it.
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

/// A text that names no [`Quirk`]. Its message lists the names there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownQuirk;

impl fmt::Display for UnknownQuirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no such quirk; there are {}", Quirk::ALL.map(Quirk::name).join(", "))
    }
}

impl std::error::Error for UnknownQuirk {}

/// A set of [`Quirk`]s; empty by default.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Quirks(u32);

impl Quirks {
    /// Whether `quirk` is in the set.
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
