//! Text that is no JSON: a form (`k=v&k=v`), a Java map's text (`{k=v, k=v}`), or anything.

use std::borrow::Cow;

use prost_types::{Struct, Value, value::Kind};
use url::form_urlencoded;

use super::{json, scrub::Scrub};
use crate::vendor_data::is_secret;

/// One member, as it stands in the text and as it reads.
struct Pair<'a> {
    raw: &'a str,
    key: Cow<'a, str>,
    value: Cow<'a, str>,
}

/// How members are written.
#[derive(Clone, Copy)]
enum Style {
    Form,
    Map,
}

/// The fields that are found in a text, and `whole`, of which the text is the part that counts, without secrets.
pub fn read(text: &str, whole: &str, scrub: &Scrub) -> (Struct, String) {
    let (style, pairs) = match (form(text), map(text)) {
        (Some(pairs), _) => (Style::Form, pairs),
        (None, Some(pairs)) => (Style::Map, pairs),
        (None, None) => {
            return (Struct::default(), scrub.text(whole).unwrap_or_else(|| whole.to_owned()));
        }
    };
    let mut fields = Struct::default();
    let mut kept: Vec<Cow<'_, str>> = Vec::with_capacity(pairs.len());
    let mut cleaned = false;
    for Pair { raw, key, value } in pairs {
        if is_secret(&key) {
            cleaned = true;
            continue;
        }
        let (clean_key, clean_value) = (scrub.values(&key), style.clean(&value, scrub));
        let is_clean = clean_key.is_none() && clean_value.is_none();
        let key = clean_key.unwrap_or_else(|| key.into_owned());
        let value = clean_value.unwrap_or_else(|| value.into_owned());
        cleaned |= !is_clean;
        kept.push(if is_clean { Cow::Borrowed(raw) } else { Cow::Owned(style.write(&key, &value)) });
        fields.fields.insert(key, Value { kind: Some(Kind::StringValue(value)) });
    }
    let text = match (cleaned, style) {
        (false, _) => whole.to_owned(),
        (true, Style::Form) => kept.join("&"),
        (true, Style::Map) => format!("{{{}}}", kept.join(", ")),
    };
    // A secret may stand where it can be seen only in the text as a whole.
    let text = scrub.values(&text).unwrap_or(text);
    (fields, text)
}

impl Style {
    /// A value without secrets; `None` when it has none.
    fn clean(self, value: &str, scrub: &Scrub) -> Option<String> {
        let cleaned = json::clean(scrub, value, 0);
        match self {
            Self::Form => cleaned,
            // An open brace in a value hides where the next member begins.
            Self::Map => scrub.text(cleaned.as_deref().unwrap_or(value)).or(cleaned),
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

/// The members of what Java's `AbstractMap.toString` writes. It escapes nothing, so a comma parts members only where a
/// name and `=` follow: Huawei's times have commas.
fn map(text: &str) -> Option<Vec<Pair<'_>>> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let mut starts = vec![0];
    let mut open = 0_usize;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open = open.saturating_sub(1),
            b',' if open == 0 && name_in(inner[at + 1..].trim_start()).is_some() => starts.push(at + 1),
            _ => {}
        }
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
