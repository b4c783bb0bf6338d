//! The table of limits names tests that exist.

use std::{collections::BTreeSet, fs, path::Path};

use regex::Regex;

use super::{hold, sources};

#[test]
fn every_test_in_the_table_of_limits_exists() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/limits.md");
    let table = fs::read_to_string(path).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| limit ")).count();
    let named = Regex::new(r"(?m)^\|.*`(?:[a-z0-9_]+::)+([a-z0-9_]+)` \|$").unwrap();
    let named: Vec<&str> = named.captures_iter(&table).map(|row| row.extract::<1>().1[0]).collect();
    assert!(rows > 100 && named.len() == rows, "{rows} rows name {} tests", named.len());
    let function = Regex::new(r"\bfn ([a-z0-9_]+)\(").unwrap();
    let sources = sources();
    let functions: BTreeSet<&str> = sources
        .iter()
        .flat_map(|(_, text)| function.captures_iter(text).map(|function| function.extract::<1>().1[0]))
        .collect();
    let missing = named.into_iter().filter(|test| !functions.contains(test)).map(str::to_owned);
    hold("docs/limits.md names tests that do not exist", missing);
}
