//! Signs agents in and out: Udesk 22, 23.

use prost_types::Struct;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Api, Udesk, about, agent_records,
    ccapi::Ccapi,
    formats::Formats as _,
    is_missing, is_vague,
    operations::{SIGN_IN, SIGN_OUT},
};
use crate::{
    check::Check,
    config::AgentStates,
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result},
    name::{AgentName, QueueName},
    proto::{enum_value, v1},
    vendor::vendor_data_reader::VendorDataReader,
    vendor_data::VendorData,
};

/// `POST /agent/login?MsgId=` (Udesk 22).
#[derive(Serialize)]
struct SignIn<'a> {
    agent_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    work_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    queue_ids: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<u32>,
}

endpoint!(Ccapi: SignIn<'_>, POST "/agent/login", write, SIGN_IN => Message);

/// `POST /agent/logout?app_id=` (Udesk 23).
#[derive(Serialize)]
struct SignOut<'a> {
    agent_id: &'a str,
}

endpoint!(Ccapi: SignOut<'_>, POST "/agent/logout", write, SIGN_OUT => Message);

/// Response of Udesk 22 and 23, of which only the empty form is documented (C49, C51).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    msg_id: Value,
    results: Value,
    data: Value,
}

/// Signs an agent in.
pub(super) async fn sign_in(
    udesk: &Udesk,
    cx: &Context,
    name: &AgentName,
    queues: &[QueueName],
    request: v1::LoginAgentRequest,
) -> Result<v1::LoginAgentResponse> {
    let v1::LoginAgentRequest { name: _, initial_state, employee_number, queues: _, phone_number, vendor_data } =
        request;
    let mut check = Check::of(cx);
    check.digits("name", name.id());
    if !employee_number.is_empty() {
        check.work_id("employee_number", &employee_number);
    }
    for (index, queue) in queues.iter().enumerate() {
        check.digits(format!("queues[{index}]"), queue.id());
    }
    check.unsupported_if(!phone_number.is_empty(), "phone_number", "Udesk agents answer on their extension");
    let states = &udesk.agent_states;
    let vendor_state = vendor_state(&mut check, vendor_data, states);
    let initial_state: v1::AgentState = enum_value(initial_state);
    let state = states.sign_in_number(initial_state);
    check.unsupported_if(
        initial_state != v1::AgentState::Unspecified && state.is_none(),
        "initial_state",
        "the agent_states of this center have no number for this state; set vendor_data.state instead",
    );
    check.done()?;
    let queue_ids = queues.iter().map(QueueName::id).collect();
    let sign_in = SignIn { agent_id: name.id(), work_id: &employee_number, queue_ids, state: vendor_state.or(state) };
    let ccapi = &udesk.ccapi;
    match ccapi.call(cx, &sign_in).await {
        Ok(message) => Ok(v1::LoginAgentResponse { vendor_data: message.into_vendor_data() }),
        // "No records" may also be about a queue.
        Err(error) if is_missing(&error) && !queues.is_empty() => Err(error),
        Err(error) => Err(diagnosed(ccapi, cx, name, about(error, "Agent", name)).await),
    }
}

/// "Agents without an extension cannot sign in"; the document does not name the code (C62).
async fn diagnosed(ccapi: &Api, cx: &Context, name: &AgentName, error: Error) -> Error {
    if !is_vague(&error) {
        return error;
    }
    match agent_records::get(ccapi, cx, name).await {
        Ok(agent) if agent.extension_ids().next().is_none() => error
            .explained(ErrorReason::AgentStateConflict, "an agent must have an extension to sign in")
            .about("Agent", name),
        _ => error,
    }
}

/// Signs an agent out.
pub(super) async fn sign_out(ccapi: &Api, cx: &Context, name: &AgentName) -> Result<v1::LogoutAgentResponse> {
    let mut check = Check::of(cx);
    check.digits("name", name.id());
    check.done()?;
    let sign_out = SignOut { agent_id: name.id() };
    let message = ccapi.call(cx, &sign_out).await.map_err(|error| about(error, "Agent", name))?;
    Ok(v1::LogoutAgentResponse { vendor_data: message.into_vendor_data() })
}

/// `state` of `vendor_data`.
fn vendor_state(check: &mut Check, vendor_data: Option<Struct>, states: &AgentStates) -> Option<u32> {
    let mut reader = VendorDataReader::new(check, "vendor_data", vendor_data);
    let state = reader.one_of("state", &states.sign_in_numbers());
    reader.refuse_others("Udesk accepts only the key \"state\"");
    state
}

// === impl Message ===

impl Message {
    fn into_vendor_data(self) -> Option<Struct> {
        let Self { msg_id, results, data } = self;
        VendorData::new().json("msg_id", &msg_id).json("results", &results).json("data", &data).build()
    }
}
