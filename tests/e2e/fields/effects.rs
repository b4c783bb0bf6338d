//! Fields that the gateway itself consumes, and the effect by which each shows.

use serde_json::{Value, json};

use super::{
    Field,
    bench::{Bench, Run},
    fields, is_refused, values, with,
};

/// A field that does not reach the vendor.
#[derive(Debug)]
pub(super) struct Row {
    /// The method; `*` is every one.
    method: &'static str,
    field: &'static str,
    pub effect: Effect,
}

/// How a field shows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Effect {
    /// The response is another.
    Response,
    /// The same is asked at the other center, and nothing at this one.
    Routed,
    /// The response has one item, and had more.
    OneItem,
    /// The response holds what comes after.
    NextPage,
    /// The response has `vendor_data`, where the vendor ever fills it.
    VendorData,
    /// The same request gets the same response, and the vendor is not asked.
    Replayed,
    /// What is not in the mask is not sent.
    Masked,
    /// What is not there is made.
    Created,
    /// It shows in the time that passes. The tests in this file set it.
    TestedIn(&'static str),
}

use Effect::{Created, Masked, NextPage, OneItem, Replayed, Response, Routed, TestedIn, VendorData};

/// The first row that fits is a field's.
pub(super) const CONSUMED: &[Row] = &[
    row("*", "page_size", OneItem),
    row("*", "page_token", NextPage),
    row("*", "view", VendorData),
    row("*", "request_id", Replayed),
    row("*", "update_mask", Masked),
    // Nothing is asked of a vendor.
    row("GetCenter", "name", Response),
    row("GetCapabilities", "name", Response),
    row("WatchEvents", "parent", Response),
    row("WatchEvents", "event_types", Response),
    row("WatchEvents", "cursor", Response),
    row("WatchEvents", "start_time", Response),
    row("WatchEvents", "heartbeat_interval", TestedIn("events.rs")),
    // The center tells which vendor is asked.
    row("*", "parent", Routed),
    row("GetSoftphoneConfig", "name", Routed),
    // Some vendor gives all of them, and the gateway looks for one.
    row("GetPhoneNumber", "name", Response),
    row("GetExtension", "name", Response),
    row("GetQueue", "name", Response),
    row("GetSubscription", "name", Response),
    row("ListAgents", "query", Response),
    row("AccessSoftphoneCredentials", "agent", Response),
    // Only what is not there shows it.
    row("UpdateUserCallSettings", "allow_missing", Created),
];

const fn row(method: &'static str, field: &'static str, effect: Effect) -> Row {
    Row { method, field, effect }
}

impl Row {
    pub(super) fn is_of(&self, method: &str, field: &str) -> bool {
        (self.method == "*" || self.method == method) && self.field == field
    }
}

impl Effect {
    pub(super) async fn check(
        self,
        bench: &Bench,
        method: &str,
        field: &Field,
        candidates: &[Value],
        plain: &Run,
    ) -> Result<(), String> {
        let request = values::plain(bench.vendor, method);
        let set = |value: &Value| with(request.clone(), field, value.clone());
        let before = plain.response.clone().map_err(|failure| format!("fails without it: {failure:?}"))?;
        match self {
            TestedIn(file) => {
                let tests = std::fs::read_to_string(format!("{}/tests/e2e/{file}", env!("CARGO_MANIFEST_DIR")));
                let sets = format!("{}: Some(", field.descriptor.name());
                hold(tests.unwrap().contains(&sets), || format!("{file} does not set it"))
            }
            Response => {
                // A position in a stream is known only once there is one.
                let cursor = before["events"][0]["cursor"].clone();
                let candidates = if field.path == ["cursor"] { &[cursor][..] } else { candidates };
                for value in candidates {
                    let response = bench
                        .run(method, set(value))
                        .await
                        .response
                        .map_err(|failure| format!("{value}: {failure:?}"))?;
                    hold(response != before, || format!("{value} changes nothing of the response"))?;
                }
                Ok(())
            }
            Routed => {
                let run = bench.run(method, set(&candidates[0])).await;
                hold(run.wire.is_empty() && run.elsewhere == plain.wire, || {
                    format!("asks {:?} and {:?}", run.wire, run.elsewhere)
                })
            }
            OneItem => {
                let response =
                    bench.run(method, set(&json!(1))).await.response.map_err(|failure| format!("{failure:?}"))?;
                hold(items(&response).len() == 1 && items(&before).len() > 1, || format!("{response}"))
            }
            NextPage => {
                let one = json!({"page_size": 1});
                let sized = |mut request: Value| {
                    request["page_size"] = one["page_size"].clone();
                    request
                };
                let first = bench
                    .run(method, sized(request.clone()))
                    .await
                    .response
                    .map_err(|failure| format!("{failure:?}"))?;
                let next = bench.run(method, sized(set(&first["next_page_token"]))).await.response;
                let next = next.map_err(|failure| format!("{failure:?}"))?;
                hold(named(&items(&next)[0]) == named(&items(&before)[1]), || format!("{next} after {first}"))
            }
            VendorData => {
                let full = bench
                    .run(method, set(&json!("VIEW_FULL")))
                    .await
                    .response
                    .map_err(|failure| format!("{failure:?}"))?;
                let never = bench.capability(method)["unfilled_fields"].as_array().cloned().unwrap_or_default();
                let is_never = never.iter().any(|field| field.as_str().unwrap_or_default().ends_with("vendor_data"));
                let shows = |response: &Value| response.to_string().contains("\"vendor_data\"");
                hold(!shows(&before) && shows(&full) != is_never, || format!("{full}"))
            }
            Replayed => {
                let request = set(&json!(uuid::Uuid::new_v4().to_string()));
                let first = bench.run(method, request.clone()).await;
                let second = bench.again(method, request).await;
                let (first, second, asked) = (first.response.ok(), second.response.ok(), second.wire);
                hold(first.is_some() && first == second && asked.is_empty(), || {
                    format!("{second:?} after {first:?}: {asked:?}")
                })
            }
            Masked => masked(bench, method).await,
            Created => {
                let mut request = set(&json!(true));
                let name = json!(format!("centers/{}/users/nobody-yet/callSettings", bench.vendor.center));
                request["user_call_settings"]["name"] = name;
                let created = bench.run(method, request.clone()).await;
                request[&field.path[0]] = json!(false);
                let refused = bench.run(method, request).await;
                let reason = refused.response.as_ref().err().map(|failure| failure.reason.as_str());
                let is_right =
                    created.response.is_ok() && reason == Some("RESOURCE_NOT_FOUND") && created.wire != refused.wire;
                hold(is_right, || format!("{:?}, {:?}", created.response, refused.response))
            }
        }
    }
}

/// A mask decides about every field of the resource: alone in the mask, it alone is sent; or the mask is refused by
/// name.
async fn masked(bench: &Bench, method: &str) -> Result<(), String> {
    let request = bench.vendor.request(method);
    let resource = request.as_object().unwrap().keys().next().unwrap().clone();
    let mut alone = request.clone();
    alone[&resource] = json!({"name": request[&resource]["name"]});
    for field in fields(method) {
        let [of, name] = field.path.as_slice() else { continue };
        if *of != resource || name == "name" {
            continue;
        }
        let value = if field.is_ignored(method) {
            values::filled(bench.vendor, &field)
        } else {
            values::of(bench.vendor, method, &field).remove(0)
        };
        let mut masked = with(request.clone(), &field, value.clone());
        masked["update_mask"] = json!(camel(name));
        let masked = bench.run(method, masked).await;
        let failure = masked.response.as_ref().err();
        // Not a path of the contract, which names those that there are.
        if failure.is_some_and(|failure| failure.fields.first().is_some_and(|field| field == "update_mask.paths[0]")) {
            let paths = fields(method).into_iter().find(|field| field.path == ["update_mask"]).unwrap().comment;
            hold(!paths.split_once("Paths:").unwrap().1.contains(&format!(" {name}")), || format!("{name} is a path"))?;
            continue;
        }
        let alone = bench.run(method, with(alone.clone(), &field, value)).await;
        let reason = |run: &Run| run.response.as_ref().err().map(|failure| failure.reason.clone());
        let is_decided = !masked.wire.is_empty() || is_refused(&masked, "FIELD_UNSUPPORTED", &field);
        let is_alone = masked.wire == alone.wire && reason(&masked) == reason(&alone) && is_decided;
        hold(is_alone, || {
            format!("{name}: {:?} {:?}, alone {:?} {:?}", masked.response, masked.wire, alone.response, alone.wire)
        })?;
    }
    Ok(())
}

/// The items of a list's response.
fn items(response: &Value) -> &[Value] {
    let lists = response.as_object().unwrap().values().filter_map(Value::as_array);
    lists.map(Vec::as_slice).next().unwrap_or_default()
}

/// What an item is, regardless of what else is in it.
fn named(item: &Value) -> [&Value; 3] {
    ["name", "agent", "extension"].map(|field| &item[field])
}

/// As JSON spells the paths of a mask.
fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| text + &word[..1].to_uppercase() + &word[1..])
}

fn hold(is_so: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(otherwise()) }
}
