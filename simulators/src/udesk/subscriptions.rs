//! Subscriptions to events: operations 18 to 21.

use serde_json::{Map, Value, json};

use super::{
    call::{Call, texts},
    codes::{Failure, INVALID_PARAMETER, NAME_EXISTS, NOT_FOUND, PARAMETER_EMPTY},
    event,
    quirks::Quirk,
    state::{State, Subscription},
};

/// The events of the example of 18, which its table lacks (C44).
const EVENTS_OF_THE_EXAMPLE: [&str; 2] = ["begin", "end"];

/// Operation 18. It succeeds in part: `sub_fail` names the subscriptions that were refused, beside the code of success
/// (C42).
pub(super) fn create(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let given = match call.body.get("subscriptions") {
        Some(Value::Array(many)) => many.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    if given.is_empty() {
        return Err(PARAMETER_EMPTY.because("subscriptions"));
    }
    let mut made = Vec::new();
    let mut refused = Vec::new();
    for item in given {
        let text = |name: &str| item[name].as_str().unwrap_or_default();
        let (name, callback) = (text("name"), text("callback"));
        let events = texts(item.get("events"));
        if check(callback, &events).is_err() || is_taken(state, None, name) {
            refused.push(name);
            continue;
        }
        let (subid, shown) = match state.printed.subscription.take() {
            Some((subid, printed)) => (subid, printed),
            None => (state.next_subid, name),
        };
        state.next_subid = state.next_subid.max(subid + 1);
        made.push(json!({ "subid": subid, "name": shown }));
        state.subscriptions.push(Subscription {
            subid,
            event_id: subid,
            name: name.to_owned(),
            callback: callback.to_owned(),
            events: owned(&events),
            // The document has no field for it and does not say (C47).
            enabled: true,
        });
    }
    let refused = if refused.is_empty() { Value::Null } else { json!(refused) };
    Ok(json!({ "sub_succ": made, "sub_fail": refused }))
}

/// Operation 19. It replaces the subscription, so every field is required.
pub(super) fn update(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let index = index_of(state, call.id)?;
    let events = call.texts("events");
    let name = call.text("name");
    check(call.text("callback"), &events)?;
    if is_taken(state, Some(index), name) {
        return Err(NAME_EXISTS.because("name"));
    }
    let subscription = &mut state.subscriptions[index];
    name.clone_into(&mut subscription.name);
    call.text("callback").clone_into(&mut subscription.callback);
    subscription.events = owned(&events);
    subscription.enabled = call.boolean("enable").unwrap_or(subscription.enabled);
    Ok(Value::Object(Map::from_iter([(name.to_owned(), json!(subscription.event_id))])))
}

/// Operation 20.
pub(super) fn delete(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let index = index_of(state, call.id)?;
    state.subscriptions.remove(index);
    Ok(json!([]))
}

/// Operation 21. One subscription is an object, as in the document's example; several are an array (C46).
#[expect(clippy::unnecessary_wraps, reason = "every handler has one signature")]
pub(super) fn list(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let row = |subscription: &Subscription| {
        let mut row = json!({
            "callback": subscription.callback,
            "enable": subscription.enabled.to_string(),
            "events": subscription.events,
            "name": subscription.name,
        });
        if call.has(Quirk::SubscriptionsWithIds) {
            row["subid"] = json!(subscription.subid);
        }
        row
    };
    let mut rows: Vec<Value> = state.subscriptions.iter().map(row).collect();
    Ok(if rows.len() == 1 { rows.remove(0) } else { Value::Array(rows) })
}

/// The index of the subscription with this ID. Digits that overflow an ID belong to no subscription.
fn index_of(state: &State, id: &str) -> Result<usize, Failure> {
    let subid: Option<u64> = id.parse().ok();
    state
        .subscriptions
        .iter()
        .position(|subscription| Some(subscription.subid) == subid)
        .ok_or(NOT_FOUND.because("subscription"))
}

fn check(callback: &str, names: &[&str]) -> Result<(), Failure> {
    let host = callback.strip_prefix("http://").or_else(|| callback.strip_prefix("https://"));
    if host.is_none_or(str::is_empty) {
        return Err(INVALID_PARAMETER.because("callback is an http or https address"));
    }
    if names.is_empty() {
        return Err(PARAMETER_EMPTY.because("events"));
    }
    if !names.iter().all(|event| event::NAMES.contains(event) || EVENTS_OF_THE_EXAMPLE.contains(event)) {
        return Err(INVALID_PARAMETER.because("unknown event"));
    }
    Ok(())
}

/// Whether another subscription has this name. Names are unique, because 19 and 21 have no other key.
fn is_taken(state: &State, own: Option<usize>, name: &str) -> bool {
    let mut subscriptions = state.subscriptions.iter().enumerate();
    subscriptions.any(|(index, subscription)| subscription.name == name && Some(index) != own)
}

fn owned(events: &[&str]) -> Vec<String> {
    events.iter().map(|event| (*event).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udesk::testing::TestServer;

    fn item(name: &str) -> Value {
        json!({ "callback": "https://gateway.example.com/cb", "events": ["general_hangup"], "name": name })
    }

    #[tokio::test]
    async fn one_is_an_object_and_several_are_an_array() {
        let server = TestServer::start().await;
        let seeded = server.done(21, "", Value::Null).await;
        assert_eq!((&seeded["name"], &seeded["enable"]), (&json!("wallboard"), &json!("true")));
        // The object of the table, in place of the array of the example.
        let made = server.done(18, "", json!({ "subscriptions": item("gateway") })).await;
        assert_eq!(made, json!({ "sub_succ": [{ "subid": 102, "name": "gateway" }], "sub_fail": null }));
        let two = server.done(21, "", Value::Null).await;
        assert_eq!(two[1]["callback"], "https://gateway.example.com/cb");
        for id in ["101", "102"] {
            assert_eq!(server.done(20, id, Value::Null).await, json!([]));
        }
        assert_eq!(server.done(21, "", Value::Null).await, json!([]));
        assert_eq!(server.refused(20, "102", Value::Null).await, "100018");
    }

    #[tokio::test]
    async fn what_is_refused_is_named_beside_what_is_made() {
        let server = TestServer::start().await;
        let with = |name: &str, field: &str, value: Value| {
            let mut item = item(name);
            item[field] = value;
            item
        };
        let body = json!({ "subscriptions": [
            item("a"),
            item("wallboard"),
            with("b", "callback", json!("ftp://gateway.example.com")),
            with("c", "events", json!(["unheard_of"])),
            with("d", "events", json!([])),
            item("e"),
        ] });
        let expected = json!({
            "sub_succ": [{ "subid": 102, "name": "a" }, { "subid": 103, "name": "e" }],
            "sub_fail": ["wallboard", "b", "c", "d"],
        });
        assert_eq!(server.done(18, "", body).await, expected);
    }

    #[tokio::test]
    async fn what_is_no_subscription_at_all_is_refused() {
        let server = TestServer::start().await;
        let rows = [
            (json!([]), "100001"),
            (json!("all"), "200002"),
            (json!(["all"]), "200002"),
            (json!([{ "callback": "http://a.example.com", "events": ["begin"] }]), "100001"),
            (json!([{ "callback": "http://a.example.com", "events": "begin", "name": "n" }]), "200002"),
            (json!([{ "callback": "", "events": ["begin"], "name": "n" }]), "100001"),
            (json!([{ "callback": "http://a", "events": ["begin"], "name": "n", "enable": true }]), "200002"),
        ];
        for (subscriptions, code) in rows {
            let body = json!({ "subscriptions": subscriptions });
            assert_eq!(server.refused(18, "", body.clone()).await, code, "{body}");
        }
    }

    #[tokio::test]
    async fn an_update_replaces_the_whole_subscription() {
        let server = TestServer::start().await;
        server.done(18, "", json!({ "subscriptions": [item("gateway")] })).await;
        let mut body = item("renamed");
        body["enable"] = json!(false);
        assert_eq!(server.done(19, "102", body.clone()).await, json!({ "renamed": 102 }));
        let mut shown = item("renamed");
        shown["enable"] = json!("false");
        assert_eq!(server.done(21, "", Value::Null).await[1], shown);

        assert_eq!(server.refused(19, "999", body.clone()).await, "100018");
        assert_eq!(server.refused(19, "99999999999999999999999", body.clone()).await, "100018");
        assert_eq!(server.refused(19, "102", item("no flag")).await, "100001");
        for (field, value, code) in [
            ("name", json!("wallboard"), "100006"),
            ("callback", json!("http://"), "000001"),
            ("events", json!(["unheard_of"]), "000001"),
            ("enable", json!("false"), "200002"),
        ] {
            let mut body = body.clone();
            body[field] = value;
            assert_eq!(server.refused(19, "102", body).await, code, "{field}");
        }
        assert_eq!(server.done(21, "", Value::Null).await[1], shown);
    }
}
