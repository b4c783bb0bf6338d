//! Text that is no JSON: a form (`k=v&k=v`), a Java map's text (`{k=v, k=v}`), or any other text.

use std::borrow::Cow;

use prost_types::{Struct, Value, value::Kind};
use url::form_urlencoded;

use super::json;
use crate::redact::{Redactor, is_secret};

/// One member: its raw text, and its decoded name and value.
struct Member<'a> {
    raw: &'a str,
    key: Cow<'a, str>,
    value: Cow<'a, str>,
}

/// The member of a Java map's text that holds free text. `AbstractMap.toString` escapes nothing, so text that looks
/// like another member may be part of the free text.
#[derive(Clone, Copy)]
pub(crate) struct FreeText {
    /// Its name.
    pub name: &'static str,
    /// The documented names, including its own: only they begin a member behind the free text.
    pub members: &'static [&'static str],
    /// When exactly these members precede it, the document says that it is the last member: it extends to the end.
    pub last_behind: &'static [&'static str],
}

/// How members are written.
#[derive(Clone, Copy)]
enum Style {
    Form,
    Map,
}

/// The fields of a text, and the redacted `whole`, of which `text` is the trimmed part.
pub(super) fn read(text: &str, whole: &str, free: Option<&FreeText>, redactor: &Redactor) -> (Struct, String) {
    let form = form(text).map(|pairs| (Style::Form, pairs));
    let Some((style, pairs)) = form.or_else(|| map(text, free).map(|pairs| (Style::Map, pairs))) else {
        return (Struct::default(), redactor.text(whole).unwrap_or_else(|| whole.to_owned()));
    };
    let mut fields = Struct::default();
    let mut members_before = None;
    let mut written: Vec<Cow<'_, str>> = Vec::with_capacity(pairs.len());
    let mut redacted = false;
    for Member { raw, key, value } in pairs {
        if is_secret(&key) {
            redacted = true;
            continue;
        }
        let (redacted_key, redacted_value) = (redactor.values(&key), style.redact(&value, redactor));
        let unchanged = redacted_key.is_none() && redacted_value.is_none();
        let key = redacted_key.unwrap_or_else(|| key.into_owned());
        let value = redacted_value.unwrap_or_else(|| value.into_owned());
        redacted |= !unchanged;
        if members_before.is_none() && free.is_some_and(|free| free.name == key) {
            members_before = Some(std::mem::take(&mut fields.fields));
        }
        written.push(if unchanged { Cow::Borrowed(raw) } else { Cow::Owned(style.write(&key, &value)) });
        fields.fields.insert(key, Value { kind: Some(Kind::StringValue(value)) });
    }
    // A member before the free text wins over one behind it; otherwise the last of several members with one name wins,
    // because the free text may contain the others.
    fields.fields.extend(members_before.unwrap_or_default());
    let text = match (redacted, style) {
        (false, _) => whole.to_owned(),
        (true, Style::Form) => written.join("&"),
        (true, Style::Map) => format!("{{{}}}", written.join(", ")),
    };
    // A secret may span several members.
    let text = redactor.values(&text).unwrap_or(text);
    (fields, text)
}

// === impl FreeText ===

impl FreeText {
    /// Where its member begins. The text before it is no free text, so the first match is the member.
    fn position_in(&self, inner: &str) -> Option<usize> {
        let commas = inner.bytes().enumerate().filter(|(_, byte)| *byte == b',').map(|(at, _)| at + 1);
        std::iter::once(0).chain(commas).find(|at| name_in(inner[*at..].trim_start()) == Some(self.name))
    }
}

// === impl Style ===

impl Style {
    /// The redacted value; `None` when it has no secrets.
    fn redact(self, value: &str, redactor: &Redactor) -> Option<String> {
        let redacted = json::redact(redactor, value, 0);
        match self {
            Self::Form => redacted,
            // An open brace in a value may hide the start of the next member.
            Self::Map => redactor.text(redacted.as_deref().unwrap_or(value)).or(redacted),
        }
    }

    fn write(self, key: &str, value: &str) -> String {
        match self {
            Self::Form => form_urlencoded::Serializer::new(String::new()).append_pair(key, value).finish(),
            Self::Map => format!("{key}={value}"),
        }
    }
}

/// The members of a form; `None` for a text without `=`, or with a name that no form has.
fn form(text: &str) -> Option<Vec<Member<'_>>> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]%+".contains(&byte);
    let pairs = text.split('&').filter(|raw| !raw.is_empty()).map(|raw| {
        let (name, value) = raw.split_once('=')?;
        let fits = !name.is_empty() && name.bytes().all(is_name) && !value.contains(char::is_whitespace);
        let (key, value) = form_urlencoded::parse(raw.as_bytes()).next().filter(|_| fits)?;
        Some(Member { raw, key, value })
    });
    pairs.collect::<Option<Vec<_>>>().filter(|pairs| !pairs.is_empty())
}

/// The members of the text that Java's `AbstractMap.toString` writes.
fn map<'a>(text: &'a str, free: Option<&FreeText>) -> Option<Vec<Member<'a>>> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let Some((free, position)) = free.and_then(|free| Some((free, free.position_in(inner)?))) else {
        return members_without_free_text(inner);
    };
    let mut pairs = match inner[..position].strip_suffix(',') {
        Some(members_before) => members_without_free_text(members_before)?,
        None => Vec::new(),
    };
    let is_before = |name: &&str| pairs.iter().any(|pair| pair.key == *name);
    let is_last = pairs.len() == free.last_behind.len() && free.last_behind.iter().all(is_before);
    pairs.extend(members(&inner[position..], false, |name| !is_last && free.members.contains(&name))?);
    Some(pairs)
}

/// The members of a part without free text. An unclosed bracket is a character of a value.
fn members_without_free_text(inner: &str) -> Option<Vec<Member<'_>>> {
    members(inner, true, |_| true).or_else(|| members(inner, false, |_| true))
}

/// The members of a part of a Java map's text. It escapes nothing, so a comma separates members only where a name and
/// `=` follow: Huawei's times have commas. `None` when brackets nest and one is unclosed.
fn members(inner: &str, is_nested: bool, is_name: impl Fn(&str) -> bool) -> Option<Vec<Member<'_>>> {
    let mut starts = vec![0];
    let mut open = 0_usize;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'{' | b'[' if is_nested => open += 1,
            b'}' | b']' => open = open.saturating_sub(1),
            b',' if open == 0 && name_in(inner[at + 1..].trim_start()).is_some_and(&is_name) => starts.push(at + 1),
            _ => {}
        }
    }
    if open > 0 {
        return None;
    }
    let ends = starts[1..].iter().map(|start| start - 1).chain([inner.len()]);
    starts.iter().zip(ends).map(|(start, end)| member(inner[*start..end].trim())).collect()
}

fn member(raw: &str) -> Option<Member<'_>> {
    let key = name_in(raw)?;
    Some(Member { raw, key: key.into(), value: raw[key.len() + 1..].trim().into() })
}

/// The name at the start of a text, if `=` follows it.
fn name_in(text: &str) -> Option<&str> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let name = &text[..text.bytes().take_while(is_name).count()];
    (name.starts_with(|first: char| first.is_ascii_alphabetic()) && text[name.len()..].starts_with('=')).then_some(name)
}
