//! Creates, changes and deletes agents: agentAccount/create, update, delete (B3.5 to B3.7).

use serde::{Deserialize, Serialize};

use super::{
    Huawei, accounts,
    accounts::Account,
    api_fabric::ApiFabric,
    directory,
    formats::Formats as _,
    operations::{CREATE_ACCOUNT, DELETE_ACCOUNT, UPDATE_ACCOUNT},
    request_wrapper,
    request_wrapper::{Wrap, Wrapped},
};
use crate::{
    check::Check,
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result},
    name::{AgentName, CenterName, ResourceName as _},
    proto::v1,
    vendor::{
        de::{Anything, Text},
        nameless,
        vendor_data_reader::VendorDataReader,
    },
};

/// `POST agentAccount/create`. The vendor assigns the agent's number.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Create<'a> {
    user_account: &'a str,
    user_name: &'a str,
    password: &'a str,
    email: &'a str,
    agent_type: u32,
    cc_role_id: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    phone: &'a str,
}

/// `POST agentAccount/update`. Omitted fields stay unchanged.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Update<'a> {
    user_account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_type: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cc_role_id: Option<u32>,
}

/// `POST agentAccount/delete`, in any state of the agent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Delete<'a> {
    user_account: &'a str,
}

// The tables have two spellings of the member.
impl Wrap for Create<'_> {
    const MEMBER: &'static str = "requestParam";
}

impl Wrap for Update<'_> {
    const MEMBER: &'static str = "requestParam";
}

impl Wrap for Delete<'_> {
    const MEMBER: &'static str = "requestParams";
}

endpoint!(ApiFabric: Wrapped<Create<'_>>, POST "agentAccount/create", write, CREATE_ACCOUNT.of_caller() => Created);
endpoint!(ApiFabric: Wrapped<Update<'_>>, POST "agentAccount/update", write, UPDATE_ACCOUNT.of_caller() => Anything);
endpoint!(ApiFabric: Wrapped<Delete<'_>>, POST "agentAccount/delete", write, DELETE_ACCOUNT => Anything);

/// Response of agentAccount/create.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Created {
    work_no: Text,
}

/// Audio agent; the others are multimedia, video and all-round (B3.5).
const DEFAULT_AGENT_TYPE: u32 = 4;
const AGENT_TYPES: &[u32] = &[4, 5, 11, 99];
/// Agent; the others are quality inspector and outbound agent (B3.5).
const DEFAULT_ROLE: u32 = 2;
const ROLES: &[u32] = &[2, 3, 4];
const ACCEPTS: &str = "Huawei accepts only the keys \"agentType\" and \"ccRoleId\"";

/// Why fields of the contract are rejected.
const NO_EMPLOYEE_NUMBER: &str = "Huawei has no employee number; it identifies an agent by number and account";
const NO_ROLE: &str = "Huawei has other roles than the contract; set vendor_data.ccRoleId";
const NO_FLAG: &str = "Huawei cannot disable an agent; use DeleteAgent";
const NO_CHOICE: &str = "Huawei's operation has no field for it";
const NO_WRAP_UP: &str = "Huawei has one wrap-up time per queue; set vendor_data.maxAgentWrapupTime of the queue";

/// Creates an agent with an account.
pub(super) async fn create(
    huawei: &Huawei,
    cx: &Context,
    center: &CenterName,
    request: v1::CreateAgentRequest,
) -> Result<v1::Agent> {
    let v1::CreateAgentRequest { parent: _, agent_id, agent, request_id: _ } = request;
    let agent = agent.unwrap_or_default();
    let create = Create::checked(cx, &agent_id, &agent)?;
    check_free(huawei, cx, center, create.user_account).await?;
    let sent = create.as_account();
    let created = request_wrapper::write(huawei, cx, create).await;
    huawei.directory.forget();
    let created = created?;
    let mut account = match accounts::find(huawei, cx, &sent.user_account).await {
        Ok(Some(account)) => account,
        Ok(None) | Err(_) => sent,
    };
    if AgentName::identifies(&created.work_no) {
        account.work_no = created.work_no;
    } else if !AgentName::identifies(&account.work_no) {
        account.work_no = number_of_created(huawei, cx, &account.user_account).await?;
    }
    Ok(account.into_agent(center.center(), v1::View::Full))
}

/// Changes the fields in `mask`.
pub(super) async fn update(
    huawei: &Huawei,
    cx: &Context,
    name: &AgentName,
    agent: v1::Agent,
    mask: &[String],
) -> Result<v1::Agent> {
    let (mut update, login_account) = Update::checked(cx, name, &agent, mask)?;
    let before = accounts::to_change(huawei, cx, name).await?;
    if !login_account.is_empty() && *login_account != *before.user_account {
        let mut check = Check::of(cx);
        check.unsupported("agent.login_account", "Huawei cannot rename an account; leave this field empty");
        check.done()?;
    }
    update.user_account = &before.user_account;
    let mut after = update.applied_to(before.clone());
    request_wrapper::write(huawei, cx, update).await?;
    if let Ok(Some(read)) = accounts::find(huawei, cx, &before.user_account).await {
        after = Account { work_no: after.work_no, ..read };
    }
    Ok(after.into_agent(name.center(), v1::View::Full))
}

/// Deletes an agent and its account.
pub(super) async fn delete(huawei: &Huawei, cx: &Context, name: &AgentName) -> Result<()> {
    let mut check = Check::of(cx);
    check.agent_id("name", name.id());
    check.done()?;
    let account = accounts::to_change(huawei, cx, name).await?;
    let deleted = request_wrapper::write(huawei, cx, Delete { user_account: &account.user_account }).await;
    huawei.directory.forget();
    deleted.map(drop)
}

/// An account's name is its permanent key, so an existing name is rejected before anything is sent.
async fn check_free(huawei: &Huawei, cx: &Context, center: &CenterName, user_account: &str) -> Result<()> {
    match accounts::find(huawei, cx, user_account).await {
        Ok(None) => Ok(()),
        Ok(Some(account)) => {
            let error = Error::new(ErrorReason::ResourceExists, "agent.login_account already exists; nothing was sent");
            Err(match AgentName::text(center.center(), &account.work_no) {
                Some(name) => error.about(AgentName::KIND, name),
                None => error,
            })
        }
        // The response for an unknown account is not documented.
        Err(error) if !error.vendor_code().is_empty() => Ok(()),
        Err(error) => Err(error),
    }
}

/// The number of a new agent, where the response omits it.
async fn number_of_created(huawei: &Huawei, cx: &Context, user_account: &str) -> Result<Text> {
    let map = directory::read(huawei, cx).await;
    let work_no = map.ok().and_then(|map| map.work_no(user_account).map(str::to_owned));
    work_no.map(Text).filter(|work_no| AgentName::identifies(work_no)).ok_or_else(|| {
        nameless::written(
            "Huawei created the agent and did not return its number; do not repeat the request, find it with ListAgents",
        )
    })
}

/// `agentType` and `ccRoleId` of `agent.vendor_data`.
fn kind(check: &mut Check, vendor_data: Option<prost_types::Struct>) -> (Option<u32>, Option<u32>) {
    let mut reader = VendorDataReader::new(check, "agent.vendor_data", vendor_data);
    let kinds = (reader.one_of("agentType", AGENT_TYPES), reader.one_of("ccRoleId", ROLES));
    reader.refuse_others(ACCEPTS);
    kinds
}

fn text(text: &str) -> Text {
    Text(text.to_owned())
}

// === impl Create ===

impl<'a> Create<'a> {
    /// Validates a new agent.
    fn checked(cx: &Context, agent_id: &str, agent: &'a v1::Agent) -> Result<Self> {
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
        let mut check = Check::of(cx);
        check.unsupported_if(
            !agent_id.is_empty(),
            "agent_id",
            "Huawei assigns the number of an agent; leave this field empty",
        );
        check.account("agent.login_account", login_account);
        check.new_user_name("agent.display_name", display_name);
        check.password("agent.login_password", login_password);
        check.ascii_email("agent.email", email);
        check.phone("agent.mobile_number", mobile_number);
        check.unsupported_if(!employee_number.is_empty(), "agent.employee_number", NO_EMPLOYEE_NUMBER);
        check.unsupported_if(*role != 0, "agent.role", NO_ROLE);
        check.unsupported_if(enabled.is_some(), "agent.enabled", NO_FLAG);
        let (inbound, outbound) = (inbound_wrap_up_duration.is_some(), outbound_wrap_up_duration.is_some());
        check.unsupported_if(inbound, "agent.inbound_wrap_up_duration", NO_WRAP_UP);
        check.unsupported_if(outbound, "agent.outbound_wrap_up_duration", NO_WRAP_UP);
        check.unsupported_if(*provision_extensions, "agent.provision_extensions", NO_CHOICE);
        let (agent_type, role) = kind(&mut check, vendor_data.clone());
        check.done()?;
        Ok(Self {
            user_account: login_account,
            user_name: display_name,
            password: login_password,
            email,
            agent_type: agent_type.unwrap_or(DEFAULT_AGENT_TYPE),
            cc_role_id: role.unwrap_or(DEFAULT_ROLE),
            phone: mobile_number,
        })
    }

    /// The account as requested.
    fn as_account(&self) -> Account {
        Account {
            user_account: text(self.user_account),
            user_name: text(self.user_name),
            phone: text(self.phone),
            email: text(self.email),
            agent_type: self.agent_type.into(),
            cc_role_id: self.cc_role_id.into(),
            ..Account::default()
        }
    }
}

// === impl Update ===

impl<'a> Update<'a> {
    /// Validates what `mask` changes of an agent, and returns it with the account that the request names. The agent's
    /// own account is filled in later.
    fn checked(cx: &Context, name: &AgentName, agent: &'a v1::Agent, mask: &[String]) -> Result<(Self, &'a str)> {
        let v1::Agent {
            name: _,
            display_name,
            employee_number: _, // the mask rejects this and the following
            mobile_number,
            email,
            role: _,
            enabled: _,
            inbound_wrap_up_duration: _,
            outbound_wrap_up_duration: _,
            provision_extensions: _, // only CreateAgent accepts it
            login_account,
            login_password: _, // only CreateAgent accepts it
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
        let mut check = Check::of(cx);
        check.agent_id("agent.name", name.id());
        let mut update = Self::default();
        for path in mask {
            match path.as_str() {
                "display_name" => {
                    check.user_name("agent.display_name", display_name);
                    update.user_name = Some(display_name);
                }
                "email" => {
                    check.ascii_email("agent.email", email);
                    update.email = Some(email);
                }
                "mobile_number" => {
                    check.phone("agent.mobile_number", mobile_number);
                    update.phone = Some(mobile_number);
                }
                "vendor_data" => (update.agent_type, update.cc_role_id) = kind(&mut check, vendor_data.clone()),
                "employee_number" => check.unsupported("agent.employee_number", NO_EMPLOYEE_NUMBER),
                "role" => check.unsupported("agent.role", NO_ROLE),
                "enabled" => check.unsupported("agent.enabled", NO_FLAG),
                "inbound_wrap_up_duration" | "outbound_wrap_up_duration" => {
                    check.unsupported(format!("agent.{path}"), NO_WRAP_UP);
                }
                _ => check.unsupported(format!("agent.{path}"), "Huawei cannot change it"),
            }
        }
        check.done()?;
        Ok((update, login_account))
    }

    /// The account as expected after the change.
    fn applied_to(&self, before: Account) -> Account {
        Account {
            user_name: self.user_name.map_or(before.user_name, text),
            email: self.email.map_or(before.email, text),
            phone: self.phone.map_or(before.phone, text),
            agent_type: self.agent_type.map_or(before.agent_type, Into::into),
            cc_role_id: self.cc_role_id.map_or(before.cc_role_id, Into::into),
            ..before
        }
    }
}
