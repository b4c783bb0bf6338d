//! Text that is no JSON: a form (`k=v&k=v`), a Java map's text (`{k=v, k=v}`), or anything.

use std::borrow::Cow;

use prost_types::{Struct, Value, value::Kind};
use url::form_urlencoded;

use super::json;
use crate::redact::{Redactor, is_secret};

/// One member, as it stands in the text and as it reads.
struct Pair<'a> {
    raw: &'a str,
    key: Cow<'a, str>,
    value: Cow<'a, str>,
}

/// The member of a Java map's text that people write. Such a text escapes nothing, so what looks like another member in it
/// may be a part of it.
#[derive(Clone, Copy)]
pub struct FreeText {
    /// Its name.
    pub name: &'static str,
    /// The documented names, itself included: no other begins a member behind it.
    pub members: &'static [&'static str],
    /// Where these and no others stand before it, it is documented to come last, and is all the rest.
    pub last_behind: &'static [&'static str],
}

/// How members are written.
#[derive(Clone, Copy)]
enum Style {
    Form,
    Map,
}

/// The fields that are found in a text, and `whole`, of which the text is the part that counts, without secrets.
pub fn read(text: &str, whole: &str, free: Option<&FreeText>, redactor: &Redactor) -> (Struct, String) {
    let form = form(text).map(|pairs| (Style::Form, pairs));
    let Some((style, pairs)) = form.or_else(|| map(text, free).map(|pairs| (Style::Map, pairs))) else {
        return (Struct::default(), redactor.text(whole).unwrap_or_else(|| whole.to_owned()));
    };
    let mut fields = Struct::default();
    let mut before = None;
    let mut kept: Vec<Cow<'_, str>> = Vec::with_capacity(pairs.len());
    let mut cleaned = false;
    for Pair { raw, key, value } in pairs {
        if is_secret(&key) {
            cleaned = true;
            continue;
        }
        let (clean_key, clean_value) = (redactor.values(&key), style.clean(&value, redactor));
        let is_clean = clean_key.is_none() && clean_value.is_none();
        let key = clean_key.unwrap_or_else(|| key.into_owned());
        let value = clean_value.unwrap_or_else(|| value.into_owned());
        cleaned |= !is_clean;
        if before.is_none() && free.is_some_and(|free| free.name == key) {
            before = Some(std::mem::take(&mut fields.fields));
        }
        kept.push(if is_clean { Cow::Borrowed(raw) } else { Cow::Owned(style.write(&key, &value)) });
        fields.fields.insert(key, Value { kind: Some(Kind::StringValue(value)) });
    }
    // Of a member that comes twice the last counts: one of the two may be within the free text, behind which the true one
    // stands, unless it stands before.
    fields.fields.extend(before.unwrap_or_default());
    let text = match (cleaned, style) {
        (false, _) => whole.to_owned(),
        (true, Style::Form) => kept.join("&"),
        (true, Style::Map) => format!("{{{}}}", kept.join(", ")),
    };
    // A secret may stand where it can be seen only in the text as a whole.
    let text = redactor.values(&text).unwrap_or(text);
    (fields, text)
}

// === impl FreeText ===

impl FreeText {
    /// Where its member begins. What stands before it is nobody's free text, so the first that looks like it is it.
    fn place_in(&self, inner: &str) -> Option<usize> {
        let commas = inner.bytes().enumerate().filter(|(_, byte)| *byte == b',').map(|(at, _)| at + 1);
        std::iter::once(0).chain(commas).find(|at| name_in(inner[*at..].trim_start()) == Some(self.name))
    }
}

// === impl Style ===

impl Style {
    /// A value without secrets; `None` when it has none.
    fn clean(self, value: &str, redactor: &Redactor) -> Option<String> {
        let cleaned = json::clean(redactor, value, 0);
        match self {
            Self::Form => cleaned,
            // An open brace in a value hides where the next member begins.
            Self::Map => redactor.text(cleaned.as_deref().unwrap_or(value)).or(cleaned),
        }
    }

    fn write(self, key: &str, value: &str) -> String {
        match self {
            Self::Form => form_urlencoded::Serializer::new(String::new()).append_pair(key, value).finish(),
            Self::Map => format!("{key}={value}"),
        }
    }
}

/// The members of a form. A text without `=`, or with a name that no form has, is none.
fn form(text: &str) -> Option<Vec<Pair<'_>>> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]%+".contains(&byte);
    let pairs = text.split('&').filter(|raw| !raw.is_empty()).map(|raw| {
        let (name, value) = raw.split_once('=')?;
        let fits = !name.is_empty() && name.bytes().all(is_name) && !value.contains(char::is_whitespace);
        let (key, value) = form_urlencoded::parse(raw.as_bytes()).next().filter(|_| fits)?;
        Some(Pair { raw, key, value })
    });
    pairs.collect::<Option<Vec<_>>>().filter(|pairs| !pairs.is_empty())
}

/// The members of what Java's `AbstractMap.toString` writes.
fn map<'a>(text: &'a str, free: Option<&FreeText>) -> Option<Vec<Pair<'a>>> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let Some((free, place)) = free.and_then(|free| Some((free, free.place_in(inner)?))) else { return outside(inner) };
    let mut pairs = match inner[..place].strip_suffix(',') {
        Some(before) => outside(before)?,
        None => Vec::new(),
    };
    let is_before = |name: &&str| pairs.iter().any(|pair| pair.key == *name);
    let is_last = pairs.len() == free.last_behind.len() && free.last_behind.iter().all(is_before);
    pairs.extend(members(&inner[place..], false, |name| !is_last && free.members.contains(&name))?);
    Some(pairs)
}

/// The members where there is no free text. A bracket that stays open is a character of some value.
fn outside(inner: &str) -> Option<Vec<Pair<'_>>> {
    members(inner, true, |_| true).or_else(|| members(inner, false, |_| true))
}

/// The members of a part of such a text. Nothing in it is escaped, so a comma parts members only where a name and `=`
/// follow: Huawei's times have commas. `None` where a bracket stays open that hides what is nested in it.
fn members(inner: &str, is_nested: bool, is_name: impl Fn(&str) -> bool) -> Option<Vec<Pair<'_>>> {
    let mut starts = vec![0];
    let mut open = 0_usize;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'{' | b'[' if is_nested => open += 1,
            b'}' | b']' if is_nested => open = open.saturating_sub(1),
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

fn member(raw: &str) -> Option<Pair<'_>> {
    let key = name_in(raw)?;
    Some(Pair { raw, key: key.into(), value: raw[key.len() + 1..].trim().into() })
}

/// The name that a text begins with, if `=` follows.
fn name_in(text: &str) -> Option<&str> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let name = &text[..text.bytes().take_while(is_name).count()];
    (name.starts_with(|first: char| first.is_ascii_alphabetic()) && text[name.len()..].starts_with('=')).then_some(name)
}
