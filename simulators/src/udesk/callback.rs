//! Calls a customer back into the IVR: operation 24.

use serde_json::{Value, json};

use super::{
    call::Call,
    codes::{Failure, INVALID_PARAMETER, NUMBER_NOT_FOUND},
    state::{Callback, State, Variable},
};

/// Operation 24. The call is recorded, so that a test can count the calls of a customer.
pub(super) fn start(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    for name in ["caller", "called", "called_display"] {
        // The tenant's own numbers have any form.
        let is_own = name != "caller" && state.numbers.iter().any(|number| number == call.text(name));
        if !is_own && !is_pstn(call.text(name)) {
            return Err(INVALID_PARAMETER.because(name));
        }
    }
    let entry = call.text("called");
    if !state.numbers.iter().any(|number| number == entry) {
        return Err(NUMBER_NOT_FOUND.because("called"));
    }
    let variables = match call.body.get("variables") {
        None => Vec::new(),
        Some(value) => read_variables(value).ok_or(INVALID_PARAMETER.because("variables"))?,
    };
    let call_id = match state.printed.call_ids.pop_front() {
        Some(printed) => printed.to_owned(),
        None => uuid::Uuid::new_v4().to_string(),
    };
    let response = json!(call_id);
    state.record_callback(Callback {
        call_id,
        customer: call.text("caller").to_owned(),
        entry: entry.to_owned(),
        display: call.text("called_display").to_owned(),
        variables,
    });
    Ok(response)
}

/// Whether a number is one of the "PSTN Numbers": a landline `0{area}{local}`, a mobile of 11 digits, or `00` and an
/// international number.
///
/// The document has no length but the mobile's. An area code is two or three digits, a local number seven or eight;
/// an international number has at most 15 digits (E.164).
fn is_pstn(number: &str) -> bool {
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    match number.strip_prefix("00") {
        Some(international) => (6..=15).contains(&international.len()) && !international.starts_with('0'),
        None if number.starts_with('0') => (10..=12).contains(&number.len()),
        None => number.len() == 11,
    }
}

/// Reads an array, or JSON text of one (C53), of objects with exactly a key, a type and a value.
fn read_variables(value: &Value) -> Option<Vec<Variable>> {
    let parsed;
    let list = match value {
        Value::String(text) => {
            parsed = serde_json::from_str::<Value>(text).ok()?;
            &parsed
        }
        other => other,
    };
    list.as_array()?.iter().map(read_variable).collect()
}

fn read_variable(value: &Value) -> Option<Variable> {
    let fields = value.as_object()?;
    let text = |name: &str| fields.get(name)?.as_str().map(str::to_owned);
    let variable = Variable { key: text("key")?, kind: text("type")?, value: text("value")? };
    (fields.len() == 3 && !variable.key.is_empty() && !variable.kind.is_empty()).then_some(variable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udesk::testing::TestServer;

    fn request() -> Value {
        json!({ "caller": "13676546374", "called": "01055500101", "called_display": "02155500102" })
    }

    #[tokio::test]
    async fn every_call_of_a_customer_is_counted() {
        let server = TestServer::start().await;
        let mut body = request();
        body["variables"] = json!(r#"[{"key":"tier","type":"string","value":"gold"}]"#);
        let ids = [server.done(24, "", body.clone()).await, server.done(24, "", body).await];
        let callbacks = server.simulator.callbacks();
        assert_eq!(ids, [json!(callbacks[0].call_id), json!(callbacks[1].call_id)]);
        assert_ne!(ids[0], ids[1]);
        let Callback { call_id: _, customer, entry, display, variables } = &callbacks[1];
        assert_eq!(
            (customer.as_str(), entry.as_str(), display.as_str()),
            ("13676546374", "01055500101", "02155500102")
        );
        let tier = Variable { key: "tier".to_owned(), kind: "string".to_owned(), value: "gold".to_owned() };
        assert_eq!(*variables, [tier]);
    }

    #[tokio::test]
    async fn a_refused_callback_calls_no_customer() {
        let server = TestServer::start().await;
        let rows = [
            ("caller", json!("12"), "000001"),
            ("called", json!("1055"), "000001"),
            ("called", json!("01055500199"), "100005"),
            ("called_display", json!("shown"), "000001"),
            ("variables", json!("[{]"), "000001"),
            ("variables", json!({}), "200002"),
        ];
        for (field, value, code) in rows {
            let mut body = request();
            body[field] = value;
            let refused = server.call(24, "", body).await;
            assert_eq!((&refused["code"], &refused["results"]), (&json!(code), &json!("")), "{field}");
        }
        assert!(server.simulator.callbacks().is_empty());
    }

    #[test]
    fn debug_of_a_callback_holds_no_data_of_people() {
        let variable = Variable { key: "k".to_owned(), kind: "string".to_owned(), value: "secret".to_owned() };
        let callback = Callback {
            call_id: "c-1".to_owned(),
            customer: "13676546374".to_owned(),
            entry: "01055500101".to_owned(),
            display: "02155500102".to_owned(),
            variables: vec![variable.clone()],
        };
        let printed = format!("{callback:?} {variable:?}");
        for hidden in ["13676546374", "01055500101", "02155500102", "secret"] {
            assert!(!printed.contains(hidden), "{printed}");
        }
        assert!(printed.contains("c-1"));
    }

    #[test]
    fn numbers_have_one_of_three_forms() {
        for number in ["01067654637", "13676546374", "057126200671", "02863208944", "0014155550100"] {
            assert!(is_pstn(number), "{number}");
        }
        for number in ["", "123", "1367654637", "0106765", "000123456789", "0010", "136 7654637", "93000077121002"] {
            assert!(!is_pstn(number), "{number}");
        }
    }

    #[test]
    fn variables_are_triples_in_an_array() {
        let good = json!([{ "key": "externalNumber", "type": "string", "value": "13800000000" }]);
        let read = read_variables(&good).expect("the array itself is accepted");
        assert_eq!((read[0].key.as_str(), read[0].kind.as_str()), ("externalNumber", "string"));
        assert!(read_variables(&json!(good.to_string())).is_some_and(|from_text| from_text == read));
        for malformed in [
            json!(r#"[{"key/": "extemalNumber","type":"string","value":"13800000000"}]"#),
            json!("not JSON"),
            json!(""),
            json!("{}"),
            json!([{ "key": "a", "type": "string", "value": 1 }]),
            json!([{ "key": "a", "type": "string", "value": "b", "more": "c" }]),
            json!(["a"]),
        ] {
            assert!(read_variables(&malformed).is_none(), "{malformed}");
        }
    }
}
