//! The tables of one file: which keys a reader knows, which it does not, and every error on the way.

use std::{borrow::Cow, cell::RefCell, path::Path, time::Duration};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::error::{ConfigError, ConfigErrors, place};

/// A value, or a message: what was expected of it.
pub(super) type Parsed<T> = Result<T, String>;

/// Instead of a value whose error is recorded in the [`Document`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recorded;

/// What the tables of one file share.
pub(super) struct Document<'d> {
    file: &'d str,
    text: &'d str,
    /// The whole file.
    pub(super) root: &'d DeTable<'d>,
    /// Relative secret files are relative to it.
    pub(super) folder: &'d Path,
    /// Looks up an environment variable.
    pub(super) lookup: &'d dyn Fn(&str) -> Option<String>,
    errors: RefCell<Vec<ConfigError>>,
}

/// One table; an absent one reads as an empty one.
pub(super) struct Table<'d> {
    document: &'d Document<'d>,
    path: String,
    /// Where the table begins, in bytes; `None` for the root and for an absent table.
    at: Option<usize>,
    entries: Option<&'d DeTable<'d>>,
    known: Vec<&'d str>,
    /// Keys that are known elsewhere, and where.
    foreign: Vec<(&'d str, String)>,
}

// === impl Document ===

impl<'d> Document<'d> {
    pub(super) fn new(
        file: &'d str,
        text: &'d str,
        root: &'d DeTable<'d>,
        folder: &'d Path,
        lookup: &'d dyn Fn(&str) -> Option<String>,
    ) -> Self {
        Self { file, text, root, folder, lookup, errors: RefCell::default() }
    }

    /// The value that was read, unless an error is recorded.
    pub(super) fn finish<T>(&self, read: Result<T, Recorded>) -> Result<T, ConfigErrors> {
        let errors = self.errors.take();
        match read {
            Ok(value) if errors.is_empty() => Ok(value),
            _ => {
                debug_assert!(!errors.is_empty(), "an error is recorded");
                Err(ConfigErrors::in_order(errors))
            }
        }
    }

    fn refuse(&self, key: String, at: Option<usize>, message: String) -> Recorded {
        let place = at.map(|at| place(self.text, at));
        self.errors.borrow_mut().push(ConfigError {
            file: self.file.to_owned(),
            key,
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            message,
        });
        Recorded
    }
}

// === impl Table ===

impl<'d> Table<'d> {
    pub(super) fn root(document: &'d Document<'d>) -> Self {
        Self::new(document, String::new(), None, Some(document.root))
    }

    fn new(document: &'d Document<'d>, path: String, at: Option<usize>, entries: Option<&'d DeTable<'d>>) -> Self {
        Self { document, path, at, entries, known: Vec::new(), foreign: Vec::new() }
    }

    pub(super) fn document(&self) -> &'d Document<'d> {
        self.document
    }

    /// The last part of the table's path.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    /// The keys in the file.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'d str> + use<'d> {
        self.entries.into_iter().flat_map(|entries| entries.keys().map(|key| key.get_ref().as_ref()))
    }

    /// The value at `key`, which is known from now on.
    pub(super) fn value(&mut self, key: &'d str) -> Option<&'d DeValue<'d>> {
        self.known.push(key);
        self.peek(key)
    }

    /// The value at the key of another reader.
    pub(super) fn peek(&self, key: &str) -> Option<&'d DeValue<'d>> {
        self.entry(key).map(|(_, value)| value.get_ref())
    }

    /// What `read` makes of the table at `key`. Keys that `read` does not ask for are refused.
    pub(super) fn nested<T>(
        &mut self,
        key: &'d str,
        read: impl FnOnce(&mut Table<'d>) -> Result<T, Recorded>,
    ) -> Result<T, Recorded> {
        self.known.push(key);
        let (at, entries) = match self.entry(key).map(|(_, value)| (value.span().start, value.get_ref())) {
            None => (None, None),
            Some((at, DeValue::Table(entries))) => (Some(at), Some(entries)),
            Some((_, other)) => {
                return Err(self.refuse(key, mistyped("a table", other)));
            }
        };
        let mut table = Table::new(self.document, self.key_path(key), at, entries);
        let value = read(&mut table);
        table.finish();
        value
    }

    /// Records an error of the value at `key`, or of its absence.
    pub(super) fn refuse(&self, key: &str, message: impl Into<String>) -> Recorded {
        let at = self.entry(key).map(|(_, value)| value.span().start).or(self.at);
        self.document.refuse(self.key_path(key), at, message.into())
    }

    /// Records an error of the key itself.
    pub(super) fn refuse_key(&self, key: &str, message: &str) -> Recorded {
        let at = self.entry(key).map(|(key, _)| key.span().start);
        let message = match at.map(|at| place(self.document.text, at)) {
            Some((line, column)) if !is_shown(key) => format!("{message} (line {line}, column {column})"),
            _ => message.to_owned(),
        };
        self.document.refuse(self.key_path(key), at, message)
    }

    /// Records an error of the table as a whole.
    pub(super) fn refuse_self(&self, message: &str) -> Recorded {
        self.document.refuse(self.path.clone(), self.at, message.to_owned())
    }

    /// Refuses the first of two durations when it is longer than the second.
    pub(super) fn in_order(
        &self,
        (key, shorter): (&str, Result<Duration, Recorded>),
        (other, longer): (&str, Result<Duration, Recorded>),
    ) {
        if let (Ok(shorter), Ok(longer)) = (shorter, longer)
            && shorter > longer
        {
            self.refuse(key, format!("expected a duration that is at most `{other}`"));
        }
    }

    /// Accepts keys that nobody reads: an absent table, or the keys of a vendor that is itself in error.
    pub(super) fn know(&mut self, keys: impl IntoIterator<Item = &'d str>) {
        self.known.extend(keys);
    }

    /// Keys that belong to `owner`, for the message of an unknown key.
    pub(super) fn belong_to(&mut self, owner: &str, keys: impl IntoIterator<Item = &'d str>) {
        self.foreign.extend(keys.into_iter().map(|key| (key, owner.to_owned())));
    }

    /// Refuses every key that no reader asked for.
    pub(super) fn finish(mut self) {
        self.known.sort_unstable();
        for key in self.keys().filter(|key| !self.known.contains(key)) {
            let owner = self.foreign.iter().find(|(foreign, _)| *foreign == key);
            let message = match (owner, nearest(key, &self.known)) {
                (Some((_, owner)), _) => format!("unknown key: it belongs to {owner}"),
                (None, Some(near)) => format!("unknown key; did you mean `{near}`?"),
                (None, None) => format!("unknown key; known keys: {}", self.known.join(", ")),
            };
            self.refuse_key(key, &message);
        }
    }

    fn entry(&self, key: &str) -> Option<(&'d Spanned<Cow<'d, str>>, &'d Spanned<DeValue<'d>>)> {
        self.entries?.get_key_value(key)
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

/// The message for a value of another type. It names the type, never the value.
pub(super) fn mistyped(expected: &str, value: &DeValue<'_>) -> String {
    let found = match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    };
    format!("expected {expected}, found {found}")
}

/// The known name that was probably meant: at most one edit for every three characters.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let length = name.chars().count();
    let limit = (length / 3).max(1);
    known
        .iter()
        // A name of any length costs no more than a known one.
        .filter(|key| key.chars().count().abs_diff(length) <= limit)
        .map(|key| (strsim::levenshtein(name, key), *key))
        .filter(|(edits, _)| *edits <= limit)
        .min()
        .map(|(_, key)| key)
}

/// Whether an error repeats a key: only if it looks like one. Anything else could be a misplaced value, and a line
/// break in it would forge a line.
fn is_shown(key: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    (1..=64).contains(&key.len()) && key.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_and_a_far_one_is_not() {
        let known = ["base_url", "sid", "app_id"];
        assert_eq!(nearest("base_url", &known), Some("base_url"));
        assert_eq!(nearest("base_ur", &known), Some("base_url"));
        assert_eq!(nearest("baseurl", &known), Some("base_url"));
        assert_eq!(nearest("base-url", &known), Some("base_url"));
        assert_eq!(nearest("si", &known), Some("sid"));
        assert_eq!(nearest("token", &known), None);
        assert_eq!(nearest("", &known), None);
        // Three edits of six characters are one too many.
        assert_eq!(nearest("kitten", &["sitting"]), None);
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
