//! Call settings of users: openapp/agentsettings (document 002, B3.22).

use serde::Deserialize;

use super::{
    envelope::{Outcome, Payload, Refusal, payload},
    fields::{self, ensure},
    operation::Call,
    quirks::{Quirk, Quirks, UNKNOWN_TEXT},
    state::{CallSettings, Center},
};

/// Most numbers in a list.
const MAX_NUMBERS: usize = 5;
/// Longest number, in characters.
const MAX_NUMBER: usize = 15;

/// The body of create: the fields of update without the ID.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Create {
    user_id: String,
    call_type: Option<String>,
    caller_present: Option<Vec<String>>,
    call_number: Option<Vec<String>>,
    call_number_default: Option<String>,
    caller_present_default: Option<String>,
}

/// The body of update.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Update {
    id: String,
    user_id: String,
    call_type: Option<String>,
    caller_present: Option<Vec<String>>,
    call_number: Option<Vec<String>>,
    call_number_default: Option<String>,
    caller_present_default: Option<String>,
}

/// The body of query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Query {
    user_id: String,
}

/// `POST agentsettings/create`: adds settings to a user without any.
pub(super) fn create(center: &mut Center, call: Call<'_>) -> Outcome {
    let Create { user_id, call_type, caller_present, call_number, call_number_default, caller_present_default } =
        fields::read(call.body)?;
    ensure(!user_id.is_empty(), "The userId is empty")?;
    ensure(!center.settings.contains_key(&user_id), "The agent settings already exist")?;
    let settings = CallSettings {
        id: center.take_settings_id(),
        call_type,
        caller_present,
        call_number,
        call_number_default,
        caller_present_default,
        agent_name: None,
    };
    check(&settings, call.quirks)?;
    let id = settings.id.clone();
    center.settings.insert(user_id, settings);
    Ok(payload! { "id": id })
}

/// `POST agentsettings/update`: an absent field is unchanged.
pub(super) fn update(center: &mut Center, call: Call<'_>) -> Outcome {
    let Update { id, user_id, call_type, caller_present, call_number, call_number_default, caller_present_default } =
        fields::read(call.body)?;
    let before = center
        .settings
        .get_mut(&user_id)
        .filter(|settings| settings.id == id)
        .ok_or(Refusal::because("The agent settings do not exist"))?;
    let settings = CallSettings {
        id,
        call_type: call_type.or_else(|| before.call_type.clone()),
        caller_present: caller_present.or_else(|| before.caller_present.clone()),
        call_number: call_number.or_else(|| before.call_number.clone()),
        call_number_default: call_number_default.or_else(|| before.call_number_default.clone()),
        caller_present_default: caller_present_default.or_else(|| before.caller_present_default.clone()),
        agent_name: before.agent_name.clone(),
    };
    check(&settings, call.quirks)?;
    *before = settings;
    Ok(payload! { "id": before.id })
}

/// `POST agentsettings/query`: a user's settings; for a user without any, only return code "0".
pub(super) fn query(center: &mut Center, call: Call<'_>) -> Outcome {
    let Query { user_id } = fields::read(call.body)?;
    ensure(!user_id.is_empty(), "The userId is empty")?;
    let Some(settings) = center.settings.get(&user_id) else {
        return Ok(Payload::new());
    };
    let mut shown = payload! {
        "id": settings.id,
        "userId": user_id,
        "callType": settings.call_type,
        "callerPresent": settings.caller_present,
        "callNumber": settings.call_number,
        "callNumberDefault": settings.call_number_default,
        "callerPresentDefault": settings.caller_present_default,
        "agentName": settings.agent_name,
    };
    shown.retain(|_, value| !value.is_null());
    Ok(shown)
}

fn check(settings: &CallSettings, quirks: &Quirks) -> Result<(), Refusal> {
    // A client that reads, changes and writes back must be able to keep an unknown value.
    let known = |call_type: &str| {
        matches!(call_type, "0" | "1" | "2") || quirks.contains(Quirk::UnknownEnums) && call_type == UNKNOWN_TEXT
    };
    ensure(settings.call_type.as_deref().is_none_or(known), "The callType is invalid")?;
    for numbers in [&settings.caller_present, &settings.call_number].into_iter().flatten() {
        ensure(numbers.len() <= MAX_NUMBERS, "There are more than 5 numbers")?;
        for number in numbers {
            fields::at_most(number, MAX_NUMBER, "A number is longer than 15")?;
        }
    }
    for number in [&settings.call_number_default, &settings.caller_present_default].into_iter().flatten() {
        fields::at_most(number, MAX_NUMBER, "A number is longer than 15")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{
        Tenant,
        testing::{MANAGEMENT, TestServer, code},
    };

    async fn call(server: &TestServer, operation: &str, body: Value) -> Value {
        let path = format!("{MANAGEMENT}/openapp/agentsettings/{operation}");
        server.post(&path, body).await.ok()
    }

    #[tokio::test]
    async fn settings_are_created_once_changed_and_read() {
        let server = TestServer::start(Tenant::Empty, "").await;
        let none = call(&server, "query", json!({ "userId": "7" })).await;
        assert_eq!(none, json!({ "returnCode": "0", "returnDesc": "query success" }));

        let create = json!({ "userId": "7", "callType": "2", "callNumber": ["88880001"] });
        let created = call(&server, "create", create.clone()).await;
        let id = created["id"].as_str().unwrap();
        assert_eq!((code(&created), id.len()), ("0", 19));
        assert_eq!(code(&call(&server, "create", create).await), "1");

        let update = json!({
            "id": id, "userId": "7", "callType": "0", "callerPresent": ["1", "2"], "callNumberDefault": "3",
        });
        let updated = call(&server, "update", update).await;
        assert_eq!(updated, json!({ "returnCode": "0", "returnDesc": "update success.", "id": id }));
        let settings = json!({
            "returnCode": "0", "returnDesc": "query success", "id": id, "userId": "7", "callType": "0",
            "callNumber": ["88880001"], "callerPresent": ["1", "2"], "callNumberDefault": "3",
        });
        assert_eq!(call(&server, "query", json!({ "userId": "7" })).await, settings);

        let other = call(&server, "create", json!({ "userId": "8" })).await;
        assert_ne!(other["id"], id);
    }

    #[tokio::test]
    async fn an_update_names_both_ids_rightly() {
        let server = TestServer::start(Tenant::Document, "").await;
        for (id, user) in [("1307145259662215169", "unknown"), ("1", "1660270845627002401")] {
            let response = call(&server, "update", json!({ "id": id, "userId": user })).await;
            assert_eq!(code(&response), "1");
            assert_eq!(response["returnDesc"], "The agent settings do not exist");
        }
    }

    #[tokio::test]
    async fn values_have_limits_and_a_refused_update_changes_nothing() {
        let server = TestServer::start(Tenant::Document, "").await;
        let user = "1660270845627002401";
        let before = call(&server, "query", json!({ "userId": user })).await;
        let long = "1".repeat(16);
        for (field, valid, invalid) in [
            ("callType", json!("0"), json!("3")),
            ("callerPresent", json!(["1", "2", "3", "4", "5"]), json!(["1", "2", "3", "4", "5", "6"])),
            ("callNumber", json!(["123456789012345"]), json!([long])),
            ("callNumberDefault", json!("123456789012345"), json!(long)),
            ("callerPresentDefault", json!(""), json!(long)),
        ] {
            let refused = call(&server, "create", json!({ "userId": field, field: invalid })).await;
            assert_eq!(code(&refused), "1", "{field}");
            let update = json!({ "id": before["id"], "userId": user, field: invalid });
            assert_eq!(code(&call(&server, "update", update).await), "1", "{field}");
            let created = call(&server, "create", json!({ "userId": field, field: valid })).await;
            assert_eq!(code(&created), "0", "{field}");
        }
        assert_eq!(call(&server, "query", json!({ "userId": user })).await, before);
    }

    #[tokio::test]
    async fn types_are_strict() {
        let server = TestServer::start(Tenant::Empty, "").await;
        for body in [
            json!({ "userId": 7 }),
            json!({ "userId": "7", "callType": 1 }),
            json!({ "userId": "7", "callerPresent": "1,2" }),
            json!({ "userId": "7", "callNumber": [1] }),
        ] {
            let path = format!("{MANAGEMENT}/openapp/agentsettings/create");
            server.post(&path, body).await.is_bad_request();
        }
    }

    #[tokio::test]
    async fn an_unknown_call_type_that_was_read_can_be_written_back() {
        let server = TestServer::start(Tenant::Document, "unknown-enums").await;
        let user = "1660270845627002401";
        let read = call(&server, "query", json!({ "userId": user })).await;
        assert_eq!(read["callType"], "77");
        let back = json!({ "id": read["id"], "userId": user, "callType": "77" });
        assert_eq!(code(&call(&server, "update", back).await), "0");
    }
}
