//! Every table and document that lists methods, operations or vendors lists all of them: a failure names the file and
//! what it lacks.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use prost_reflect::DescriptorPool;
use regex::Regex;
use serde_json::{Value, json};
use switchboard::{config::Config, proto::METHODS};

use super::hold;
use crate::{
    conformance::{self, ROWS},
    fields,
    support::{
        Gateway,
        client::descriptor,
        vendors::{VENDORS, Vendor, every_vendor},
    },
};

/// The methods that the gateway itself serves: no vendor has an operation for them.
const GATEWAY: [&str; 3] = ["ListCenters", "GetCenter", "GetCapabilities"];

/// The method that no operation serves, but what vendors post: `tests/e2e/ingress.rs` has its examples.
const WATCH: &str = "WatchEvents";

/// The places of a vendor: a file, and the text in it that names the vendor. `{v}` stands for its name, `{V}` for its
/// name in code. An empty text asks only for the file.
const PLACES: &[(&str, &str)] = &[
    ("src/config/{v}.rs", ""),
    ("src/config/vendor.rs", "Variant::new::<{V}>(\"{v}\""),
    ("src/vendor.rs", "config::Vendor::{V}("),
    ("src/vendor.rs", "(\"{v}\", {v}::OPERATIONS)"),
    ("src/vendor/{v}.rs", ""),
    ("src/vendor/{v}/capabilities.rs", ""),
    ("src/cli/simulated.rs", "name: \"{v}\""),
    ("src/fuzzing.rs", "\"{v}\","),
    ("tests/clients/vendors.py", "\"{v}\": Vendor("),
    ("tests/e2e/bad_input/{v}.rs", ""),
    ("src/lib.rs", "[`vendor::{v}`]"),
    ("simulators/src/lib.rs", "pub mod {v};"),
    ("simulators/src/{v}.rs", ""),
    ("tests/conformance/{v}", ""),
    ("docs/{v}.md", ""),
    ("README.md", "vendor = \"{v}\""),
    ("CONTRIBUTING.md", "(docs/{v}.md)"),
];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The README's table of methods: the headings of its vendors, and each method's cells.
fn readme() -> (Vec<String>, BTreeMap<String, Vec<String>>) {
    let text = read("README.md");
    let mut rows = text
        .lines()
        .skip_while(|line| !line.starts_with("| method |"))
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
    let headings = rows.next().expect("README.md: no table begins with `| method |`").split_off(1);
    let cells = rows.skip(1).map(|mut row| {
        let cells = row.split_off(1);
        (row.remove(0).trim_matches('`').to_owned(), cells)
    });
    (headings, cells.collect())
}

async fn capabilities(gateway: &Gateway, vendor: &Vendor) -> Value {
    let name = json!({"name": format!("centers/{}/capabilities", vendor.center)});
    gateway.client.call("GetCapabilities", name).await.unwrap()
}

/// How a vendor supports each method that is not the gateway's own.
async fn supports(gateway: &Gateway, vendor: &Vendor) -> BTreeMap<String, String> {
    let capabilities = capabilities(gateway, vendor).await;
    let rows = capabilities["methods"].as_array().unwrap().iter();
    rows.map(|row| (row["method"].as_str().unwrap().to_owned(), row["support"].as_str().unwrap().to_owned()))
        .filter(|(method, _)| !GATEWAY.contains(&method.as_str()))
        .collect()
}

/// Udesk's operations as its simulator has them: number, HTTP method and path, with `{id}` for a segment that varies.
pub(crate) fn udesk_operations() -> BTreeMap<usize, String> {
    let row = Regex::new(r#"(?m)^    (get|put|post|delete)\((\d+), "/ccapi/v2(/[^"]+)""#).unwrap();
    let text = read("simulators/src/udesk/operations.rs");
    let rows = row.captures_iter(&text).map(|row| {
        let [method, number, path] = row.extract().1;
        (number.parse().unwrap(), format!("{} {path}", method.to_uppercase()))
    });
    rows.collect()
}

/// The numbers that a pattern finds in a file.
fn numbers(name: &str, pattern: &str) -> BTreeSet<usize> {
    let text = read(name);
    let found = Regex::new(pattern).unwrap();
    found.captures_iter(&text).map(|found| found[1].parse().unwrap()).collect()
}

#[tokio::test]
async fn every_method_is_in_every_table_of_methods() {
    let (gateway, _simulated) = every_vendor().await;
    let (headings, rows) = readme();
    let mut missing = Vec::new();
    let mut supported = BTreeSet::new();
    let own = METHODS.into_iter().filter(|method| !GATEWAY.contains(method));
    missing.extend(
        own.filter(|method| !rows.contains_key(*method))
            .map(|method| format!("README.md: the table of methods has no row `{method}`")),
    );
    missing.extend(
        rows.keys()
            .filter(|method| !METHODS.contains(&method.as_str()))
            .map(|method| format!("README.md: the contract has no method `{method}`")),
    );
    for vendor in VENDORS {
        let name = vendor.name;
        let column = headings.iter().position(|heading| heading.to_lowercase().starts_with(name));
        if column.is_none() {
            missing.push(format!("README.md: the table of methods has no column of {name}"));
        }
        let document = fs::read_to_string(path(&format!("docs/{name}.md"))).unwrap_or_default();
        let examples: BTreeSet<String> = ROWS
            .iter()
            .filter(|(known, _)| *known == name)
            .map(|(known, example)| conformance::example(known, example).method)
            .collect();
        for (method, support) in supports(&gateway, vendor).await {
            let cell = column.zip(rows.get(&method)).map(|(column, cells)| cells[column].as_str());
            let shown = cell.map(|cell| match cell {
                "–" => "SUPPORT_UNSUPPORTED",
                derived if derived.starts_with("derived") => "SUPPORT_DERIVED",
                _ => "SUPPORT_NATIVE",
            });
            if shown.is_some_and(|shown| shown != support) {
                missing.push(format!("README.md: `{method}` of {name} is {support}, and the table has {cell:?}"));
            }
            if support == "SUPPORT_UNSUPPORTED" {
                continue;
            }
            supported.insert(method.clone());
            if method == WATCH {
                continue;
            }
            if !document.contains(&format!("`{method}")) {
                missing.push(format!("docs/{name}.md: nothing is about `{method}`"));
            }
            if support == "SUPPORT_NATIVE" && !document.contains(&format!("ContactCenter/{method}\n")) {
                missing.push(format!("docs/{name}.md: no grpcurl example calls {method}"));
            }
            if !examples.contains(&method) {
                missing.push(format!("tests/conformance/{name}: no example of a row in ROWS calls {method}"));
            }
        }
    }
    let unsupported = METHODS.into_iter().filter(|method| !GATEWAY.contains(method) && !supported.contains(*method));
    missing.extend(unsupported.map(|method| format!("src/vendor/*/capabilities.rs: no vendor has a row `{method}`")));
    missing.extend(
        numbers("README.md", r"\b(\d+) methods\b")
            .into_iter()
            .filter(|count| *count != METHODS.len())
            .map(|count| format!("README.md: \"{count} methods\", and the contract has {}", METHODS.len())),
    );
    let released = DescriptorPool::decode(fs::read(path("proto/baseline.binpb")).unwrap().as_slice()).unwrap();
    let released = released.get_service_by_name("contactcenter.v1.ContactCenter").unwrap();
    let released: BTreeSet<String> = released.methods().map(|method| method.name().to_owned()).collect();
    let changes = read("CHANGELOG.md");
    let new = METHODS.into_iter().filter(|method| !released.contains(*method));
    missing.extend(
        new.filter(|method| !changes.contains(&format!("`{method}`")))
            .map(|method| format!("CHANGELOG.md: no entry names `{method}`, which the last release does not have")),
    );
    let contract = read("proto/contactcenter/v1/contact_center.proto");
    let model = contract.split_once("\nservice ").unwrap().0;
    let formats = METHODS.into_iter().flat_map(fields::fields).filter_map(|field| {
        let (_, format) = field.comment.split_once("Format: centers/{center}/")?;
        Some(format!("//   centers/{{center}}/{}", format.split([' ', '\n']).next()?.trim_end_matches('.')))
    });
    let unknown: BTreeSet<String> = formats.filter(|format| !model.contains(format)).collect();
    missing.extend(unknown.iter().map(|format| format!("contact_center.proto: the resource model has no `{format}`")));
    hold("every method is in every table", missing);
}

#[test]
fn every_operation_of_udesk_is_in_every_table_of_operations() {
    let operations = udesk_operations();
    let mut missing = Vec::new();
    let document = read("docs/udesk.md");
    let tables = [
        ("README.md: no cell of the table of methods has", "README.md", r"[(](\d+)[)]"),
        ("docs/udesk.md: no row of the table of operations has", "docs/udesk.md", r"(?m)^\| (\d\d) \|"),
        ("docs/udesk.md: no section is about", "docs/udesk.md", r"(?m)^### (\d\d) "),
        (
            "simulators/src/udesk/examples.rs: no example of",
            "simulators/src/udesk/examples.rs",
            r"(?m)^ {4}\(?(?:\s{4})?(\d+),",
        ),
        (
            "tests/e2e/conformance/rows.rs: no row of ROWS asks",
            "tests/e2e/conformance/rows.rs",
            r#"\("udesk", "(\d\d)_"#,
        ),
    ];
    for (what, name, pattern) in tables {
        let known = numbers(name, pattern);
        let lost = operations.iter().filter(|(number, _)| !known.contains(number));
        missing.extend(lost.map(|(number, operation)| format!("{what} {number:02}, {operation}")));
    }
    for (number, operation) in &operations {
        // The document names the parameter of a path.
        let (begin, end) = operation.split_once("{id}").unwrap_or((operation, ""));
        let heading = Regex::new(&format!(
            r"(?m)^### {number:02} {}{}{}$",
            regex::escape(begin),
            if begin.len() == operation.len() { "" } else { r"\{\w+\}" },
            regex::escape(end)
        ));
        if !heading.unwrap().is_match(&document) {
            missing.push(format!("docs/udesk.md: no section has the heading `### {number:02} {operation}`"));
        }
    }
    for name in ["README.md", "docs/udesk.md", "simulators/src/udesk.rs", "simulators/src/udesk/operations.rs"] {
        let counts = numbers(name, r"\b(\d+) operations\b").into_iter().filter(|count| *count != operations.len());
        missing
            .extend(counts.map(|count| format!("{name}: \"{count} operations\", and there are {}", operations.len())));
    }
    hold("every operation is in every table", missing);
}

/// Whether a method changes anything: then it runs on when its caller leaves, and `request_id` makes it idempotent.
#[test]
fn every_method_is_read_written_or_streamed_as_its_name_and_request_say() {
    let function = Regex::new(r"(?ms)^pub(?:\(\w+\))? async fn (\w+)\((.*?)^\}").unwrap();
    let mut bodies: BTreeMap<String, (String, String)> = BTreeMap::new();
    for file in fs::read_dir(path("src/service")).unwrap() {
        let name = format!("src/service/{}", file.unwrap().file_name().into_string().unwrap());
        let text = read(&name);
        for found in function.captures_iter(&text) {
            let [method, body] = found.extract().1;
            bodies.insert(method.replace('_', ""), (name.clone(), body.to_owned()));
        }
    }
    let mut wrong = Vec::new();
    for method in METHODS {
        let Some((name, body)) = bodies.get(&method.to_lowercase()) else {
            wrong.push(format!("src/service: no function serves {method}"));
            continue;
        };
        let descriptor = descriptor(method);
        let is_read = ["Get", "List", "Access", "Watch"].iter().any(|verb| method.starts_with(verb));
        let is_repeated = descriptor.input().get_field_by_name("request_id").is_some();
        let expected = match (is_read, is_repeated) {
            (true, _) => "neither Center::write nor write_idempotent: it is a read",
            (false, true) => "Center::write_idempotent: its request has a request_id",
            (false, false) => "Center::write: it changes something, and its request has no request_id",
        };
        let calls = (body.contains(".write("), body.contains(".write_idempotent("));
        if calls != (!is_read && !is_repeated, !is_read && is_repeated) {
            wrong.push(format!("{name}: {method} calls {expected}"));
        }
        if descriptor.is_server_streaming() != (method == WATCH) {
            wrong.push(format!("src/server/request_layer.rs: RequestLayer knows no stream but {WATCH}, add {method}"));
        }
    }
    hold("every method is classified", wrong);
}

/// A vendor's narrower format of a name is one of `Capabilities.field_formats`.
#[tokio::test]
async fn every_name_that_a_vendor_narrows_is_one_of_its_formats() {
    let (gateway, _simulated) = every_vendor().await;
    let mut missing = Vec::new();
    for vendor in VENDORS {
        let capabilities = capabilities(&gateway, vendor).await;
        let formats = capabilities["field_formats"].as_array().cloned().unwrap_or_default();
        let supports = supports(&gateway, vendor).await;
        let methods = supports.iter().filter(|(_, support)| *support != "SUPPORT_UNSUPPORTED");
        for (method, _) in methods.filter(|(method, _)| *method != WATCH) {
            for field in fields::fields(method) {
                let Some((_, format)) = field.comment.split_once("Format: centers/{center}/") else { continue };
                let (collection, rest) = format.split_once('/').unwrap_or((format, ""));
                let is_refused_everywhere = collection == "phoneNumbers" || !rest.starts_with('{');
                if is_refused_everywhere || field.comment.contains("Output only.") {
                    continue;
                }
                let suffix = if rest.contains("/callSettings") { "/callSettings" } else { "" };
                let name = json!(format!("centers/{}/{collection}/x-_.z{suffix}", vendor.center));
                let value = if field.descriptor.is_list() { json!([name]) } else { name };
                let mut request = vendor.request(method);
                let place = field.path.iter().fold(&mut request, |place, step| &mut place[step]);
                *place = value;
                let Err(failure) = gateway.client.call(method, request).await else { continue };
                // By the request, or by the resource in it.
                let resource = field.descriptor.parent_message();
                let reported = [
                    format!("{}.{}", descriptor(method).input().name(), field.place()),
                    format!("{}.{}", resource.name(), field.descriptor.name()),
                ];
                let is_about = |reported: &String| {
                    reported.strip_prefix(&field.place()).is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
                };
                if failure.reason == "FIELD_INVALID"
                    && failure.fields.iter().any(is_about)
                    && !formats.iter().any(|format| reported.iter().any(|reported| format["field"] == *reported))
                {
                    missing.push(format!(
                        "src/vendor/{}/formats.rs: FIELD_FORMATS has no row `{}`",
                        vendor.name, reported[0]
                    ));
                }
            }
        }
    }
    hold("every narrower format is reported", missing);
}

#[test]
fn every_vendor_is_in_every_place_of_vendors() {
    let refused = Config::parse("[centers.a]\nvendor = 'nobody'\n", "test", &|_| None).unwrap_err().to_string();
    let (_, expected) = refused.split_once("centers.a.vendor: expected ").unwrap();
    let name = Regex::new(r#""([a-z0-9-]+)""#).unwrap();
    let names: Vec<&str> =
        name.captures_iter(expected.lines().next().unwrap()).map(|name| name.extract::<1>().1[0]).collect();
    assert!(names.len() > 1, "{refused}");
    let mut missing = Vec::new();
    for name in names {
        if !VENDORS.iter().any(|vendor| vendor.name == name) {
            missing.push(format!("tests/e2e/support/vendors.rs: VENDORS has no row of {name}"));
        }
        if !ROWS.iter().any(|(vendor, _)| *vendor == name) {
            missing.push(format!("tests/e2e/conformance/rows.rs: ROWS has no row of {name}"));
        }
        let code = name[..1].to_uppercase() + &name[1..];
        for (file, text) in PLACES {
            let [file, text] = [file, text].map(|text| text.replace("{v}", name).replace("{V}", &code));
            if !path(&file).exists() {
                missing.push(format!("{file}: there is no such file"));
            } else if !text.is_empty() && !read(&file).contains(&text) {
                missing.push(format!("{file}: no line has `{text}`"));
            }
        }
    }
    hold("every vendor is in every place", missing);
}
