//! A call that passed every check of its row: the input of a handler.

use serde_json::{Map, Value};

use super::quirks::{Quirk, Quirks};

/// A decoded query string, in the order sent.
#[derive(Clone)]
pub(super) struct Query(Vec<(String, String)>);

/// A call that passed every check of its row.
pub(super) struct Call<'a> {
    /// The ID in the path, `""` if the path has none.
    pub(super) id: &'a str,
    pub(super) query: &'a Query,
    pub(super) body: &'a Map<String, Value>,
    pub(super) quirks: Quirks,
}

// === impl Query ===

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        Self(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// The value of `name`; `None` if it is absent or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(super) fn push(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

// === impl Call ===

impl Call<'_> {
    /// A text of the body that the table requires.
    pub(super) fn text(&self, name: &str) -> &str {
        self.text_if_given(name).unwrap_or_default()
    }

    /// A text of the body; `None` if it is absent.
    pub(super) fn text_if_given(&self, name: &str) -> Option<&str> {
        self.body.get(name)?.as_str()
    }

    /// An integer of the body; `None` if it is absent.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.body.get(name)?.as_i64()
    }

    /// A boolean of the body; `None` if it is absent.
    pub(super) fn boolean(&self, name: &str) -> Option<bool> {
        self.body.get(name)?.as_bool()
    }

    /// A list of texts of the body, each once, in the order sent.
    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        texts(self.body.get(name))
    }

    pub(super) fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(quirk)
    }
}

/// The texts of a list, each once, in the order sent.
pub(super) fn texts(list: Option<&Value>) -> Vec<&str> {
    let mut texts = Vec::new();
    for text in list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}
