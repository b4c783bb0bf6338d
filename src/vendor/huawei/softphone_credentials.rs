//! Passwords, which only this file returns: those of agents from querySysInfo, then those of softphone numbers from
//! queryPhone.

use super::{
    Api, Huawei,
    extensions::{Phone, phones},
    formats::Formats as _,
    paging::reason_with,
    softphones::{self, SysAgent},
};
use crate::{
    check::Check,
    context::Context,
    error::{Error, Result},
    lists::{Listed, WholeList},
    name::{AgentName, CenterName, ExtensionName, ResourceName as _},
    page::Page,
    proto::v1::{AccessSoftphoneCredentialsResponse, ExtensionProtocol, SoftphoneCredential},
    vendor::{nameless, slices::Position},
};

/// Positions of a page: after an agent, or at a softphone number.
const AFTER_AGENT: &str = "agent:";
const AT_PHONE: &str = "phone:";

/// One page of credentials: all agents' by number, then all softphone numbers'; or those of one agent.
pub(super) async fn access(
    huawei: &Huawei,
    cx: &Context,
    center: &CenterName,
    agent: Option<AgentName>,
    page: &Page,
) -> Result<AccessSoftphoneCredentialsResponse> {
    let mut check = Check::of(cx);
    if let Some(agent) = &agent {
        check.agent_id("agent", agent.id());
    }
    check.done()?;
    let api_fabric = &huawei.api_fabric;
    let position = page.after().unwrap_or(AFTER_AGENT);
    if let Some(position) = position.strip_prefix(AT_PHONE).and_then(|position| position.parse().ok()) {
        return with_phones(api_fabric, cx, center, page, Vec::new(), position).await;
    }
    let after = position.strip_prefix(AFTER_AGENT).filter(|after| !after.is_empty());
    let token = |list, last: &str| page.token_in(list, &format!("{AFTER_AGENT}{last}"));
    let agents = huawei.lists.page_after(cx, page, after, token, agents(huawei, cx, center, agent.as_ref())).await?;
    let credentials = agents.resources();
    let incomplete_reason = if agent.is_some() { String::new() } else { agents.incomplete_reason() };
    if agents.next_page_token.is_empty() && agent.is_none() {
        let filled = with_phones(api_fabric, cx, center, page, credentials, Position::default()).await?;
        let incomplete_reason = nameless::joined([incomplete_reason, filled.incomplete_reason]);
        return Ok(AccessSoftphoneCredentialsResponse { incomplete_reason, ..filled });
    }
    Ok(AccessSoftphoneCredentialsResponse { credentials, next_page_token: agents.next_page_token, incomplete_reason })
}

/// The credentials of all agents, or of one.
async fn agents(
    huawei: &Huawei,
    cx: &Context,
    center: &CenterName,
    agent: Option<&AgentName>,
) -> Result<WholeList<Listed<SoftphoneCredential>>> {
    let (center, number) = (center.clone(), agent.map(|agent| agent.id().to_owned()));
    let credential = move |agent: SysAgent| {
        let is_requested = number.as_ref().is_none_or(|number| *agent.work_no == *number);
        is_requested.then(|| Listed::new(agent.work_no.0.clone(), agent.into_credential(&center)))
    };
    let credentials = softphones::agents(huawei, cx, credential).await?;
    match agent {
        Some(name) if credentials.find(name.id()).is_none() => Err(Error::not_found(AgentName::KIND, name)),
        _ => Ok(credentials),
    }
}

/// Fills the page with softphone numbers from a position on.
async fn with_phones(
    api_fabric: &Api,
    cx: &Context,
    center: &CenterName,
    page: &Page,
    mut credentials: Vec<SoftphoneCredential>,
    position: Position,
) -> Result<AccessSoftphoneCredentialsResponse> {
    let (next, incomplete_reason) = match page.size - credentials.len() {
        0 => (Some(position), String::new()),
        room => {
            let mut phones = phones(api_fabric, cx, position, room).await?;
            let nameless = nameless::remove::<ExtensionName, _>(&mut phones.items, |phone: &Phone| &phone.phone_num);
            credentials.extend(phones.items.into_iter().map(|phone| phone.into_credential(center)));
            (phones.next, reason_with(nameless, "softphones", phones.incomplete))
        }
    };
    Ok(AccessSoftphoneCredentialsResponse {
        credentials,
        next_page_token: next.map(|next| page.token(&format!("{AT_PHONE}{next}"))).unwrap_or_default(),
        incomplete_reason,
    })
}

// === impl SysAgent ===

impl SysAgent {
    fn into_credential(self, center: &CenterName) -> SoftphoneCredential {
        SoftphoneCredential {
            agent: AgentName::text(center.center(), &self.work_no).unwrap_or_default(),
            extension: extension(center, &self.sip_account),
            protocol: ExtensionProtocol::Unspecified.into(),
            account: self.sip_account.into_string(),
            password: self.sip_pwd.into_string(),
            agent_login_password: self.password.into_string(),
        }
    }
}

// === impl Phone ===

impl Phone {
    fn into_credential(self, center: &CenterName) -> SoftphoneCredential {
        SoftphoneCredential {
            agent: String::new(),
            extension: extension(center, &self.phone_num),
            protocol: ExtensionProtocol::Unspecified.into(),
            account: self.phone_num.into_string(),
            password: self.password.into_string(),
            agent_login_password: String::new(),
        }
    }
}

fn extension(center: &CenterName, account: &str) -> String {
    ExtensionName::text(center.center(), account).unwrap_or_default()
}
