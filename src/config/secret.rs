//! Secrets: a plain string, `{ env = "NAME" }` or `{ file = "path" }`. No message repeats one.

use std::{
    fs::File,
    io::{self, Read},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};
use toml::{
    Value,
    de::{DeTable, DeValue},
};

use super::{
    key::Kind,
    table::{Document, Parsed, mistyped},
};

/// Completes "expected ...".
pub(super) const SECRET: &str = r#"a secret: a string, { env = "NAME" } or { file = "PATH" }"#;

/// The largest secret file in bytes: the path of a device, given by mistake, is not read forever.
const LARGEST_FILE: u64 = 64 * 1024;

/// Any secret of one line.
pub(super) fn secret() -> Kind<SecretString> {
    Kind::new(SECRET, |table, value| read_line(table.document(), value).map(SecretString::from))
}

/// A secret that nobody issues: the operator chooses it, and who guesses it can post events.
pub(super) fn unguessable(kind: Kind<SecretString>) -> Kind<SecretString> {
    kind.filter("at least 16 bytes", |secret| secret.expose_secret().len() >= 16)
}

/// A secret that is a segment of a path: another character would never match what a client sends.
pub(super) fn path_segment() -> Kind<SecretString> {
    const SEGMENT: &str = "a path segment of letters, digits, `-`, `.`, `_` and `~` only";
    Kind::new(format!("{SECRET}; {SEGMENT}"), |table, value| {
        let segment = read_line(table.document(), value)?;
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if !segment.bytes().all(is_unreserved) || segment == "." || segment == ".." {
            return Err(format!("expected {SEGMENT}"));
        }
        Ok(SecretString::from(segment))
    })
}

/// An example: `{ env = "NAME" }`.
pub(super) fn env(name: &str) -> Value {
    Value::Table([("env".to_owned(), name.into())].into_iter().collect())
}

/// An example: `{ file = "PATH" }`.
pub(super) fn file(path: &str) -> Value {
    Value::Table([("file".to_owned(), path.into())].into_iter().collect())
}

/// The text of a secret, for further checks. It may have several lines.
pub(super) fn read(document: &Document<'_>, value: &DeValue<'_>) -> Parsed<String> {
    read_with(document, value, |character| is_invisible(character) && !matches!(character, '\r' | '\n'))
}

/// The same in one line.
pub(super) fn read_line(document: &Document<'_>, value: &DeValue<'_>) -> Parsed<String> {
    read_with(document, value, is_invisible)
}

fn read_with(document: &Document<'_>, value: &DeValue<'_>, is_refused: fn(char) -> bool) -> Parsed<String> {
    match value {
        DeValue::String(text) if text.is_empty() => Err("expected a secret, found an empty string".to_owned()),
        DeValue::String(text) => trimmed(text, "the string", is_refused),
        DeValue::Table(source) => from_source(document, source, is_refused),
        other => Err(mistyped(SECRET, other)),
    }
}

/// The secret in a text. Editors and shells put a byte order mark before it and line breaks after it; other characters
/// that nobody sees are refused, because a signature with one of them is wrong, and nothing shows why.
fn trimmed(text: &str, source: &str, is_refused: fn(char) -> bool) -> Parsed<String> {
    let secret = text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(format!("{source} is empty"));
    }
    if secret.contains(is_refused) {
        return Err(format!("{source} has a control character or an invisible one"));
    }
    if secret.trim() != secret {
        return Err(format!("{source} has white space at an end"));
    }
    Ok(secret.to_owned())
}

/// What a renderer shows nothing for: control characters, line separators, Unicode's `Default_Ignorable_Code_Point`,
/// other format characters, and a blank that is no white space to Unicode.
const INVISIBLE: &[RangeInclusive<char>] = &[
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

fn is_invisible(character: char) -> bool {
    character.is_control() || INVISIBLE.iter().any(|range| range.contains(&character))
}

/// The file of a secret that comes from one.
pub(super) fn file_of(document: &Document<'_>, value: &DeValue<'_>) -> Option<PathBuf> {
    Some(document.folder.join(value.get("file")?.get_ref().as_str()?))
}

/// The secret of one line in a file.
pub(super) fn read_file_line(path: &Path) -> Parsed<String> {
    read_file(path, is_invisible)
}

fn from_source(document: &Document<'_>, source: &DeTable<'_>, is_refused: fn(char) -> bool) -> Parsed<String> {
    let mut entries = source.iter().map(|(key, value)| (key.get_ref().as_ref(), value.get_ref()));
    match (entries.next(), entries.next()) {
        (Some(("env", DeValue::String(name))), None) => from_variable(document, name, is_refused),
        (Some(("file", DeValue::String(path))), None) => from_file(document, path, is_refused),
        (Some((key @ ("env" | "file"), other)), None) => Err(mistyped(&format!("a string as `{key}`"), other)),
        // No key is named: one of them may be the secret itself.
        _ => Err(r#"expected { env = "NAME" } or { file = "PATH" }, and no other key"#.to_owned()),
    }
}

fn from_variable(document: &Document<'_>, name: &str, is_refused: fn(char) -> bool) -> Parsed<String> {
    // A name in another spelling is not repeated: it may be the secret, put there by mistake.
    let is_usual = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let shown = if !name.is_empty() && name.bytes().all(is_usual) { name } else { "named here" };
    match (document.lookup)(name) {
        None => Err(format!("the environment variable {shown} is not set, or not UTF-8 text")),
        Some(value) => trimmed(&value, &format!("the environment variable {shown}"), is_refused),
    }
}

fn from_file(document: &Document<'_>, path: &str, is_refused: fn(char) -> bool) -> Parsed<String> {
    if path.is_empty() {
        return Err("expected a path as `file`, found an empty string".to_owned());
    }
    read_file(&document.folder.join(path), is_refused)
}

fn read_file(path: &Path, is_refused: fn(char) -> bool) -> Parsed<String> {
    let shown = path.to_string_lossy();
    let mut text = String::new();
    let length =
        File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_string(&mut text)).map_err(|cause| {
            match cause.kind() {
                io::ErrorKind::InvalidData => format!("the file {shown:?} is not UTF-8 text"),
                _ => format!("the file {shown:?} cannot be read: {cause}"),
            }
        })?;
    if length as u64 > LARGEST_FILE {
        return Err(format!("the file {shown:?} is larger than 64KiB"));
    }
    trimmed(&text, &format!("the file {shown:?}"), is_refused)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::{
        Config,
        table::Table,
        tests::{ACME, BETA, read_text},
    };

    fn read(folder: &Path, value: &str) -> Parsed<String> {
        let lookup = |name: &str| match name {
            "SET" | "set" => Some("from the environment".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let text = format!("key = {value}");
        let root = DeTable::parse(&text).unwrap();
        let document = Document::new("gateway.toml", &text, root.get_ref(), folder, &lookup);
        let table = Table::root(&document);
        secret().parse(&table, table.peek("key").unwrap()).map(|secret| secret.expose_secret().to_owned())
    }

    fn refusal(value: &str) -> String {
        read(Path::new(""), value).unwrap_err()
    }

    #[test]
    fn a_secret_is_a_string_or_comes_from_the_environment() {
        assert_eq!(read(Path::new(""), r#""plain""#).unwrap(), "plain");
        assert_eq!(read(Path::new(""), r#"{ env = "SET" }"#).unwrap(), "from the environment");
        assert_eq!(read(Path::new(""), r#"{ env = "set" }"#).unwrap(), "from the environment");
    }

    #[test]
    fn a_byte_order_mark_and_line_breaks_at_the_end_are_no_part_of_it() {
        for content in ["a b", "a b\n", "a b\r\n", "a b\n\n", "a b\r", "\u{feff}a b", "\u{feff}a b\r\n"] {
            for read in read_everywhere(content) {
                assert_eq!(read.unwrap(), "a b", "{content:?}");
            }
        }
    }

    #[test]
    fn what_nobody_sees_is_refused() {
        for (content, expected) in [
            ("a\0", "has a control character or an invisible one"),
            ("\0a", "has a control character or an invisible one"),
            ("a\nb", "has a control character or an invisible one"),
            ("a\tb", "has a control character or an invisible one"),
            ("a\u{200b}", "has a control character or an invisible one"),
            ("a\u{feff}b", "has a control character or an invisible one"),
            ("a\u{3164}b", "has a control character or an invisible one"),
            ("a\u{e0020}", "has a control character or an invisible one"),
            ("a\u{180e}b", "has a control character or an invisible one"),
            ("a\u{1bca2}b", "has a control character or an invisible one"),
            ("a\u{2800}", "has a control character or an invisible one"),
            ("a\u{fe0f}", "has a control character or an invisible one"),
            ("a\u{7f}", "has a control character or an invisible one"),
            (" a", "has white space at an end"),
            ("a ", "has white space at an end"),
            ("a \n", "has white space at an end"),
            ("a\u{a0}", "has white space at an end"),
            ("\u{feff}\n", "is empty"),
        ] {
            for read in read_everywhere(content) {
                let refusal = read.unwrap_err();
                assert!(refusal.ends_with(expected), "{content:?}: {refusal}");
            }
        }
    }

    #[test]
    fn every_character_that_unicode_says_to_ignore_is_invisible() {
        // `Default_Ignorable_Code_Point` of Unicode 16 (DerivedCoreProperties.txt): 4,174 characters.
        let ignorable = [
            (0xad, 0xad),
            (0x34f, 0x34f),
            (0x61c, 0x61c),
            (0x115f, 0x1160),
            (0x17b4, 0x17b5),
            (0x180b, 0x180f),
            (0x200b, 0x200f),
            (0x202a, 0x202e),
            (0x2060, 0x206f),
            (0x3164, 0x3164),
            (0xfe00, 0xfe0f),
            (0xfeff, 0xfeff),
            (0xffa0, 0xffa0),
            (0xfff0, 0xfff8),
            (0x1bca0, 0x1bca3),
            (0x1d173, 0x1d17a),
            (0xe0000, 0xe0fff),
        ];
        let characters = ignorable.into_iter().flat_map(|(first, last)| first..=last).filter_map(char::from_u32);
        assert_eq!(characters.clone().count(), 4174);
        for character in characters {
            let secret = format!("a{character}b");
            assert!(trimmed(&secret, "the string", is_invisible).is_err(), "{:x}", u32::from(character));
        }
        for visible in ['a', '~', '\u{a1}', 'é', '你', '\u{1f511}', '\u{fffd}'] {
            assert!(!is_invisible(visible), "{visible}");
        }
    }

    #[test]
    fn a_secret_that_the_operator_chooses_is_long() {
        let read = |text: &str| read_text(&unguessable(secret()), text);
        assert_eq!(read(&"k".repeat(15)).unwrap_err(), "expected at least 16 bytes");
        assert!(read(&"k".repeat(16)).is_ok());
        for (text, key) in [
            (format!("[events]\ncallback_key = 'short'\n{ACME}"), "events.callback_key"),
            (format!("{BETA}callback_secret = 'short'\n"), "centers.beta.callback_secret"),
        ] {
            let expected = format!("gateway.toml: {key}: expected at least 16 bytes");
            assert_eq!(crate::config::tests::refusal(&text), expected);
        }
    }

    /// The secret of this content as a string, from the environment and from a file.
    fn read_everywhere(content: &str) -> [Parsed<String>; 3] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), content).unwrap();
        let lookup = |_: &str| Some(content.to_owned());
        [toml::Value::from(content), env("ANY"), file("secret")].map(|value| {
            let text = format!("key = {value}");
            let root = DeTable::parse(&text).unwrap();
            let document = Document::new("gateway.toml", &text, root.get_ref(), folder.path(), &lookup);
            let table = Table::root(&document);
            secret().parse(&table, table.peek("key").unwrap()).map(|secret| secret.expose_secret().to_owned())
        })
    }

    #[test]
    fn an_absolute_path_ignores_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "a").unwrap();
        let value = format!("{{ file = '{}' }}", path.display());
        assert_eq!(read(Path::new("elsewhere"), &value).unwrap(), "a");
    }

    #[test]
    fn a_missing_or_empty_variable_is_named() {
        assert_eq!(refusal(r#"{ env = "NONE" }"#), "the environment variable NONE is not set, or not UTF-8 text");
        assert_eq!(refusal(r#"{ env = "EMPTY" }"#), "the environment variable EMPTY is empty");
        let unusual = "the environment variable named here is not set, or not UTF-8 text";
        assert_eq!(refusal(r#"{ env = "s3cr3t" }"#), unusual);
        assert_eq!(refusal(r#"{ env = "" }"#), unusual);
    }

    #[test]
    fn a_file_without_a_secret_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let shown = path.to_str().unwrap();
        let refusal = || read(folder.path(), r#"{ file = "secret" }"#).unwrap_err();

        let missing = refusal();
        assert!(missing.starts_with(&format!("the file {shown:?} cannot be read: ")), "{missing}");
        std::fs::write(&path, "\r\n").unwrap();
        assert_eq!(refusal(), format!("the file {shown:?} is empty"));
        std::fs::write(&path, b"\xFF").unwrap();
        assert_eq!(refusal(), format!("the file {shown:?} is not UTF-8 text"));
        std::fs::write(&path, "a".repeat(64 * 1024 + 1)).unwrap();
        assert_eq!(refusal(), format!("the file {shown:?} is larger than 64KiB"));
    }

    #[test]
    fn another_form_is_refused() {
        assert_eq!(refusal("5"), format!("expected {SECRET}, found an integer"));
        assert_eq!(refusal(r#""""#), "expected a secret, found an empty string");
        assert_eq!(refusal(r#"{ file = "" }"#), "expected a path as `file`, found an empty string");
        assert_eq!(refusal("{ env = 5 }"), "expected a string as `env`, found an integer");
        let alone = r#"expected { env = "NAME" } or { file = "PATH" }, and no other key"#;
        for table in [r#"{ env = "SET", file = "x" }"#, r#"{ value = "x" }"#, r#"{ env = "SET", x = 1 }"#, "{}"] {
            assert_eq!(refusal(table), alone, "{table}");
        }
    }

    #[test]
    fn a_path_segment_is_safe_in_a_url() {
        let parse = |text| read_text(&path_segment(), text);
        assert_eq!(parse("aZ09-._~").unwrap().expose_secret(), "aZ09-._~");
        for wrong in ["a/b", "a b", "é", ".", "..", "a?b", "a%2Fb"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    /// Neither a key nor a path in the texts has a tilde: what an error repeats of them never equals it.
    const MARKER: &str = "m4rk3r~s3cr3t~of~16";

    /// Both centers and every secret key but `nats.credentials`, each with the marker.
    fn marked() -> String {
        format!("[events]\ncallback_key = 'X'\n[nats]\nurl = 'nats://me:X@a'\n{ACME}{BETA}callback_secret = 'X'\n")
            .replace("\"token\"", "'X'")
            .replace("\"secret\"", "'X'")
            .replace('X', MARKER)
    }

    /// Everything that can be printed after `text` is parsed.
    fn printed(text: &str) -> String {
        let lookup = |name: &str| (name == "MARKER").then(|| MARKER.to_owned());
        match Config::parse(text, "gateway.toml", &lookup) {
            Ok(config) => format!("{config:?} {config:#?}"),
            Err(errors) => {
                format!("{errors} {errors:?} {errors:#?}")
            }
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let marked = marked();
        let quoted = format!("'{MARKER}'");
        assert_eq!(marked.matches(&quoted).count(), 4);
        let config = Config::parse(&marked, "gateway.toml", &|_| None).unwrap();
        let secrets = config.events.callback_key.iter();
        assert!(secrets.map(ExposeSecret::expose_secret).eq([MARKER]));
        assert!(printed(&marked).contains("REDACTED"));
        assert!(!printed(&marked).contains(MARKER));

        #[rustfmt::skip]
        let forms = [
            // From elsewhere, or a wrong table.
            "{ env = 'MARKER' }", "{ env = 'X' }", "{ env = 'MARKER', file = 'X' }", "{ value = 'X' }", "{ 'X' = 'X' }",
            "{ env = ['X'] }", "{ env = { file = 'X' } }",
            // Wrong types and values.
            "['X']", "[['X'], { a = 'X' }]", "'X/'",
            // Syntax errors in the same line.
            "'X", "\"X", "'''X", "\"\"\"X\"", "\"\\q X\"", "'X' 'X'", "'X' = 'X'", "'X', 'X'", "'X' X", "X", "X # X",
            "1979-05-27X", "{ env = 'X'", "{ env = X }", "{ env 'X' }",
            // Something wrong in the next line.
            "'X'\nauth_tokn = 'X'", "'X'\nsid.X = 'X'", "'X'\nlimits.'X' = 'X'", "'X'\n'X'", "'X'\n'X' = 'X'",
            "'X'\nauth_token = 'X'\napp_secret = 'X'\ncallback_secret = 'X'\ncallback_key = 'X'",
            "'X'\nauth_token.x = 'X'\napp_secret.x = 'X'", "'X'\n[X]", "'X'\n['X']", "'X'\n[centers.'X']",
        ];
        for form in forms {
            let form = form.replace('X', MARKER);
            for (place, _) in marked.match_indices(&quoted) {
                let text = format!("{}{form}{}", &marked[..place], &marked[place + quoted.len()..]);
                let printed = printed(&text);
                assert!(!printed.contains(MARKER), "{text}\n{printed}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_change_to_a_file_prints_its_secrets(
            from in any::<prop::sample::Index>(),
            length in 0..40_usize,
            inserted in r#"[\[\]{}="'#.,a-c\\ \n0-9é-]{0,6}"#,
        ) {
            let mut text: Vec<char> = marked().chars().collect();
            let from = from.index(text.len());
            let to = (from + length).min(text.len());
            text.splice(from..to, inserted.chars());
            let text: String = text.into_iter().collect();
            prop_assert!(!printed(&text).contains(MARKER), "{}", text);
        }
    }
}
