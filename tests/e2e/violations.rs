//! All violations of a request are in one error: the contract's and the vendor's, of every pair of fields.

use serde_json::{Value, json};
use switchboard::proto::METHODS;

use crate::{
    fields::{Field, fields, with},
    support::{
        Gateway,
        vendors::{VENDORS, Vendor, every_vendor},
    },
};

/// A field that the vendor refuses by what it is now, which takes a read.
const READ_FIRST: (&str, &str, &str) = ("huawei", "UpdateAgent", "agent.login_account");

/// Values that the contract or a vendor may refuse, wherever they stand.
fn candidates(vendor: &Vendor) -> Vec<Value> {
    let name = |collection: &str| json!(format!("centers/{}/{collection}/n~7", vendor.center));
    let names = ["agents", "queues", "extensions"].map(|collection| json!([name(collection)]));
    let texts = ["not-fit", "00000000-0000-0000-0000-000000000000", "ftp://x/***"].map(Value::from);
    let numbers = [json!(77), json!(-3), json!("-7s"), json!("5s"), json!(true), json!("x".repeat(2100))];
    let rest = [json!({"nobody": 3}), json!({"1x": "y"}), json!(["~"]), json!([99])];
    let single = ["agents", "queues", "extensions", "subscriptions", "phoneNumbers"].map(name);
    single.into_iter().chain(texts).chain(numbers).chain(rest).chain(names).collect()
}

/// The fields that a request violates, if that is why it fails.
async fn violated(gateway: &Gateway, method: &str, request: &Value) -> Vec<String> {
    match gateway.client.call(method, request.clone()).await {
        Err(failure) if failure.reason == "FIELD_INVALID" || failure.reason == "FIELD_UNSUPPORTED" => failure.fields,
        _ => Vec::new(),
    }
}

/// Each field of a method with a value that is refused for this field alone.
async fn refused(gateway: &Gateway, vendor: &Vendor, method: &str) -> Vec<(Field, Value, String)> {
    let (request, mut refused) = (vendor.request(method), Vec::new());
    // Of a malformed parent no center is known, so no vendor.
    for field in fields(method).into_iter().filter(|field| field.place() != "parent") {
        if (vendor.name, method, field.place().as_str()) == READ_FIRST {
            continue;
        }
        for value in candidates(vendor) {
            if !fits(&field, &value) {
                continue;
            }
            let fields = violated(gateway, method, &with(request.clone(), &field, value.clone())).await;
            if let [only] = fields.as_slice()
                && only.starts_with(&field.place())
            {
                let only = only.clone();
                refused.push((field, value, only));
                break;
            }
        }
    }
    refused
}

/// Whether a value has the JSON form of a field, which the test's own client encodes.
fn fits(field: &Field, value: &Value) -> bool {
    use prost_reflect::Kind;
    let descriptor = &field.descriptor;
    if descriptor.is_map() {
        return value.as_object().is_some_and(|map| map.values().all(Value::is_string));
    }
    let item = if descriptor.is_list() { value.get(0) } else { Some(value).filter(|value| !value.is_array()) };
    item.is_some_and(|item| match descriptor.kind() {
        Kind::String => item.is_string(),
        Kind::Bool => item.is_boolean(),
        Kind::Int32 | Kind::Enum(_) => item.is_i64(),
        Kind::Message(message) if message.name() == "Duration" => item.as_str().is_some_and(|text| text.ends_with('s')),
        Kind::Message(message) if message.name() == "Struct" => item.is_object(),
        _ => false,
    })
}

#[tokio::test]
async fn the_violations_of_the_contract_and_of_the_vendor_are_in_one_error() {
    let (gateway, simulators) = every_vendor().await;
    let (mut split, mut pairs) = (Vec::new(), 0);
    for (vendor, simulator) in VENDORS.iter().zip(&simulators) {
        for method in METHODS {
            let refused = refused(&gateway, vendor, method).await;
            simulator.forget();
            for (place, (first, value, first_field)) in refused.iter().enumerate() {
                for (second, other, second_field) in &refused[place + 1..] {
                    let request = with(vendor.request(method), first, value.clone());
                    let request = with(request, second, other.clone());
                    let fields = violated(&gateway, method, &request).await;
                    pairs += 1;
                    if !fields.contains(first_field) || !fields.contains(second_field) {
                        split.push(format!("{} {method} {first_field} {second_field}: {fields:?}", vendor.name));
                    }
                }
            }
            assert!(simulator.asked().is_empty(), "{} {method}: {:?}", vendor.name, simulator.asked());
        }
    }
    assert!(pairs > 300, "{pairs}");
    assert!(split.is_empty(), "{} of {pairs} pairs:\n{}", split.len(), split.join("\n"));
}
