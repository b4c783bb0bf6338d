//! Payloads of events: JSON with placeholders, embedded or read from a directory.

use std::{
    collections::BTreeSet,
    fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use serde_json::{Map, Value};

use super::placeholders::{STAMPED, examples};
use crate::udesk::event::{Event, NAMES};

/// Longest template, in bytes.
const MAX_TEMPLATE: u64 = 64 * 1024;

/// The simulator's own templates.
const EMBEDDED: [(&str, &str); 20] = {
    macro_rules! embedded {
        ($($name:literal)*) => { [$(($name, include_str!(concat!($name, ".json")))),*] };
    }
    embedded! {
        "acd_agent_state" "extension_state_update" "agent_call_mode_change" "general_hangup" "enqueue_succ"
        "record_stop" "hangup_cause" "dequeue_succ" "start_dialout" "voice_mail_succ" "play_succ" "dtmf_gather_succ"
        "asr_gather_succ" "consult_succ" "end_consult_succ" "three_way_succ" "substitute_succ" "hold_agent_succ"
        "extern_succ" "eavesdrop_succ"
    }
};

/// The payloads of events, with placeholders. The default is the simulator's own payloads.
#[derive(Clone)]
pub struct EventTemplates(Arc<[(&'static str, Template)]>);

/// Why a directory of templates cannot be used. It quotes nothing of a file, because a captured event holds people's
/// data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    file: PathBuf,
    problem: String,
}

/// What every payload has beside the event's own fields.
pub(in crate::udesk) struct Stamp<'a> {
    pub(in crate::udesk) app_id: &'a str,
    pub(in crate::udesk) msg_id: &'a str,
    /// Milliseconds since 1970.
    pub(in crate::udesk) timestamp: u64,
}

/// One payload.
struct Template {
    payload: Value,
    placeholders: BTreeSet<String>,
}

// === impl EventTemplates ===

impl EventTemplates {
    /// Reads `directory/<event name>.json`. An event without a file keeps the simulator's own payload.
    ///
    /// # Errors
    /// The directory or a file cannot be read, a `.json` file does not have an event's name, or a file is not a JSON
    /// object of at most 64 KiB with known placeholders.
    pub fn read(directory: &Path) -> Result<Self, TemplateError> {
        let unreadable = |error: io::Error| TemplateError::new(directory, format!("cannot be read: {}", error.kind()));
        let mut files = Vec::new();
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            if file.extension().is_some_and(|extension| extension == "json") {
                files.push(file);
            }
        }
        files.sort();
        let mut templates: Vec<(&'static str, Template)> = embedded().collect();
        for file in files {
            let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let Some((_, template)) = templates.iter_mut().find(|(name, _)| *name == stem) else {
                let expected = format!("is not named for an event; there are {}", NAMES.join(", "));
                return Err(TemplateError::new(&file, expected));
            };
            let text = read(&file).map_err(|problem| TemplateError::new(&file, problem))?;
            *template = Template::parse(&text).map_err(|problem| TemplateError::new(&file, problem))?;
        }
        Ok(Self(templates.into()))
    }

    /// The payload of an event.
    pub(in crate::udesk) fn fill(&self, event: &Event, stamp: &Stamp<'_>) -> Bytes {
        let Event { name, fields, overrides } = event;
        let Stamp { app_id, msg_id, timestamp } = *stamp;
        let Some((_, template)) = self.0.iter().find(|(known, _)| known == name) else {
            return Bytes::new();
        };
        let value = |placeholder: &str| match (fields.get(placeholder), placeholder) {
            (Some(field), _) => field.clone(),
            (None, "Event") => (*name).into(),
            (None, "MsgId") => msg_id.into(),
            (None, "Timestamp") => timestamp.into(),
            (None, "AppId") => app_id.into(),
            (None, _) => Value::Null,
        };
        let mut payload = filled(&template.payload, &value);
        if let Value::Object(payload) = &mut payload {
            payload.extend(overrides.iter().map(|(name, field)| (name.clone(), field.clone())));
        }
        Bytes::from(payload.to_string())
    }

    /// Whether an event's template has this placeholder.
    pub(in crate::udesk) fn has_placeholder(&self, event: &str, placeholder: &str) -> bool {
        self.0.iter().any(|(name, template)| *name == event && template.placeholders.contains(placeholder))
    }
}

impl Default for EventTemplates {
    fn default() -> Self {
        Self(embedded().collect())
    }
}

impl fmt::Debug for EventTemplates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventTemplates").finish_non_exhaustive()
    }
}

// === impl TemplateError ===

impl TemplateError {
    fn new(file: &Path, problem: impl Into<String>) -> Self {
        Self { file: file.to_owned(), problem: problem.into() }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.problem)
    }
}

impl std::error::Error for TemplateError {}

// === impl Template ===

impl Template {
    fn parse(text: &str) -> Result<Self, String> {
        let payload: Value = serde_json::from_str(text)
            .map_err(|error| format!("not JSON at line {}, column {}", error.line(), error.column()))?;
        if !payload.is_object() {
            return Err("not a JSON object".to_owned());
        }
        let mut placeholders = BTreeSet::new();
        collect(&payload, &mut placeholders);
        let known: Map<String, Value> = examples("");
        let is_known = |name: &str| known.contains_key(name) || STAMPED.contains(&name);
        if let Some(unknown) = placeholders.iter().find(|name| !is_known(name)) {
            let names: Vec<&str> = STAMPED.into_iter().chain(known.keys().map(String::as_str)).collect();
            let line = line_of(text, unknown).map_or_else(String::new, |line| format!(" in line {line}"));
            return Err(format!("no such placeholder{line}; there are {}", names.join(", ")));
        }
        Ok(Self { payload, placeholders })
    }
}

fn embedded() -> impl Iterator<Item = (&'static str, Template)> {
    // A test parses each of them.
    EMBEDDED.into_iter().filter_map(|(name, text)| Some((name, Template::parse(text).ok()?)))
}

fn read(file: &Path) -> Result<String, String> {
    let mut text = String::new();
    let opened = fs::File::open(file);
    opened
        .and_then(|opened| opened.take(MAX_TEMPLATE + 1).read_to_string(&mut text))
        .map_err(|error| format!("cannot be read: {}", error.kind()))?;
    if text.len() as u64 > MAX_TEMPLATE {
        return Err(format!("longer than {MAX_TEMPLATE} bytes"));
    }
    Ok(text)
}

/// The line of a placeholder; `None` if JSON escapes spell it.
fn line_of(text: &str, placeholder: &str) -> Option<usize> {
    let start = text.find(&format!("{{{{{}", placeholder.trim_start_matches('{')))?;
    Some(text[..start].matches('\n').count() + 1)
}

/// Splits a text at its first placeholder: before, name, after. An unclosed placeholder gets a name that is unknown.
fn split(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (name, after) = rest.split_once("}}").unwrap_or((&text[before.len()..], ""));
    Some((before, name, after))
}

fn collect(value: &Value, placeholders: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            let mut rest = text.as_str();
            while let Some((_, name, after)) = split(rest) {
                placeholders.insert(name.to_owned());
                rest = after;
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, placeholders)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, placeholders)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn filled(template: &Value, value: &impl Fn(&str) -> Value) -> Value {
    match template {
        Value::String(text) => match split(text) {
            None => template.clone(),
            Some(("", name, "")) => value(name),
            Some(_) => filled_text(text, value).into(),
        },
        Value::Array(items) => items.iter().map(|item| filled(item, value)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, field)| (name.clone(), filled(field, value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    }
}

fn filled_text(text: &str, value: &impl Fn(&str) -> Value) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, name, after)) = split(rest) {
        done.push_str(before);
        match value(name) {
            Value::Null => {}
            Value::String(text) => done.push_str(&text),
            other => done.push_str(&other.to_string()),
        }
        rest = after;
    }
    done + rest
}

#[cfg(test)]
mod tests {
    use std::fs::write;

    use proptest::prelude::*;
    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    const STAMP: Stamp<'_> = Stamp { app_id: "app", msg_id: "m-1", timestamp: 1_700_000_000_123 };

    fn payload(templates: &EventTemplates, event: &Event) -> Value {
        serde_json::from_slice(&templates.fill(event, &STAMP)).unwrap()
    }

    fn in_directory(files: &[(&str, &str)]) -> (TempDir, Result<EventTemplates, TemplateError>) {
        let directory = TempDir::new().unwrap();
        for (name, text) in files {
            write(directory.path().join(name), text).unwrap();
        }
        let read = EventTemplates::read(directory.path());
        (directory, read)
    }

    #[test]
    fn every_payload_is_whole() {
        let templates = EventTemplates::default();
        assert_eq!(EMBEDDED.map(|(name, _)| name), NAMES);
        for name in NAMES {
            let event = Event { fields: examples("app"), ..Event::new(name) };
            let payload = payload(&templates, &event);
            assert_eq!(
                (&payload["Event"], &payload["MsgId"], &payload["Timestamp"], &payload["AppId"]),
                (&json!(name), &json!("m-1"), &json!(1_700_000_000_123_u64), &json!("app")),
            );
            let fields = payload.as_object().unwrap();
            assert!(fields.values().all(|field| !field.is_null() && !field.to_string().contains("{{")), "{payload}");
            // No payload is a copy of another.
            assert!(fields.contains_key("CallId") != fields.contains_key("State") || name.starts_with(['e', 'a']));
        }
    }

    #[test]
    fn placeholders_become_values_and_texts() {
        let text =
            r#"{"a": ["{{State}}", "{{Digits}} of {{State}}", {"b": "{{CallId}}"}], "c": 7, "d": "-{{CallId}}"}"#;
        let (_directory, templates) = in_directory(&[("play_succ.json", text), ("notes.txt", "{{")]);
        let event = Event::new("play_succ").with("State", 3).with("Digits", "4\"2");
        let payload = payload(&templates.unwrap(), &event);
        assert_eq!(payload, json!({ "a": [3, "4\"2 of 3", { "b": null }], "c": 7, "d": "-" }));
    }

    #[test]
    fn a_file_replaces_its_own_payload_only() {
        let (_directory, templates) = in_directory(&[("play_succ.json", r#"{"event_type": "{{Event}}"}"#)]);
        let templates = templates.unwrap();
        assert_eq!(payload(&templates, &Event::new("play_succ")), json!({ "event_type": "play_succ" }));
        assert_eq!(payload(&templates, &Event::new("asr_gather_succ"))["Event"], "asr_gather_succ");
        assert!(templates.has_placeholder("play_succ", "Event") && !templates.has_placeholder("play_succ", "MsgId"));
    }

    #[test]
    fn a_file_that_is_no_template_is_named_and_not_quoted() {
        let long = " ".repeat(65_537);
        for (name, text, problem) in [
            ("play_succ.json", "{\"hidden\": ", "not JSON at line 1, column"),
            ("play_succ.json", "[\"hidden\"]", "not a JSON object"),
            (
                "play_succ.json",
                "{\n\"hidden\": \"{{hidden}}\"}",
                "no such placeholder in line 2; there are Event, MsgId",
            ),
            ("play_succ.json", "{\"hidden\": \"{{AgentId\"}", "no such placeholder in line 1; "),
            ("play_succ.json", "{\"hidden\": \"{\\u007bhidden}}\"}", "no such placeholder; "),
            ("play_succ.json", &long, "longer than 65536 bytes"),
            ("hidden.json", "{}", "is not named for an event; there are acd_agent_state, "),
        ] {
            let (directory, read) = in_directory(&[(name, text)]);
            let error = read.unwrap_err().to_string();
            let file = directory.path().join(name).display().to_string();
            let text = error.strip_prefix(&format!("{file}: ")).unwrap_or_else(|| panic!("{error}"));
            assert!(text.starts_with(problem) && !text.contains("hidden"), "{error}");
        }
        let nowhere = EventTemplates::read(Path::new("no/such/directory")).unwrap_err().to_string();
        assert_eq!(nowhere, "no/such/directory: cannot be read: entity not found");
    }

    proptest! {
        #[test]
        fn any_text_is_a_template_or_refused(text in "[{}\"a-z: AgentId]{0,40}") {
            let payload = json!({ "a": text }).to_string();
            if let Ok(template) = Template::parse(&payload) {
                let filled = filled(&template.payload, &|_| json!("1001"));
                prop_assert_eq!(filled, json!({ "a": text.replace("{{AgentId}}", "1001").replace("{{Text}}", "1001") }));
            }
        }
    }
}
