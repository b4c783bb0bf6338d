//! The table of limits names tests that exist.

use std::{collections::BTreeSet, fs, path::Path};

use regex::Regex;

use super::{Source, hold, sources};

/// The tests of a file as the table names them: those of the library by their path, and those of this program after
/// `e2e`.
fn tests((path, text): &Source, sources: &[Source]) -> Vec<String> {
    let (program, file) = match (path.strip_prefix("src/"), path.strip_prefix("tests/e2e/")) {
        (Some(file), _) => ("", file),
        (_, Some(file)) => ("e2e ", file),
        _ => return Vec::new(),
    };
    let file = file.trim_end_matches(".rs").replace('/', "::");
    let module = Regex::new(r"^( *)(?:pub(?:\(\w+\))? )?mod (\w+) \{$").unwrap();
    let function = Regex::new(r"^ *(?:async )?fn (\w+)\(").unwrap();
    let suite = Regex::new(r"^ *crate::(\w+)::\w+_tests!\(").unwrap();
    // The indentation and the names of the modules around a line.
    let mut modules: Vec<(&str, &str)> = Vec::new();
    let mut is_test = false;
    let mut tests = Vec::new();
    for line in text.lines() {
        let mut add = |modules: &[(&str, &str)], test: &str| {
            let inner: String = modules.iter().flat_map(|(_, name)| [name, "::"]).collect();
            tests.push(format!("{program}`{file}::{inner}{test}`"));
        };
        if let Some((_, [indent, name])) = module.captures(line).map(|module| module.extract()) {
            modules.push((indent, name));
        } else if modules.last().is_some_and(|(indent, _)| line.strip_prefix(indent) == Some("}")) {
            modules.pop();
        } else if ["#[test]", "#[tokio::test"].iter().any(|attribute| line.trim_start().starts_with(attribute)) {
            is_test = true;
        } else if let Some((_, [name])) = function.captures(line).map(|function| function.extract()) {
            if std::mem::take(&mut is_test) {
                add(&modules, name);
            }
        } else if let Some((_, [name])) = suite.captures(line).map(|suite| suite.extract()) {
            suite_tests(name, sources).for_each(|test| add(&modules, test));
        }
    }
    tests
}

/// The tests that the macro of a suite makes: it lists them, one in a line.
fn suite_tests<'a>(suite: &str, sources: &'a [Source]) -> impl Iterator<Item = &'a str> {
    let path = format!("tests/suites/{suite}.rs");
    let text = sources.iter().find(|source| source.0 == path).map(|source| source.1.as_str()).unwrap();
    let list = text.lines().skip_while(|line| !line.trim_start().starts_with("$crate::")).skip(1);
    list.map(str::trim).take_while(|line| *line != ");")
}

#[test]
fn every_test_in_the_table_of_limits_exists() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/limits.md");
    let table = fs::read_to_string(path).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| limit ")).count();
    let named = Regex::new(r"(?m)^\|.*\| ((?:e2e )?`(?:[a-z0-9_]+::)+[a-z0-9_]+`) \|$").unwrap();
    let named: Vec<&str> = named.captures_iter(&table).map(|row| row.extract::<1>().1[0]).collect();
    assert!(rows > 100 && named.len() == rows, "{rows} rows name {} tests", named.len());
    let sources = sources();
    let tests: BTreeSet<String> = sources.iter().flat_map(|source| tests(source, &sources)).collect();
    let missing = named.into_iter().filter(|test| !tests.contains(*test)).map(str::to_owned);
    hold("docs/limits.md names tests that do not exist", missing);
}
