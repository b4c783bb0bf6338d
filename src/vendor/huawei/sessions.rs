//! Signs agents who answer on an ordinary phone in and out: offline/agent/login, logout (B3.20).

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Huawei, accounts,
    api_fabric::ApiFabric,
    directory,
    formats::Formats as _,
    is_refused,
    operations::{OFFLINE_LOGIN, OFFLINE_LOGOUT},
};
use crate::{
    check::Check,
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result, Violation},
    name::{AgentName, QueueName, ResourceName as _},
    proto::v1,
    vendor_data::VendorData,
};

/// `POST offline/agent/login`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Login<'a> {
    phone: &'a str,
    work_no: u32,
}

/// `POST offline/agent/logout`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logout {
    work_no: u32,
}

endpoint!(ApiFabric: Login<'_>, POST "offline/agent/login", write, OFFLINE_LOGIN.of_caller() => Map<String, Value>);
endpoint!(ApiFabric: Logout, POST "offline/agent/logout", write, OFFLINE_LOGOUT.of_caller() => Map<String, Value>);

/// Members that only report success.
const SUCCESS: [&str; 2] = ["returnCode", "description"];

/// Signs an agent in on the requested phone, or on the agent's own.
pub(super) async fn sign_in(
    huawei: &Huawei,
    cx: &Context,
    name: &AgentName,
    queues: &[QueueName],
    request: v1::LoginAgentRequest,
) -> Result<v1::LoginAgentResponse> {
    let v1::LoginAgentRequest { name: _, initial_state, employee_number, queues: _, phone_number, vendor_data } =
        request;
    let mut check = Check::of(cx);
    check.agent_id("name", name.id());
    check.unsupported_if(initial_state != 0, "initial_state", "Huawei accepts no state at sign-in");
    check.unsupported_if(
        !employee_number.is_empty(),
        "employee_number",
        "Huawei has no employee number; it signs agents in by agent number",
    );
    check.unsupported_if(!queues.is_empty(), "queues", "Huawei signs an agent in to all of their queues");
    check.phone("phone_number", &phone_number);
    check.unsupported_if(vendor_data.is_some(), "vendor_data", "Huawei accepts no further fields at sign-in");
    check.done()?;
    let work_no = work_no(name)?;
    let phone = match phone_number {
        none if none.is_empty() => own_phone(huawei, cx, name).await?,
        phone => phone,
    };
    match huawei.api_fabric.call(cx, &Login { phone: &phone, work_no }).await {
        Ok(response) => Ok(v1::LoginAgentResponse { vendor_data: beyond_success(&response) }),
        Err(error) => Err(explain_agent(huawei, cx, error, name).await),
    }
}

/// Signs an agent out.
pub(super) async fn sign_out(huawei: &Huawei, cx: &Context, name: &AgentName) -> Result<v1::LogoutAgentResponse> {
    let mut check = Check::of(cx);
    check.agent_id("name", name.id());
    check.done()?;
    match huawei.api_fabric.call(cx, &Logout { work_no: work_no(name)? }).await {
        Ok(response) => Ok(v1::LogoutAgentResponse { vendor_data: beyond_success(&response) }),
        Err(error) => Err(explain_agent(huawei, cx, error, name).await),
    }
}

/// The agent's mobile number.
async fn own_phone(huawei: &Huawei, cx: &Context, name: &AgentName) -> Result<String> {
    let phone = accounts::of_agent(huawei, cx, name, true).await?.map(|account| account.phone.into_string());
    phone.filter(|phone| !phone.is_empty()).ok_or_else(|| {
        let why = "required: this agent has no mobile number in Huawei";
        Error::invalid(vec![Violation::new("phone_number", why)])
    })
}

/// The vendor does not distinguish a missing agent from other refusals, so one read decides.
async fn explain_agent(huawei: &Huawei, cx: &Context, error: Error, name: &AgentName) -> Error {
    if !is_refused(&error) {
        return error;
    }
    match directory::read(huawei, cx).await {
        Ok(map) if map.account(name.id()).is_none() => {
            error.explained(ErrorReason::ResourceNotFound, format!("there is no {name}")).about(AgentName::KIND, name)
        }
        _ => error,
    }
}

/// An agent's number.
fn work_no(name: &AgentName) -> Result<u32> {
    name.id().parse().map_err(|_| Error::internal("a checked agent number is not a number"))
}

fn beyond_success(response: &Map<String, Value>) -> Option<prost_types::Struct> {
    let fields = response.iter().filter(|(key, _)| !SUCCESS.contains(&key.as_str()));
    fields.fold(VendorData::new(), |data, (key, value)| data.json(key, value)).build()
}
