//! docs/failures.md documents every reason.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use prost_reflect::EnumDescriptor;
use switchboard::{
    context::Context,
    error::{Error, ErrorReason},
};
use tokio::time::Instant;
use tonic::Code;

use crate::support::client::POOL;

const DOCUMENT: &str = include_str!("../../docs/failures.md");

fn reasons() -> EnumDescriptor {
    POOL.get_enum_by_name("contactcenter.v1.ErrorReason").unwrap()
}

/// The rows of a table: the first cell to the other cells.
fn table(heading: &str) -> BTreeMap<String, Vec<String>> {
    let (_, rows) = DOCUMENT.split_once(&format!("| {heading} |")).unwrap();
    let rows = rows.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        (cells.next().unwrap(), cells.collect())
    })
    .collect()
}

/// A code in gRPC's spelling.
fn code_name(code: Code) -> String {
    let name = format!("{code:?}");
    let words = name.char_indices().flat_map(|(at, char)| {
        let word = at > 0 && char.is_uppercase();
        word.then_some('_').into_iter().chain(Some(char.to_ascii_uppercase()))
    });
    words.collect()
}

#[tokio::test]
async fn every_reason_has_a_row_with_its_codes() {
    let mut rows = table("reason");
    let cx = Context::new("GetAgent", String::new(), Instant::now() + Duration::from_secs(1));
    for value in reasons().values().filter(|value| value.number() != 0) {
        let row = rows.remove(&format!("`{}`", value.name())).unwrap_or_else(|| panic!("no row of {}", value.name()));
        let reason = ErrorReason::from_str_name(value.name()).unwrap();
        let codes = [Error::new(reason, ""), Error::new(reason, "").past_deadline()];
        let mut codes: Vec<String> = codes.map(|error| code_name(error.into_status(&cx).code())).into();
        codes.dedup();
        assert_eq!(row[0], codes.join(", "), "{}", value.name());
        assert!(["caller", "operator"].contains(&row[1].as_str()), "{}: {}", value.name(), row[1]);
        let retry: &[&str] = match codes[0].as_str() {
            // What clients retry automatically must be safe to retry.
            "UNAVAILABLE" | "INTERNAL" | "DEADLINE_EXCEEDED" => &["yes"],
            "UNKNOWN" | "ABORTED" => &["check first"],
            "INVALID_ARGUMENT" | "NOT_FOUND" | "ALREADY_EXISTS" | "OUT_OF_RANGE" | "UNIMPLEMENTED" => &["no"],
            "FAILED_PRECONDITION" | "PERMISSION_DENIED" | "UNAUTHENTICATED" => &["after a fix"],
            _ => &["yes", "no"],
        };
        assert!(retry.contains(&row[2].as_str()), "{}: {}", value.name(), row[2]);
    }
    assert!(rows.is_empty(), "no such reason: {rows:?}");
}

/// The documented metadata keys are exactly those that the sources insert.
#[test]
fn every_key_of_the_metadata_has_a_row() {
    let documented: BTreeSet<String> =
        table("key").keys().flat_map(|cell| cell.split(", ")).map(|key| key.trim_matches('`').to_owned()).collect();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let keys = regex::Regex::new(r#"(?:\.with\(|metadata\.insert\()\s*"([a-zA-Z]+)""#).unwrap();
    let mut given = BTreeSet::new();
    let mut folders = vec![std::path::PathBuf::from(source)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(path).unwrap();
                given.extend(keys.captures_iter(&text).map(|found| found[1].to_owned()));
            }
        }
    }
    assert_eq!(documented, given);
}

#[test]
fn the_list_of_decisions_names_every_code_and_no_unknown_reason() {
    let (_, list) = DOCUMENT.split_once("## You got X: do Y\n").unwrap();
    let (list, _) = list.split_once("\n## ").unwrap();
    let reasons: BTreeSet<String> = reasons().values().map(|value| value.name().to_owned()).collect();
    let codes: BTreeSet<String> =
        table("reason").values().flat_map(|row| row[0].split(", ").map(str::to_owned).collect::<Vec<_>>()).collect();
    let words = regex::Regex::new("`([A-Z][A-Z_]+)`").unwrap();
    let named: BTreeSet<String> = words.captures_iter(list).map(|found| found[1].to_owned()).collect();
    let strange: Vec<_> = named.iter().filter(|name| !reasons.contains(*name) && !codes.contains(*name)).collect();
    assert!(strange.is_empty(), "{strange:?}");
    let missing: Vec<_> = codes.difference(&named).collect();
    assert!(missing.is_empty(), "no decision for {missing:?}");
}
