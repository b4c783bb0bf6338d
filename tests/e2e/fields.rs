//! No field is lost: every input field of every method, at every vendor, reaches the vendor or is refused by name.
//!
//! The contract's descriptors say which fields there are, [`VENDORS`](crate::support::vendors::VENDORS) which vendors.
//! A field is set to valid values in a request that is valid without it, and what the vendor is asked is compared. What
//! the gateway itself consumes is a row of [`CONSUMED`], whose effect is checked; what the contract ignores, it says.

mod bench;
mod effects;
pub(crate) mod values;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use prost_reflect::{FieldDescriptor, Kind};
use serde_json::Value;
use switchboard::proto::METHODS;
use tonic::Code;

use self::{
    bench::{Bench, Run, Wire},
    effects::{CONSUMED, Row},
};
use crate::support::{
    client::{comment, descriptor},
    vendors::{VENDORS, Vendor},
};

/// An input field of a method.
pub(crate) struct Field {
    /// Its place in the request.
    pub path: Vec<String>,
    pub descriptor: FieldDescriptor,
    /// What the contract says of it.
    pub comment: String,
}

impl Field {
    /// Its place, as errors name it.
    pub(crate) fn place(&self) -> String {
        self.path.join(".")
    }

    /// Whether the contract says that a method ignores it.
    fn is_ignored(&self, method: &str) -> bool {
        self.comment.contains("Output only.")
            || (self.comment.contains("Ignored on create.") && method.starts_with("Create"))
    }

    /// Whether the fields in it are walked instead.
    fn is_walked_into(&self) -> bool {
        let Kind::Message(message) = self.descriptor.kind() else { return false };
        message.package_name() == "contactcenter.v1"
            && !self.descriptor.is_list()
            && !self.descriptor.is_map()
            && !self.comment.contains("Output only.")
    }
}

/// Every input field of a method, also in the resources that it is given.
pub(crate) fn fields(method: &str) -> Vec<Field> {
    fn walk(parent: &[String], fields: impl Iterator<Item = FieldDescriptor>, found: &mut Vec<Field>) {
        for descriptor in fields {
            let path = [parent, &[descriptor.name().to_owned()]].concat();
            let field = Field { comment: comment(&descriptor), path, descriptor };
            if field.is_walked_into() {
                let Kind::Message(message) = field.descriptor.kind() else { unreachable!() };
                walk(&field.path, message.fields(), found);
            } else {
                found.push(field);
            }
        }
    }
    let mut found = Vec::new();
    walk(&[], descriptor(method).input().fields(), &mut found);
    found
}

/// The request with a field set.
pub(crate) fn with(mut request: Value, field: &Field, value: Value) -> Value {
    // Of a oneof, the other fields give way.
    for rival in field.descriptor.containing_oneof().into_iter().flat_map(|oneof| oneof.fields().collect::<Vec<_>>()) {
        request.as_object_mut().unwrap().remove(rival.name());
    }
    let place = field.path.iter().fold(&mut request, |place, step| &mut place[step]);
    *place = value;
    request
}

/// Whether the call was refused because of this field, with this reason and nothing else.
fn is_refused(run: &Run, reason: &str, field: &Field) -> bool {
    let place = field.place();
    run.response.as_ref().err().is_some_and(|failure| {
        let is_about = |reported: &String| {
            reported.strip_prefix(&place).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        failure.reason == reason && !failure.fields.is_empty() && failure.fields.iter().all(is_about)
    })
}

/// What one field of a method does; the error says how it is lost.
async fn judge(bench: &Bench, method: &str, field: &Field, row: Option<&Row>, plain: &Run) -> Result<(), String> {
    let request = values::plain(bench.vendor, method);
    if field.is_ignored(method) {
        let run = bench.run(method, with(request, field, values::filled(bench.vendor, field))).await;
        let is_ignored = run.wire == plain.wire && run.response.is_ok() == plain.response.is_ok();
        return if is_ignored { Ok(()) } else { Err(format!("is not ignored: {:?}", run.response)) };
    }
    let candidates = values::of(bench.vendor, method, field);
    if let Some(row) = row {
        return row.effect.check(bench, method, field, &candidates, plain).await;
    }
    let mut seen: Vec<Wire> = Vec::new();
    let (mut refused, mut invalid) = (0, Vec::new());
    for value in &candidates {
        let run = bench.run(method, with(request.clone(), field, value.clone())).await;
        if is_refused(&run, "FIELD_UNSUPPORTED", field) {
            refused += 1;
            continue;
        }
        if is_refused(&run, "FIELD_INVALID", field) {
            invalid.push(value);
            continue;
        }
        let new: Wire = run.wire.difference(&plain.wire).cloned().collect();
        if !values::is_shown(bench.vendor, value, &new) {
            return Err(format!(
                "{value} is lost: {:?}, and the vendor is asked {new:?} beside the rest",
                run.response
            ));
        }
        if seen.contains(&run.wire) {
            return Err(format!("{value} asks the vendor the same as another value"));
        }
        seen.push(run.wire);
    }
    if seen.is_empty() && refused == 0 {
        return Err(format!("has no valid value among {invalid:?}: give it one"));
    }
    // A default may be sent as nothing, but not two values.
    if seen.iter().filter(|wire| **wire == plain.wire).count() == seen.len() && !seen.is_empty() {
        return Err("is lost: no value changes what the vendor is asked".to_owned());
    }
    let is_listed = bench.lists(method, "unsupported_fields", &field.place());
    match (seen.is_empty(), is_listed) {
        (true, false) => Err("is refused, which GetCapabilities does not say".to_owned()),
        (false, true) => Err("is accepted, and GetCapabilities says that it is refused".to_owned()),
        _ => Ok(()),
    }
}

/// What the walk of one vendor found: how fields are lost, the rows that were used, and how many fields there are.
async fn walk(vendor: &'static Vendor) -> (Vec<String>, BTreeSet<usize>, usize) {
    let bench = Bench::open(vendor).await;
    if bench.supports("WatchEvents") {
        bench.post_events().await;
    }
    let (mut lost, mut used, mut walked) = (Vec::new(), BTreeSet::new(), 0);
    for method in METHODS {
        let plain = bench.run(method, values::plain(vendor, method)).await;
        if !bench.supports(method) {
            let refused = plain.response.as_ref().err().map(|failure| (failure.code, failure.reason.as_str()));
            let is_refused = refused == Some((Code::Unimplemented, "METHOD_UNSUPPORTED")) && plain.wire.is_empty();
            assert!(is_refused, "{} {method}: {:?}", vendor.name, plain.response);
            continue;
        }
        for field in fields(method) {
            let row = CONSUMED.iter().position(|row| row.is_of(method, &field.place()));
            used.extend(row);
            walked += 1;
            if let Err(how) = judge(&bench, method, &field, row.map(|row| &CONSUMED[row]), &plain).await {
                lost.push(format!("{} {method} {}: {how}", vendor.name, field.place()));
            }
        }
    }
    (lost, used, walked)
}

#[tokio::test]
async fn no_field_of_any_method_is_lost_at_any_vendor() {
    let walks = join_all(VENDORS.iter().map(walk)).await;
    let lost: Vec<_> = walks.iter().flat_map(|(lost, ..)| lost.clone()).collect();
    let walked: usize = walks.iter().map(|(.., walked)| walked).sum();
    assert!(lost.is_empty(), "{} of {walked} fields:\n{}", lost.len(), lost.join("\n"));
    let is_used = |row: &usize| walks.iter().any(|(_, used, _)| used.contains(row));
    let stale: Vec<_> = (0..CONSUMED.len()).filter(|row| !is_used(row)).map(|row| &CONSUMED[row]).collect();
    assert!(stale.is_empty(), "no field is meant by {stale:?}");
}
