//! Softphone passwords, which Udesk returns in ordinary reads: `ExtenInfos` of Udesk 06 and 25.

use super::{
    Api,
    agent_records::{self, Agent},
    extensions::Line,
    formats::Formats as _,
};
use crate::{
    check::Check,
    context::Context,
    error::Result,
    name::{AgentName, CenterName, ExtensionName, ResourceName as _},
    page::Page,
    proto::v1,
    vendor::nameless,
};

/// The passwords that Udesk returns, by extension; or those of one agent.
pub(super) async fn access(
    ccapi: &Api,
    cx: &Context,
    center: CenterName,
    agent: Option<AgentName>,
    page: Page,
) -> Result<v1::AccessSoftphoneCredentialsResponse> {
    let (agents, incomplete_reason) = match &agent {
        Some(name) => {
            let mut check = Check::of(cx);
            check.digits("agent", name.id());
            check.done()?;
            (vec![agent_records::get(ccapi, cx, name).await?], String::new())
        }
        None => {
            let page = agent_records::all(ccapi, cx).await?;
            let incomplete_reason = page.incomplete_reason();
            (page.agent_list.0, incomplete_reason)
        }
    };
    let mut lines: Vec<(String, Line)> = agents.into_iter().flat_map(of_agent).collect();
    let nameless = nameless::remove::<ExtensionName, _>(&mut lines, |(_, line)| line.id());
    let incomplete_reason = nameless::joined([incomplete_reason, nameless::reason("Udesk", nameless, "extensions")]);
    lines.sort_by(|(_, left), (_, right)| left.id().cmp(right.id()));
    lines.dedup_by(|(_, later), (_, first)| later.id() == first.id());
    let (lines, next_page_token) = page.cut(lines, |(_, line)| line.id());
    let credentials = lines.into_iter().map(|(agent, line)| credential(&center, agent, &line)).collect();
    Ok(v1::AccessSoftphoneCredentialsResponse { credentials, next_page_token, incomplete_reason })
}

/// The extensions of an agent whose password is known.
fn of_agent(agent: Agent) -> impl Iterator<Item = (String, Line)> {
    let id = agent.id().to_owned();
    agent.into_lines().into_iter().filter(|line| !line.password().is_empty()).map(move |line| (id.clone(), line))
}

fn credential(center: &CenterName, agent: String, line: &Line) -> v1::SoftphoneCredential {
    v1::SoftphoneCredential {
        agent: AgentName::text(center.center(), &agent).unwrap_or_default(),
        extension: ExtensionName::new(center.center(), line.id()).to_string(),
        protocol: line.protocol().into(),
        account: line.account().to_owned(),
        password: line.password().to_owned(),
        agent_login_password: String::new(),
    }
}
