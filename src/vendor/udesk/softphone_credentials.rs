//! Softphone passwords, which Udesk returns in ordinary reads: `ExtenInfos` of Udesk 06 and 25.

use super::{
    Udesk,
    agent_records::{self, Agent, AgentPage},
    extensions::Line,
    formats::Formats as _,
};
use crate::{
    check::Check,
    context::Context,
    error::Result,
    http::Mismatch,
    lists::{Listed, WholeList},
    name::{AgentName, CenterName, ExtensionName, ResourceName as _},
    page::Page,
    proto::v1,
    vendor::nameless,
};

/// A credential of an extension.
type Credential = Listed<v1::SoftphoneCredential>;

/// The passwords that Udesk returns, by extension; or those of one agent.
pub(super) async fn access(
    udesk: &Udesk,
    cx: &Context,
    center: CenterName,
    agent: Option<AgentName>,
    page: Page,
) -> Result<v1::AccessSoftphoneCredentialsResponse> {
    if let Some(name) = &agent {
        let mut check = Check::of(cx);
        check.digits("agent", name.id());
        check.done()?;
    }
    let read = async {
        let ccapi = &udesk.ccapi;
        match &agent {
            Some(name) => Ok(credentials(&center, of_agent(agent_records::get(ccapi, cx, name).await?), String::new())),
            None => {
                let center = center.clone();
                agent_records::all(ccapi, cx, move |page| every(&center, &page)).await
            }
        }
    };
    let page = udesk.lists.page(cx, &page, read).await?;
    Ok(v1::AccessSoftphoneCredentialsResponse {
        credentials: page.resources(),
        incomplete_reason: page.incomplete_reason(),
        next_page_token: page.next_page_token,
    })
}

fn every(center: &CenterName, page: &AgentPage) -> Result<WholeList<Credential>, Mismatch> {
    let mut lines = Vec::new();
    for agent in page.agents() {
        lines.extend(of_agent(agent?));
    }
    Ok(credentials(center, lines, page.incomplete_reason(0)))
}

/// Each extension once.
fn credentials(
    center: &CenterName,
    lines: impl IntoIterator<Item = (String, Line)>,
    incomplete_reason: String,
) -> WholeList<Credential> {
    let mut lines: Vec<(String, Line)> = lines.into_iter().collect();
    let nameless = nameless::remove::<ExtensionName, _>(&mut lines, |(_, line)| line.id());
    let incomplete_reason = nameless::joined([incomplete_reason, nameless::reason("Udesk", nameless, "extensions")]);
    lines.sort_by(|(_, left), (_, right)| left.id().cmp(right.id()));
    lines.dedup_by(|(_, later), (_, first)| later.id() == first.id());
    let credential =
        |(agent, line): (String, Line)| Listed::new(line.id().to_owned(), credential(center, agent, &line));
    WholeList::counted(lines.into_iter().map(credential).collect(), incomplete_reason)
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
