//! Habits of `CONTRIBUTING.md` that a machine can hold, over every source file of the gateway and the simulators.

mod limits;
pub(crate) mod tables;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Most lines of a file.
const LINES: usize = 450;

/// Widest comment, in characters. Rustfmt wraps code at this width, and no comment.
const COLUMNS: usize = 120;

/// A source file: its path from the project's root, and its text.
type Source = (String, String);

/// Every Rust file of the gateway, the simulators and this suite.
fn sources() -> Vec<Source> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> =
        ["src", "simulators", "tests", "benches", "examples"].map(|name| root.join(name)).into();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                // A package of its own is built beside its sources.
                if !entry.ends_with("target") {
                    folders.push(entry);
                }
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let path = entry.strip_prefix(&root).unwrap().display().to_string();
                sources.push((path, fs::read_to_string(&entry).unwrap()));
            }
        }
    }
    assert!(sources.len() > 100, "{} files in {}", sources.len(), root.display());
    sources.sort();
    sources
}

/// The places where a rule is broken.
fn hold(rule: &str, broken: impl IntoIterator<Item = String>) {
    let broken: Vec<String> = broken.into_iter().collect();
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

/// Two `use` of one root in one block: the line of the second, and the root. A block is a run of items of one
/// indentation and one visibility, which a line that is no part of a `use` ends.
fn split_imports(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut roots: BTreeMap<(usize, &str, &str), usize> = BTreeMap::new();
    let (mut open, mut attribute) = (0, false);
    for (number, line) in text.lines().enumerate() {
        let code = line.trim_start();
        if open > 0 || code.is_empty() || code.starts_with("//") {
            open = (open + code.matches('{').count()).saturating_sub(code.matches('}').count());
            continue;
        }
        let (visibility, item) = match code.split_once("use ") {
            Some((visibility, item)) if visibility.is_empty() || visibility.starts_with("pub") => (visibility, item),
            _ => {
                attribute = code.starts_with("#[");
                if !attribute {
                    roots.clear();
                }
                continue;
            }
        };
        let root = item.split([':', ';', ' ']).next().unwrap_or_default();
        // An attribute is of one item alone.
        if !std::mem::take(&mut attribute)
            && roots.insert((line.len() - code.len(), visibility, root), number).is_some()
        {
            found.push((number + 1, root.to_owned()));
        }
        open = item.matches('{').count() - item.matches('}').count();
    }
    found
}

#[test]
fn comments_are_wrapped_at_120_columns() {
    let build = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs")).unwrap();
    let sources = sources().into_iter().chain([("build.rs".to_owned(), build)]);
    let wide = sources.flat_map(|(path, text)| {
        let is_wide = |line: &&str| line.trim_start().starts_with("//") && line.chars().count() > COLUMNS;
        let numbers: Vec<usize> =
            (1..).zip(text.lines()).filter(|(_, line)| is_wide(line)).map(|(number, _)| number).collect();
        numbers.into_iter().map(move |number| format!("{path}:{number}"))
    });
    hold("comments end by column 120", wide);
}

#[test]
fn imports_of_one_root_are_one_use() {
    let broken = sources().into_iter().flat_map(|(path, text)| {
        split_imports(&text).into_iter().map(move |(line, root)| format!("{path}:{line}: a second `use {root}`"))
    });
    hold("one `use` per root in a block, nested", broken);
}

#[test]
fn no_file_of_the_program_exceeds_its_length() {
    let shipped = sources().into_iter().filter(|(path, _)| path.starts_with("src/") || path.starts_with("simulators/"));
    let lengths = shipped.map(|(path, text)| (path, text.lines().count()));
    let long = lengths.filter(|(_, lines)| *lines > LINES);
    hold(&format!("at most {LINES} lines"), long.map(|(path, lines)| format!("{path}:{lines}: {lines} lines")));
}

#[test]
fn no_file_is_named_for_being_a_test() {
    let named = sources().into_iter().filter(|(path, _)| {
        let name = Path::new(path).file_name().unwrap_or_default();
        name.to_string_lossy().starts_with("test_")
    });
    hold("tests stand in `tests.rs` and `tests/`, not in `test_*.rs`", named.map(|(path, _)| format!("{path}:1")));
}

#[test]
fn a_second_use_of_a_root_is_found_and_nothing_else() {
    let text = "use std::fmt;\nuse std::{\n    fs,\n    io,\n};\n\nuse crate::a;\npub use crate::b;\n#[cfg(test)]\nuse crate::c;\n\n\
                mod tests {\n    use super::*;\n    use crate::d;\n    use crate::e;\n}\nfn f() {\n    use crate::g;\n}\n";
    assert_eq!(split_imports(text), [(2, "std".to_owned()), (15, "crate".to_owned())]);
}
