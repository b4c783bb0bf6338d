//! Writes agents: Udesk 04, 05.

use prost_types::{Duration, Struct};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Api, Udesk, VendorId, about, about_new,
    agent_records::{self, role_code},
    ccapi::Ccapi,
    extensions::Line,
    formats::Formats as _,
    is_vague,
    operations::WRITE,
};
use crate::{
    check::Check,
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result},
    name::{AgentName, CenterName, ExtensionName, ResourceName as _},
    proto::{enum_value, v1},
    vendor::{
        de::{Anything, List, Object, Text},
        refuse_other_paths,
        vendor_data_reader::VendorDataReader,
    },
    vendor_data::VendorData,
};

/// The one field of Udesk 04 and 05 without a neutral counterpart. Udesk never returns it.
const ACCESS_RIGHT: &str = "AssistantAccessRight";

/// The paths that Udesk 05 can change.
const PATHS: &[&str] = &[
    "display_name",
    "employee_number",
    "mobile_number",
    "email",
    "role",
    "enabled",
    "inbound_wrap_up_duration",
    "outbound_wrap_up_duration",
    "vendor_data",
];

const NO_ACCOUNT: &str = "Udesk agents have no login account";

/// The fields of an agent in Udesk 04 and 05. Omitted fields stay unchanged (C15).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Fields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    work_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mobile: Option<&'a str>,
    /// The document lacks this row's name (C29).
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wrap_up_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_wrap_up_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assistant_access_right: Option<i64>,
    /// Udesk 04 only: 1 or absent (C31).
    #[serde(skip_serializing_if = "Option::is_none")]
    is_create_extension: Option<u8>,
}

/// `POST /agents` (Udesk 04).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CreateAgent<'a> {
    agent_id: &'a str,
    #[serde(flatten)]
    fields: &'a Fields<'a>,
}

endpoint!(Ccapi: CreateAgent<'_>, POST "/agents", write, WRITE => Object<Created>);

/// Response of Udesk 04. It contains passwords.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Created {
    agent_id: VendorId,
    extension: VendorId,
    number: Text,
    password: Text,
    exten_infos: List<Line>,
}

/// `PUT /agents/{id}` (Udesk 05).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateAgent<'a> {
    agent_id: &'a str,
    #[serde(flatten)]
    fields: &'a Fields<'a>,
}

endpoint!(
    Ccapi: UpdateAgent<'_>, PUT "/agents/{id}", write, WRITE => Anything,
    path |e| format!("/agents/{}", e.agent_id)
);

/// Creates an agent.
pub(super) async fn create(
    ccapi: &Api,
    cx: &Context,
    center: &CenterName,
    request: v1::CreateAgentRequest,
) -> Result<v1::Agent> {
    let v1::CreateAgentRequest { parent: _, agent_id, agent, request_id: _ } = request;
    let agent = agent.unwrap_or_default();
    let mut check = Check::of(cx);
    check.digits("agent_id", &agent_id);
    let fields = Fields::checked(&mut check, &agent, |_, is_set| is_set);
    check.work_id("agent.employee_number", fields.work_id.unwrap_or_default());
    check.done()?;

    let asked = AgentName::new(center.center(), agent_id.as_str());
    let create = CreateAgent { agent_id: &agent_id, fields: &fields };
    let Object(created) = ccapi.call(cx, &create).await.map_err(|error| about_new(error, "Agent", &asked))?;
    Ok(created.into_agent(asked, &fields))
}

/// Changes the fields of an agent that `mask` names.
pub(super) async fn update(
    udesk: &Udesk,
    cx: &Context,
    name: &AgentName,
    agent: v1::Agent,
    mask: &[String],
) -> Result<v1::Agent> {
    let is_masked = |path: &str| mask.iter().any(|masked| masked == path);
    let mut check = Check::of(cx);
    check.digits("agent.name", name.id());
    refuse_other_paths(&mut check, "agent", mask, PATHS);
    let fields = Fields::checked(&mut check, &agent, |path, _| is_masked(path));
    if let Some(work_id) = fields.work_id {
        check.work_id("agent.employee_number", work_id);
    }
    check.done()?;

    let update = UpdateAgent { agent_id: name.id(), fields: &fields };
    if let Err(error) = udesk.ccapi.call(cx, &update).await {
        return Err(diagnosed(udesk, cx, name, &fields, about(error, "Agent", name)).await);
    }
    Ok(read_back(udesk, cx, name, fields).await)
}

/// Reads the agent back and adds what Udesk 25 omits (C56); the agent as sent when the read fails.
async fn read_back(udesk: &Udesk, cx: &Context, name: &AgentName, fields: Fields<'_>) -> v1::Agent {
    let sent = fields.to_agent(name);
    let Ok(agent) = agent_records::get(&udesk.ccapi, cx, name).await else {
        return sent;
    };
    let mut agent = agent.into_agent(&CenterName::new(name.center()), v1::View::Full, &udesk.agent_states);
    agent.inbound_wrap_up_duration = agent.inbound_wrap_up_duration.or(sent.inbound_wrap_up_duration);
    agent.outbound_wrap_up_duration = agent.outbound_wrap_up_duration.or(sent.outbound_wrap_up_duration);
    if let Some(sent) = sent.vendor_data {
        agent.vendor_data.get_or_insert_default().fields.extend(sent.fields);
    }
    agent
}

/// "The agent can only be disabled when it is offline"; the document does not name the code (C62).
async fn diagnosed(udesk: &Udesk, cx: &Context, name: &AgentName, fields: &Fields<'_>, error: Error) -> Error {
    if fields.enable != Some(false) || !is_vague(&error) {
        return error;
    }
    match agent_records::get(&udesk.ccapi, cx, name).await {
        Ok(agent) if agent.is_signed_in(&udesk.agent_states) => error
            .explained(ErrorReason::AgentStateConflict, "an agent must be OFFLINE before it can be disabled")
            .about("Agent", name),
        _ => error,
    }
}

/// `AssistantAccessRight` of `agent.vendor_data`.
fn access_right(check: &mut Check, vendor_data: Option<&Struct>) -> Option<i64> {
    let mut reader = VendorDataReader::new(check, "agent.vendor_data", vendor_data.cloned());
    let right = reader.integer(ACCESS_RIGHT);
    reader.refuse_others("Udesk accepts only the key \"AssistantAccessRight\"");
    right
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// Validates an agent and returns the fields to send: `is_sent` decides, by a field's path and whether it is set.
    fn checked(check: &mut Check, agent: &'a v1::Agent, is_sent: impl Fn(&str, bool) -> bool) -> Self {
        let v1::Agent {
            name: _,
            display_name,
            employee_number,
            mobile_number,
            email,
            role,
            enabled,
            inbound_wrap_up_duration,
            outbound_wrap_up_duration,
            provision_extensions,
            login_account,
            login_password,
            // All other fields but vendor_data are output only.
            state: _,
            vendor_state: _,
            state_reason: _,
            vendor_extension_state: _,
            queues: _,
            extensions: _,
            default_phone_number: _,
            vendor_data,
            provisioned_extensions: _,
        } = agent;
        check.unsupported_if(!login_account.is_empty(), "agent.login_account", NO_ACCOUNT);
        check.unsupported_if(!login_password.is_empty(), "agent.login_password", NO_ACCOUNT);
        let text = |path, text: &'a str| is_sent(path, !text.is_empty()).then_some(text);
        let seconds = |path, duration: &Option<Duration>| {
            duration.filter(|_| is_sent(path, true)).map(|duration| duration.seconds)
        };
        let role = role_code(enum_value(*role));
        let vendor_data = vendor_data.as_ref().filter(|_| is_sent("vendor_data", true));
        Self {
            work_id: text("employee_number", employee_number),
            name: text("display_name", display_name),
            mobile: text("mobile_number", mobile_number),
            email: text("email", email),
            role: is_sent("role", !role.is_empty()).then_some(role),
            enable: enabled.filter(|_| is_sent("enabled", true)),
            wrap_up_time: seconds("inbound_wrap_up_duration", inbound_wrap_up_duration),
            out_wrap_up_time: seconds("outbound_wrap_up_duration", outbound_wrap_up_duration),
            assistant_access_right: access_right(check, vendor_data),
            is_create_extension: is_sent("provision_extensions", *provision_extensions).then_some(1),
        }
    }

    /// An agent with these fields only.
    fn to_agent(&self, name: &AgentName) -> v1::Agent {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let duration = |seconds: Option<i64>| seconds.map(|seconds| Duration { seconds, nanos: 0 });
        let role = match self.role {
            Some("agent") => v1::AgentRole::Agent,
            Some("leader") => v1::AgentRole::Leader,
            _ => v1::AgentRole::Unspecified,
        };
        v1::Agent {
            name: name.to_string(),
            display_name: text(self.name),
            employee_number: text(self.work_id),
            mobile_number: text(self.mobile),
            email: text(self.email),
            role: role.into(),
            enabled: self.enable,
            inbound_wrap_up_duration: duration(self.wrap_up_time),
            outbound_wrap_up_duration: duration(self.out_wrap_up_time),
            vendor_data: VendorData::new().json(ACCESS_RIGHT, &json!(self.assistant_access_right)).build(),
            ..v1::Agent::default()
        }
    }
}

// === impl Created ===

impl Created {
    fn into_agent(self, asked: AgentName, fields: &Fields<'_>) -> v1::Agent {
        let center = CenterName::new(asked.center());
        let name = match &self.agent_id.0 {
            odd if !AgentName::identifies(odd) => asked,
            id => AgentName::new(center.center(), id.as_str()),
        };
        let lines = self.into_lines();
        let mut agent = fields.to_agent(&name);
        if fields.role.is_none() {
            agent.set_role(v1::AgentRole::Agent); // "default is agent"
        }
        agent.extensions = lines.iter().filter_map(|line| ExtensionName::text(center.center(), line.id())).collect();
        if fields.is_create_extension.is_some() {
            let provisioned = lines.into_iter().map(|line| line.into_provisioned(&center, &name));
            agent.provisioned_extensions = provisioned.collect();
        }
        agent
    }

    /// The lines of `ExtenInfos`, completed by `Extension`, `Number` and `Password` (C30).
    fn into_lines(self) -> Vec<Line> {
        let mut lines = self.exten_infos.0;
        lines.retain(|line| ExtensionName::identifies(line.id()));
        let first = Line::new(self.extension, self.number, self.password);
        match lines.iter_mut().find(|line| line.id() == first.id()) {
            Some(line) => line.complete(first),
            None if !ExtensionName::identifies(first.id()) => {}
            None => lines.push(first),
        }
        lines
    }
}
