//! Calls: Udesk 24.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Serialize;

use super::{
    Udesk, about,
    ccapi::Ccapi,
    done_without_id,
    formats::{Formats as _, is_pstn},
    operations::CALLBACK,
    phone_numbers,
};
use crate::{
    adapter::Calls,
    check::Check,
    context::Context,
    endpoint,
    error::{Error, Result},
    http::Endpoint as _,
    name::{CenterName, PhoneNumberName, ResourceName as _},
    proto::v1,
    vendor::de::Text,
};

/// `POST /callback2ivr?app_id=` (Udesk 24). The customer is the caller: the answered call follows the inbound route
/// (C52).
#[derive(Serialize)]
struct CallBack<'a> {
    caller: &'a str,
    called: &'a str,
    called_display: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variables: Option<String>,
}

// The response is read as the call's ID (C54).
endpoint!(Ccapi: CallBack<'_>, POST "/callback2ivr", write, CALLBACK => Text);

/// One IVR variable in the text of `variables` (C53).
#[derive(Serialize)]
struct Variable<'a> {
    key: &'a str,
    r#type: &'static str,
    value: &'a str,
}

#[async_trait]
impl Calls for Udesk {
    async fn start_callback(
        &self,
        cx: &Context,
        center: CenterName,
        request: v1::StartCallbackRequest,
    ) -> Result<v1::StartCallbackResponse> {
        start_callback(self, cx, center, request).await
    }
}

/// Calls a customer.
async fn start_callback(
    udesk: &Udesk,
    cx: &Context,
    center: CenterName,
    request: v1::StartCallbackRequest,
) -> Result<v1::StartCallbackResponse> {
    let v1::StartCallbackRequest { parent: _, customer_number, entry_number, caller_id, variables, request_id: _ } =
        request;
    let mut check = Check::of(cx);
    check.pstn("customer_number", &customer_number);
    // The center's own numbers have any form; another one is let through if it is a number.
    let own = [("entry_number", &entry_number), ("caller_id", &caller_id)];
    let odd = own.into_iter().filter(|(field, number)| {
        let is_absent = *field == "caller_id" && number.is_empty();
        !is_absent && !is_pstn(number)
    });
    // A call that fails in any case reads nothing.
    let reads = check.is_passed();
    for (field, number) in odd {
        let is_own = if reads {
            phone_numbers::may_exist(udesk, cx, number).await?
        } else {
            udesk.known_numbers.contains(number)
        };
        if !is_own {
            check.invalid(field, "Udesk requires 3 to 32 digits, or a number that ListPhoneNumbers returns");
        }
    }
    check.done()?;
    let call_back = CallBack {
        caller: &customer_number,
        called: &entry_number,
        called_display: if caller_id.is_empty() { &entry_number } else { &caller_id },
        variables: variables_text(&variables)?,
    };
    let entry = PhoneNumberName::new(center.center(), entry_number.as_str());
    let call_id = udesk.ccapi.call(cx, &call_back).await.map_err(|error| {
        // Both numbers are the center's, and "relay number not found" does not say which.
        if call_back.called_display == call_back.called { about(error, "PhoneNumber", &entry) } else { error }
    })?;
    if call_id.trim().is_empty() {
        return Err(done_without_id(
            CallBack::operation().name,
            "Udesk accepted the callback and did not return the call's ID; do not repeat the request: the customer would be \
             called again",
        ));
    }
    Ok(v1::StartCallbackResponse { call_id: call_id.into_string() })
}

/// The list of variables as JSON text; `None` without variables.
fn variables_text(variables: &BTreeMap<String, String>) -> Result<Option<String>> {
    if variables.is_empty() {
        return Ok(None);
    }
    let list: Vec<_> = variables.iter().map(|(key, value)| Variable { key, r#type: "string", value }).collect();
    serde_json::to_string(&list).map(Some).map_err(|_| Error::internal("the variables could not be serialized"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_a_text_that_holds_a_list() {
        let variables = BTreeMap::from([("externalNumber".to_owned(), "138\"0".to_owned())]);
        let text = variables_text(&variables).unwrap().unwrap();
        assert_eq!(text, r#"[{"key":"externalNumber","type":"string","value":"138\"0"}]"#);
        assert_eq!(variables_text(&BTreeMap::new()).unwrap(), None);
    }
}
