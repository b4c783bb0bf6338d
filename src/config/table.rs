//! Reads tables key by key, remembers which keys were asked for, and collects every error on the way.
//!
//! A reader asks for all keys before it gives up on any, so that one run shows everything that is wrong. `None` from a
//! method here means: the error is already in the list.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, ConfigErrors, place};
use super::value::type_name;

/// A value, or the message that says what was expected of it.
pub(super) type Parsed<T> = Result<T, String>;

/// What the tables of one file share.
pub(super) struct Document<'d> {
    file: &'d str,
    text: &'d str,
    /// Where relative secret files are looked for.
    pub(super) folder: &'d Path,
    /// Answers for environment variables.
    pub(super) lookup: &'d dyn Fn(&str) -> Option<String>,
    errors: RefCell<Vec<ConfigError>>,
}

/// One table; an absent one reads like an empty one.
pub(super) struct Table<'d> {
    document: &'d Document<'d>,
    path: String,
    /// Where the table begins, in bytes; `None` for the root and for an absent table.
    at: Option<usize>,
    entries: Option<&'d DeTable<'d>>,
    known: Vec<&'d str>,
}

// === impl Document ===

impl<'d> Document<'d> {
    pub(super) fn new(
        file: &'d str,
        text: &'d str,
        folder: &'d Path,
        lookup: &'d dyn Fn(&str) -> Option<String>,
    ) -> Self {
        Self { file, text, folder, lookup, errors: RefCell::default() }
    }

    /// The value that was read, if nothing was wrong.
    pub(super) fn finish<T>(&self, read: Option<T>) -> Result<T, ConfigErrors> {
        let errors = self.errors.take();
        match read {
            Some(value) if errors.is_empty() => Ok(value),
            _ => {
                debug_assert!(!errors.is_empty(), "a reader gave up without an error");
                Err(ConfigErrors::in_order(errors))
            }
        }
    }

    fn refuse(&self, key: String, at: Option<usize>, message: String) {
        let place = at.map(|at| place(self.text, at));
        self.errors.borrow_mut().push(ConfigError {
            file: self.file.to_owned(),
            key,
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            message,
        });
    }
}

// === impl Table ===

impl<'d> Table<'d> {
    pub(super) fn root(document: &'d Document<'d>, entries: &'d DeTable<'d>) -> Self {
        Self { document, path: String::new(), at: None, entries: Some(entries), known: Vec::new() }
    }

    pub(super) fn document(&self) -> &'d Document<'d> {
        self.document
    }

    /// The keys that stand in the file.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'d str> + use<'d> {
        self.entries.into_iter().flat_map(|entries| entries.keys().map(|key| key.get_ref().as_ref()))
    }

    /// The value at `key`, or `default` when it is absent.
    pub(super) fn or<T>(
        &mut self,
        key: &'d str,
        default: T,
        parse: impl FnOnce(&DeValue<'d>) -> Parsed<T>,
    ) -> Option<T> {
        match self.value(key) {
            None => Some(default),
            Some(value) => self.parsed(key, parse(value.get_ref())),
        }
    }

    /// The value at `key`; `expected` completes "missing: expected ...".
    pub(super) fn required<T>(
        &mut self,
        key: &'d str,
        expected: &str,
        parse: impl FnOnce(&DeValue<'d>) -> Parsed<T>,
    ) -> Option<T> {
        match self.value(key) {
            None => {
                self.refuse(key, format!("missing: expected {expected}"));
                None
            }
            Some(value) => self.parsed(key, parse(value.get_ref())),
        }
    }

    /// The table at `key`.
    pub(super) fn table(&mut self, key: &'d str) -> Option<Table<'d>> {
        let (at, entries) = match self.value(key) {
            None => (None, None),
            Some(value) => match value.get_ref() {
                DeValue::Table(entries) => (Some(value.span().start), Some(entries)),
                other => {
                    self.refuse(key, format!("expected a table, found {}", type_name(other)));
                    return None;
                }
            },
        };
        Some(Table { document: self.document, path: self.key_path(key), at, entries, known: Vec::new() })
    }

    /// Records an error of a key that holds a value of the right kind.
    pub(super) fn refuse(&self, key: &str, message: impl Into<String>) {
        let at = self.entry(key).map(|(_, value)| value.span().start).or(self.at);
        self.document.refuse(self.key_path(key), at, message.into());
    }

    /// Records an error of the key itself.
    pub(super) fn refuse_key(&self, key: &str, message: &str) {
        let at = self.entry(key).map(|(key, _)| key.span().start);
        let message = match at.map(|at| place(self.document.text, at)) {
            Some((line, column)) if !is_shown(key) => {
                format!("{message} (line {line}, column {column})")
            }
            _ => message.to_owned(),
        };
        self.document.refuse(self.key_path(key), at, message);
    }

    /// Records an error of the table as a whole.
    pub(super) fn refuse_self(&self, message: &str) {
        self.document.refuse(self.path.clone(), self.at, message.to_owned());
    }

    /// Refuses the first of two durations when it is longer than the second.
    pub(super) fn in_order(&self, (key, shorter): (&str, Option<Duration>), (other, longer): (&str, Option<Duration>)) {
        if shorter.zip(longer).is_some_and(|(shorter, longer)| shorter > longer) {
            self.refuse(key, format!("expected a duration that is at most `{other}`"));
        }
    }

    /// Takes keys as known that nobody asks for: those of a vendor that is itself in error.
    pub(super) fn know(&mut self, keys: impl IntoIterator<Item = &'d str>) {
        self.known.extend(keys);
    }

    /// Refuses every key that was not asked for.
    pub(super) fn finish(self) {
        self.finish_with(|_| None);
    }

    /// Refuses every key that was not asked for; `explain` has its own word for some of them.
    pub(super) fn finish_with(mut self, explain: impl Fn(&str) -> Option<String>) {
        self.known.sort_unstable();
        for key in self.keys().filter(|key| !self.known.contains(key)) {
            let message = explain(key).unwrap_or_else(|| match nearest(key, &self.known) {
                Some(near) => format!("unknown key; did you mean `{near}`?"),
                None => format!("unknown key; known keys: {}", self.known.join(", ")),
            });
            self.refuse_key(key, &message);
        }
    }

    fn entry(&self, key: &str) -> Option<(&'d Spanned<std::borrow::Cow<'d, str>>, &'d Spanned<DeValue<'d>>)> {
        self.entries?.get_key_value(key)
    }

    fn value(&mut self, key: &'d str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.known.push(key);
        self.entry(key).map(|(_, value)| value)
    }

    fn parsed<T>(&self, key: &str, parsed: Parsed<T>) -> Option<T> {
        parsed.map_err(|message| self.refuse(key, message)).ok()
    }

    fn key_path(&self, key: &str) -> String {
        let key = match key {
            _ if !is_shown(key) => "\"…\"".to_owned(),
            _ if key.contains(['.', '/']) => format!("\"{key}\""),
            _ => key.to_owned(),
        };
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }
}

/// The name that was probably meant: at most one edit for every three characters.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name: Vec<char> = name.chars().collect();
    let limit = (name.len() / 3).max(1);
    known
        .iter()
        .filter(|key| key.chars().count().abs_diff(name.len()) <= limit)
        .map(|key| (edits(&name, key), *key))
        .filter(|(edits, _)| *edits <= limit)
        .min()
        .map(|(_, key)| key)
}

/// The keys that an error repeats: those that look like one. Anything else could be a value that slipped, and a line
/// break in it would forge a line of its own.
fn is_shown(key: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    (1..=64).contains(&key.len()) && key.bytes().all(is_plain)
}

/// Insertions, deletions and substitutions between two names (Levenshtein), row by row.
fn edits(from: &[char], to: &str) -> usize {
    let mut row: Vec<usize> = (0..=from.len()).collect();
    for (line, to) in to.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, from) in from.iter().enumerate() {
            let substituted = diagonal + usize::from(*from != to);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[from.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        let edits = |from: &str, to| edits(&from.chars().collect::<Vec<_>>(), to);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", ""), 3);
        assert_eq!(edits("base_url", "base_url"), 0);
        assert_eq!(edits("base_ur", "base_url"), 1);
        assert_eq!(edits("kitten", "sitting"), 3);
    }

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let known = ["base_url", "sid", "app_id"];
        assert_eq!(nearest("baseurl", &known), Some("base_url"));
        assert_eq!(nearest("base-url", &known), Some("base_url"));
        assert_eq!(nearest("si", &known), Some("sid"));
        assert_eq!(nearest("token", &known), None);
        assert_eq!(nearest("", &known), None);
    }

    #[test]
    fn only_what_looks_like_a_key_is_repeated() {
        assert!(is_shown("agentsettings/query"));
        assert!(!is_shown("two words"));
        assert!(!is_shown("line\nbreak"));
        assert!(!is_shown(&"x".repeat(65)));
        assert!(!is_shown(""));
    }
}
