//! Passwords, which only this file returns: those of agents from querySysInfo, then those of softphone numbers from
//! queryPhone.

use super::{
    Api,
    extensions::{Phone, phones},
    formats::Formats as _,
    paging::reason_with,
    softphones::{QuerySysInfo, SysAgent},
};
use crate::{
    check::Check,
    context::Context,
    error::{Error, Result},
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
    api_fabric: &Api,
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
    let position = page.after().unwrap_or(AFTER_AGENT);
    if let Some(position) = position.strip_prefix(AT_PHONE).and_then(|position| position.parse().ok()) {
        return with_phones(api_fabric, cx, center, page, Vec::new(), position).await;
    }
    let after = position.strip_prefix(AFTER_AGENT).unwrap_or_default();
    let mut agents = api_fabric.call(cx, &QuerySysInfo {}).await?.agents.0;
    let nameless = nameless::remove::<AgentName, _>(&mut agents, |agent: &SysAgent| &agent.work_no);
    let incomplete_reason = nameless::reason("Huawei", nameless, "agents");
    if let Some(name) = &agent {
        agents.retain(|agent| *agent.work_no == *name.id());
        if agents.is_empty() {
            return Err(Error::not_found(AgentName::KIND, name));
        }
    }
    let (agents, last) = after_agent(agents, after, page.size);
    let credentials = agents.into_iter().map(|agent| agent.into_credential(center)).collect();
    match last {
        Some(last) => Ok(AccessSoftphoneCredentialsResponse {
            credentials,
            next_page_token: page.token(&last),
            incomplete_reason,
        }),
        None if agent.is_some() => Ok(AccessSoftphoneCredentialsResponse {
            credentials,
            next_page_token: String::new(),
            incomplete_reason: String::new(),
        }),
        None => {
            let filled = with_phones(api_fabric, cx, center, page, credentials, Position::default()).await?;
            let incomplete_reason = nameless::joined([incomplete_reason, filled.incomplete_reason]);
            Ok(AccessSoftphoneCredentialsResponse { incomplete_reason, ..filled })
        }
    }
}

/// Up to `size` agents after the given one, by number; and the next position if more follow.
fn after_agent(mut agents: Vec<SysAgent>, after: &str, size: usize) -> (Vec<SysAgent>, Option<String>) {
    let number = |agent: &SysAgent| (agent.work_no.len(), agent.work_no.0.clone());
    agents.retain(|agent| number(agent) > (after.len(), after.to_owned()));
    agents.sort_by_key(number);
    let more = agents.len() > size;
    agents.truncate(size);
    let last = agents.last().map(|agent| format!("{AFTER_AGENT}{}", agent.work_no.0));
    (agents, last.filter(|_| more))
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
