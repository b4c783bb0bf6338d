//! The documentation of every key: `docs/gateway.example.toml` and `docs/configuration.md`.

use super::{
    Config,
    key::{Key, Presence, Section, Shape, Variant},
    value::one_of,
};

const EXAMPLE_HEAD: &str = r#"# Generated from src/config: UPDATE_DOCS=1 cargo test --test e2e generated_documents
#
# Every key of the configuration, with its default, or with an example if it has none. A line with `#` and no space is a
# key or a table that is commented out. configuration.md describes the same keys with the values that they accept.
#
# Unknown keys are refused. A secret is a string, { env = "NAME" } or { file = "PATH" }; line breaks at its end are no part
# of it. Durations: "250ms", "10s", "5m", "72h". Sizes in bytes: "512", "4KiB", "1MiB", "1GiB".
"#;

const REFERENCE_HEAD: &str = r#"<!-- Generated from src/config: UPDATE_DOCS=1 cargo test --test e2e generated_documents -->

# Configuration

`switchboard serve --config FILE` reads one TOML file. [gateway.example.toml](gateway.example.toml) is such a file with
every key. Unknown keys are refused. `switchboard check --config FILE` prints every error of a file at once.

A secret is a string, `{ env = "NAME" }` or `{ file = "PATH" }`. A relative `PATH` is relative to the folder of the
configuration file. A byte order mark before a secret and line breaks after it are no part of it; other control characters,
invisible characters, and white space at an end are refused. No error repeats a value.

Durations are strings such as `"250ms"`, `"10s"`, `"5m"` and `"72h"`; sizes in bytes are strings such as `"512"`,
`"4KiB"`, `"1MiB"` and `"1GiB"`.
"#;

const COLUMNS: &str = "\n| key | what it sets | value | default |\n|---|---|---|---|\n";

/// The example file.
pub fn example() -> String {
    EXAMPLE_HEAD.to_owned() + &example_tables("", "", &Config::keys(), false)
}

/// The reference, in Markdown.
pub fn reference() -> String {
    REFERENCE_HEAD.to_owned() + &reference_table("", "", "", &Config::keys())
}

/// A table and the tables below it, once for each variant of its keys.
fn example_tables(path: &str, about: &str, keys: &[Key], is_commented: bool) -> String {
    let variants = variants(keys);
    if variants.is_empty() {
        return example_table(path, about, keys, is_commented);
    }
    let mut example = String::new();
    for (index, variant) in variants.iter().enumerate() {
        // The first one shows all keys that the variants share, the others show the required ones.
        let (about, keys) = match index {
            0 => (format!("{about}{}", variant.about), with_variant(keys, variant)),
            _ => (variant.about.to_owned(), with_variant(&required(keys), variant)),
        };
        example += &example_table(path, &about, &keys, is_commented).replace("<id>", variant.example_id);
    }
    example
}

fn example_table(path: &str, about: &str, keys: &[Key], is_commented: bool) -> String {
    let values: String = keys.iter().filter_map(|key| example_key(key, is_commented)).collect();
    let mut example = match values.trim_start() {
        "" => String::new(),
        values => format!("\n{}{}[{path}]\n{values}", comments(about), if is_commented { "#" } else { "" }),
    };
    for key in keys {
        if let Shape::Table { about, keys, is_optional } = &key.shape {
            example += &example_tables(&join(path, key.name), about, keys, is_commented || *is_optional);
        }
    }
    example
}

fn example_key(key: &Key, is_commented: bool) -> Option<String> {
    let Shape::Value { presence, value, .. } = &key.shape else {
        return None;
    };
    let note = match presence {
        Presence::Required => "   # required".to_owned(),
        Presence::Default => String::new(),
        Presence::Optional(absent) => format!("   # default: {absent}"),
    };
    let comment = if is_commented || matches!(presence, Presence::Optional(_)) { "#" } else { "" };
    let doc = if key.doc.is_empty() { String::new() } else { format!("\n{}", comments(key.doc)) };
    Some(format!("{doc}{comment}{} = {value}{note}\n", key.name))
}

fn comments(text: &str) -> String {
    text.lines().flat_map(|line| ["# ", line.trim(), "\n"]).collect()
}

/// The required keys, without their sentences.
fn required(keys: &[Key]) -> Vec<Key> {
    let is_required = |key: &&Key| match &key.shape {
        Shape::Value { presence, .. } => matches!(presence, Presence::Required),
        Shape::Table { .. } => false,
        Shape::Variants(_) => true,
    };
    keys.iter().filter(is_required).map(|key| Key { doc: "", ..key.clone() }).collect()
}

/// The keys of a table that has this variant.
fn with_variant(keys: &[Key], variant: &Variant) -> Vec<Key> {
    let mut keys = keys.to_vec();
    for key in &mut keys {
        if let Shape::Variants(variants) = &key.shape {
            let expected = expected(variants);
            key.shape = Shape::Value { expected, presence: Presence::Required, value: variant.name.into() };
        }
    }
    keys.extend((variant.keys)());
    keys
}

/// A table, the keys of its variants, and the tables below it.
fn reference_table(title: &str, path: &str, about: &str, keys: &[Key]) -> String {
    let rows: String = keys.iter().filter_map(reference_row).collect();
    let mut reference = match rows.as_str() {
        "" => String::new(),
        rows => format!("\n{title}\n\n{}\n{COLUMNS}{rows}", sentences(about)),
    };
    for key in keys {
        match &key.shape {
            Shape::Value { .. } => {}
            Shape::Table { about, keys, .. } => {
                let path = join(path, key.name);
                reference += &reference_table(&format!("## `[{path}]`"), &path, about, keys);
            }
            Shape::Variants(variants) => {
                for variant in variants {
                    let title = format!("### `[{path}]` with `{} = \"{}\"`", key.name, variant.name);
                    reference += &reference_table(&title, path, variant.about, &(variant.keys)());
                }
            }
        }
    }
    reference
}

fn reference_row(key: &Key) -> Option<String> {
    let (expected, default) = match &key.shape {
        Shape::Table { .. } => return None,
        Shape::Variants(variants) => (expected(variants), "required".to_owned()),
        Shape::Value { expected, presence, value } => {
            let default = match presence {
                Presence::Required => "required".to_owned(),
                Presence::Default => format!("`{value}`"),
                Presence::Optional(absent) => (*absent).to_owned(),
            };
            (expected.clone(), default)
        }
    };
    Some(format!("| `{}` | {} | {expected} | {default} |\n", key.name, sentences(key.doc)))
}

fn sentences(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn variants(keys: &[Key]) -> &[&'static Variant] {
    let variants = keys.iter().find_map(|key| match &key.shape {
        Shape::Variants(variants) => Some(variants.as_slice()),
        _ => None,
    });
    variants.unwrap_or_default()
}

fn expected(variants: &[&Variant]) -> String {
    one_of(&variants.iter().map(|variant| variant.name).collect::<Vec<_>>())
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
