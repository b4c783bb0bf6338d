//! How quirks reshape a response.

use serde_json::{Map, Value, json};

use super::{
    operation::{Operation, ResultType},
    quirks::{Quirk, Quirks},
};

// === impl Quirks ===

impl Quirks {
    /// Reshapes the result of `operation`.
    pub(super) fn shape_result(self, operation: &Operation, short_app_id: &str, mut result: Value) -> Value {
        if self.contains(Quirk::UnknownEnums) {
            visit(&mut result, &mut unknown_enum);
        }
        if self.contains(Quirk::ExtenInfosStrings) {
            visit(&mut result, &mut exten_infos_as_strings);
        }
        if self.contains(Quirk::SubSuccObject) {
            visit(&mut result, &mut single_as_object);
        }
        if self.contains(Quirk::SuffixedIds) {
            visit(&mut result, &mut |key, value| {
                suffix_ids(key, value, short_app_id);
            });
        }
        if self.contains(Quirk::TextNumbers) {
            numbers_as_text(&mut result);
        }
        if self.contains(Quirk::Nulls) {
            empty_as_null(&mut result);
        }
        // In a map whose keys the caller chose, another key would be another entry.
        if self.contains(Quirk::ExtraFields) && operation.result != ResultType::ByName {
            add_fields(&mut result);
        }
        if self.contains(Quirk::ResultAsText) && operation.result == ResultType::TextInTable {
            result = Value::String(result.to_string());
        }
        result
    }

    /// Reshapes the envelope around the result.
    pub(super) fn shape_envelope(self, mut envelope: Map<String, Value>) -> Map<String, Value> {
        for name in ["ErrCode", "code"] {
            if let Some(code) = envelope.get_mut(name)
                && self.contains(Quirk::NumberCodes)
            {
                *code = json!(code.as_str().and_then(|code| code.parse::<u32>().ok()));
            }
        }
        if let Some(results) = envelope.get_mut("results")
            && self.contains(Quirk::Nulls)
        {
            empty_as_null(results);
        }
        if self.contains(Quirk::ExtraFields) {
            envelope.insert("TraceId".to_owned(), json!("0"));
        }
        envelope
    }
}

/// Calls `change` with every field of every object in `value`, inner ones first.
fn visit(value: &mut Value, change: &mut impl FnMut(&str, &mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, change)),
        Value::Object(fields) => {
            for (key, field) in fields.iter_mut() {
                visit(field, change);
                change(key, field);
            }
        }
        _ => {}
    }
}

fn unknown_enum(key: &str, value: &mut Value) {
    match key {
        "State" => *value = json!(7),
        "Strategy" => *value = json!(9),
        "Role" => *value = json!("monitor"),
        "SignalType" => *value = json!("voip"),
        _ => {}
    }
}

fn exten_infos_as_strings(key: &str, value: &mut Value) {
    if key == "ExtenInfos"
        && let Value::Array(infos) = value
    {
        for info in infos {
            *info = info["Extension"].take();
        }
    }
}

fn single_as_object(key: &str, value: &mut Value) {
    if key == "sub_succ"
        && let Value::Array(subscriptions) = value
        && subscriptions.len() == 1
    {
        *value = subscriptions.remove(0);
    }
}

fn suffix_ids(key: &str, value: &mut Value, short_app_id: &str) {
    match (key, value) {
        ("AgentId" | "QueueId", Value::String(id)) if !id.contains('@') => {
            id.push('@');
            id.push_str(short_app_id);
        }
        _ => {}
    }
}

fn numbers_as_text(value: &mut Value) {
    match value {
        Value::Number(_) | Value::Bool(_) => *value = Value::String(value.to_string()),
        Value::Array(items) => items.iter_mut().for_each(numbers_as_text),
        Value::Object(fields) => fields.values_mut().for_each(numbers_as_text),
        Value::Null | Value::String(_) => {}
    }
}

fn empty_as_null(value: &mut Value) {
    match value {
        Value::String(text) if text.is_empty() => *value = Value::Null,
        Value::Array(items) if items.is_empty() => *value = Value::Null,
        Value::Array(items) => items.iter_mut().for_each(empty_as_null),
        Value::Object(fields) => {
            fields.retain(|_, field| !field.as_array().is_some_and(Vec::is_empty));
            fields.values_mut().for_each(empty_as_null);
        }
        _ => {}
    }
}

fn add_fields(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(add_fields),
        Value::Object(fields) => {
            fields.values_mut().for_each(add_fields);
            fields.insert("Reserved".to_owned(), json!({ "Level": 1 }));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udesk::testing::{TestServer, prepare};

    async fn played(quirk: Quirk, number: u8, id: &str, body: Value) -> Value {
        TestServer::with_quirk(quirk).await.done(number, id, body).await
    }

    #[tokio::test]
    async fn text_numbers() {
        let queues = played(Quirk::TextNumbers, 11, "", Value::Null).await;
        assert_eq!(queues["Queues"][0]["Timeout"], "30");
        let agents = played(Quirk::TextNumbers, 6, "", Value::Null).await;
        assert_eq!((&agents["Total"], &agents["AgentList"][0]["Enable"]), (&json!("12"), &json!("true")));
    }

    #[tokio::test]
    async fn number_codes() {
        let server = TestServer::with_quirk(Quirk::NumberCodes).await;
        assert_eq!(server.call(1, "", Value::Null).await["ErrCode"], 0);
        assert_eq!(server.call(25, "77", Value::Null).await["ErrCode"], 100_018);
        let call = json!({ "caller": "13676546374", "called": "01055500100", "called_display": "01055500100" });
        assert_eq!(server.call(24, "", call).await["code"], 0);
    }

    #[tokio::test]
    async fn empty_bodies() {
        let server = TestServer::with_quirk(Quirk::EmptyBodies).await;
        for prepared in [
            prepare(13, "", json!({ "QueueId": "9001", "Timeout": 7 })),
            prepare(9, "", json!({ "Extension": "1300" })),
        ] {
            let response = server.send(prepared).await;
            assert_eq!((response.status, response.body.as_str()), (204, ""));
        }
        assert_eq!(server.done(11, "", Value::Null).await["Queues"][0]["Timeout"], 7);
        assert_eq!(server.refused(9, "", json!({ "Extension": "1300" })).await, "100018");
    }

    #[tokio::test]
    async fn http_statuses() {
        let server = TestServer::with_quirk(Quirk::HttpStatuses).await;
        let rows = [
            (prepare(1, "", Value::Null), 200, "000000"),
            (prepare(12, "", json!({ "QueueName": "Night" })), 201, "000000"),
            (prepare(5, "1001", json!({ "Name": "Mara" })), 201, "000000"),
            (prepare(5, "1001", json!({ "Role": "monitor" })), 400, "000001"),
            (prepare(1, "", Value::Null).set("Sign", "0"), 401, "200020"),
            (prepare(25, "77", Value::Null), 404, "100018"),
            (prepare(1, "", Value::Null).header("accept", "text/html"), 406, "000036"),
            (prepare(12, "", json!({ "QueueName": "Night" })), 422, "100006"),
        ];
        for (prepared, status, code) in rows {
            let response = server.send(prepared).await;
            assert_eq!((response.status, response.code().as_str()), (status, code));
        }
        let deleted = server.send(prepare(9, "", json!({ "Extension": "1300" }))).await;
        assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    }

    #[tokio::test]
    async fn result_as_text() {
        let server = TestServer::with_quirk(Quirk::ResultAsText).await;
        let agent = server.done(25, "1001", Value::Null).await;
        let agent: Value = serde_json::from_str(agent.as_str().expect("25 returns text")).expect("the text is JSON");
        assert_eq!(agent["Name"], "Mara Lindholm");
        assert!(server.done(26, "9001", Value::Null).await.is_string());
        assert!(server.done(12, "", json!({ "QueueName": "Night" })).await.is_string());
        // The table of 11 says object.
        assert!(server.done(11, "", Value::Null).await.is_object());
    }

    #[tokio::test]
    async fn nulls() {
        let server = TestServer::with_quirk(Quirk::Nulls).await;
        assert_eq!(server.done(3, "", Value::Null).await, Value::Null);
        assert_eq!(server.done(1, "", Value::Null).await["DefSpNumber"], Value::Null);
        assert_eq!(server.done(20, "101", Value::Null).await, Value::Null);
        assert_eq!(server.done(22, "", json!({ "agent_id": "1001" })).await, Value::Null);
        let agent = server.done(25, "1012", Value::Null).await;
        assert_eq!((agent.get("Queues"), agent.get("Extensions")), (None, None));
    }

    #[tokio::test]
    async fn extra_fields() {
        let server = TestServer::with_quirk(Quirk::ExtraFields).await;
        let envelope = server.call(11, "", Value::Null).await;
        assert!(envelope.get("TraceId").is_some());
        assert!(envelope["Result"]["Queues"][0].get("Reserved").is_some());
        let body = json!({ "callback": "http://a.example.com", "name": "n", "events": ["play_succ"], "enable": true });
        assert_eq!(server.done(19, "101", body).await, json!({ "n": 101 }));
    }

    #[tokio::test]
    async fn unknown_enums() {
        let server = TestServer::with_quirk(Quirk::UnknownEnums).await;
        let agent = &server.done(6, "", Value::Null).await["AgentList"][0];
        assert_eq!((&agent["State"], &agent["Role"]), (&json!(7), &json!("monitor")));
        assert_eq!(agent["ExtenInfos"][0]["SignalType"], "voip");
        assert_eq!(server.done(11, "", Value::Null).await["Queues"][0]["Strategy"], 9);
    }

    #[tokio::test]
    async fn exten_infos_strings() {
        let server = TestServer::with_quirk(Quirk::ExtenInfosStrings).await;
        assert_eq!(server.done(25, "1001", Value::Null).await["ExtenInfos"], json!(["1101", "1201"]));
        let body = json!({ "AgentId": "2001", "WorkId": "E2001", "IsCreateExtension": 1 });
        assert_eq!(server.done(4, "", body).await["ExtenInfos"], json!(["1000", "1001"]));
    }

    #[tokio::test]
    async fn sub_succ_object() {
        let item = |name: &str| json!({ "callback": "http://a.example.com", "events": ["play_succ"], "name": name });
        let server = TestServer::with_quirk(Quirk::SubSuccObject).await;
        let one = server.done(18, "", json!({ "subscriptions": [item("a")] })).await;
        assert_eq!(one["sub_succ"], json!({ "subid": 102, "name": "a" }));
        let two = server.done(18, "", json!({ "subscriptions": [item("b"), item("c")] })).await;
        assert_eq!(two["sub_succ"].as_array().map(Vec::len), Some(2));
    }

    #[tokio::test]
    async fn subscriptions_with_ids() {
        assert_eq!(played(Quirk::SubscriptionsWithIds, 21, "", Value::Null).await["subid"], 101);
        assert_eq!(TestServer::start().await.done(21, "", Value::Null).await.get("subid"), None);
    }

    #[tokio::test]
    async fn suffixed_ids() {
        let server = TestServer::with_quirk(Quirk::SuffixedIds).await;
        let suffixed = |id: &str| json!(format!("{id}@4b8dc715-05e0"));
        assert_eq!(server.done(6, "", Value::Null).await["AgentList"][0]["AgentId"], suffixed("1001"));
        assert_eq!(server.done(11, "", Value::Null).await["Queues"][0]["QueueId"], suffixed("9001"));
        assert_eq!(server.done(12, "", json!({ "QueueId": "9008" })).await["QueueId"], suffixed("9008"));
        assert_eq!(server.done(25, "1001", Value::Null).await["AgentId"], suffixed("1001"));
    }

    #[tokio::test]
    async fn assigned_queue_ids() {
        let made = played(Quirk::AssignedQueueIds, 12, "", json!({ "QueueId": "9008", "QueueName": "Night" })).await;
        assert_eq!(made["QueueId"], "181155");
    }

    #[tokio::test]
    async fn second_generation_codes() {
        let server = TestServer::with_quirk(Quirk::SecondGenerationCodes).await;
        assert_eq!(server.refused(25, "77", Value::Null).await, "200004");
        assert_eq!(server.refused(12, "", json!({ "QueueName": "Sales" })).await, "200019");
        assert_eq!(server.refused(12, "", json!({ "QueueId": "1" })).await, "200002");
        // 100001 has no second code.
        assert_eq!(server.refused(14, "", Value::Null).await, "100001");
    }

    #[tokio::test]
    async fn pages() {
        let page = played(Quirk::Pages, 6, "", Value::Null).await;
        let numbers = ["CurrPage", "PageSize", "Total", "TotalPage"].map(|name| page[name].as_u64());
        assert_eq!(numbers, [Some(1), Some(5), Some(12), Some(3)]);
        assert_eq!(page["AgentList"].as_array().map(Vec::len), Some(5));
    }
}
