//! The errors of a configuration. No message repeats a value from the file: it could be a secret.

use std::{error::Error, fmt, io, slice};

/// A file that is no TOML at all has a syntax error in every line.
const MOST_SYNTAX_ERRORS: usize = 100;

/// Every error of one configuration, in the order of the file; its `Display` is one line per error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

/// One error: its place, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The configuration file, as the operator named it.
    pub file: String,
    /// The key's dotted path, such as `centers.acme.base_url`; empty if the file cannot be read or is not TOML.
    pub key: String,
    /// The line, from 1, if known: the value's, or that of the table in which a key is missing.
    pub line: Option<usize>,
    /// The column in characters, from 1, if known.
    pub column: Option<usize>,
    /// What was expected.
    pub message: String,
}

// === impl ConfigErrors ===

impl ConfigErrors {
    /// The errors in the order of the file; never empty.
    pub fn iter(&self) -> slice::Iter<'_, ConfigError> {
        self.0.iter()
    }

    /// Puts the errors into the order of the file; those without a place come first.
    pub(super) fn in_order(mut errors: Vec<ConfigError>) -> Self {
        errors.sort_by_key(|error| (error.line, error.column));
        Self(errors)
    }

    /// The first error of each line: the parser resumes after an error, and reports what follows from it as well.
    #[expect(clippy::disallowed_types, reason = "its span and its message are read, never its Display")]
    pub(super) fn from_syntax(file: &str, text: &str, mut parsed: Vec<toml::de::Error>) -> Self {
        parsed.sort_by_key(|error| error.span().map(|span| span.start));
        let mut errors: Vec<_> = parsed
            .iter()
            .take(MOST_SYNTAX_ERRORS)
            .map(|error| {
                let place = error.span().map(|span| place(text, span.start));
                ConfigError {
                    file: file.to_owned(),
                    key: String::new(),
                    line: place.map(|(line, _)| line),
                    column: place.map(|(_, column)| column),
                    // Unlike its `Display`, the parser's message names grammar and types, never what it read.
                    message: format!("not valid TOML: {}", error.message()),
                }
            })
            .collect();
        errors.dedup_by_key(|error| error.line);
        Self(errors)
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl Error for ConfigErrors {}

// === impl ConfigError ===

impl ConfigError {
    pub(super) fn unreadable(file: &str, cause: &io::Error) -> Self {
        Self {
            file: file.to_owned(),
            key: String::new(),
            line: None,
            column: None,
            message: format!("cannot be read: {cause}"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, key, line, column, message } = self;
        match (key.is_empty(), line, column) {
            (false, ..) => write!(f, "{file}: {key}: {message}"),
            (true, Some(line), Some(column)) => {
                write!(f, "{file}: line {line}, column {column}: {message}")
            }
            (true, ..) => write!(f, "{file}: {message}"),
        }
    }
}

impl Error for ConfigError {}

/// Line and column, both from 1, of a byte's place in the text.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at.min(text.len())];
    let is_continuation = |byte: &u8| byte & 0b1100_0000 == 0b1000_0000;
    let characters = |line: &[u8]| line.iter().filter(|byte| !is_continuation(byte)).count();
    let lines = before.split(|byte| *byte == b'\n').enumerate();
    lines.last().map_or((1, 1), |(index, line)| (index + 1, characters(line) + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let text = "a = 1\nб = 2\n";
        assert_eq!(place(text, 0), (1, 1));
        assert_eq!(place(text, 4), (1, 5));
        assert_eq!(place(text, "a = 1\nб = ".len()), (2, 5));
        assert_eq!(place(text, text.len() + 9), (3, 1));
    }

    #[test]
    fn a_line_names_file_key_and_message() {
        let mut error = ConfigError {
            file: "gateway.toml".into(),
            key: "centers.acme.sid".into(),
            line: Some(3),
            column: Some(7),
            message: "expected".into(),
        };
        assert_eq!(error.to_string(), "gateway.toml: centers.acme.sid: expected");
        error.key.clear();
        assert_eq!(error.to_string(), "gateway.toml: line 3, column 7: expected");
        (error.line, error.column) = (None, None);
        assert_eq!(error.to_string(), "gateway.toml: expected");
    }
}
