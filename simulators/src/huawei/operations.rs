//! The table of operations. A path that the vendor spells in two ways has a row for each spelling (B1).

use http::Method;

use super::{
    account_query, accounts,
    envelope::Style,
    memberships, numbers, offline,
    operation::{AppKey, Get, Handler, Operation, Post},
    settings, skill_query, skills, softphones,
};

/// Name of the operation that issues tokens.
pub(super) const TOKEN: &str = "tokenByAkSk";

/// Path of document 000, agentsettings and mobileAgent.
const MANAGEMENT: &str = "/apiaccess/CC-Management/v1/";
/// The same path, as other pages spell it.
const MANGEMANT: &str = "/apiaccess/CC-Mangemant/v1/";
const MANAGEMENT_V2: &str = "/apiaccess/CC-Management/v2/";
const REST: &str = "/apiaccess/rest/cc-management/v1/";

static OPERATIONS: &[Operation] = &[
    // A
    issue_token("/apigovernance/api/oauth/", TOKEN),
    // B3.1, B3.2
    get(MANAGEMENT, "querySysInfo", softphones::query_sys_info),
    get(MANGEMANT, "querySysInfo", softphones::query_sys_info),
    get(MANAGEMENT, "queryAgentInfo", softphones::query_agent_info),
    get(MANGEMANT, "queryAgentInfo", softphones::query_agent_info),
    // B3.5 to B3.8
    account("agentAccount/create", "create AgentAccount success", accounts::create).wrapped("requestParam"),
    account("agentAccount/update", "edit success", accounts::update).wrapped("requestParam"),
    account("agentAccount/delete", "delete AgentAccount success", accounts::delete).wrapped("requestParams"),
    account("agentAccount/query", "get agent account info success", account_query::query).wrapped("requestParams"),
    // B3.9 to B3.11
    account("agentAccount/addSkillsToAgent", "success", memberships::add),
    account("agentAccount/releaseAgentBySkillId", "success", memberships::release),
    account("agentAccount/queryAgentInfoBySkillId", "success", memberships::query).wrapped("requestParam"),
    // B3.13 to B3.16
    described("skill/createSkill", "Create Skill successfully", skills::create),
    described("skill/modifySkill", "Update Skill successfully", skills::modify),
    described("skill/deleteSkill", "Success", skills::delete),
    described("skill/querySkills", "Success", skill_query::query),
    // B3.17
    described("accessCodeInfo/queryAccessCodeList", "Success", numbers::query),
    // B3.20
    described("offline/agent/login", "Success", offline::login),
    described("offline/agent/logout", "Success", offline::logout),
    described("offline/agent/isOfflineAgent", "Success", offline::is_offline_agent),
    // Document 001
    phones("mobileAgent/queryPhone", "successfully", softphones::query_phone),
    // B3.22
    settings("openapp/agentsettings/create", "create success.", settings::create),
    settings("openapp/agentsettings/update", "update success.", settings::update),
    settings("openapp/agentsettings/query", "query success", settings::query),
];

/// The operation with this method and path.
pub(super) fn find(method: &Method, path: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|row| row.method() == method && row.has_path(path))
}

/// The row's index in the table.
pub(super) fn index(operation: &'static Operation) -> Option<usize> {
    OPERATIONS.iter().position(|row| std::ptr::eq(row, operation))
}

/// The indexes of the rows of the one operation whose name is `name` or ends with it after a slash; empty if there are
/// several such operations.
pub(super) fn named(name: &str) -> Vec<usize> {
    let is_named = |row: &Operation| {
        row.name
            .strip_suffix(name)
            .is_some_and(|before| !name.is_empty() && (before.is_empty() || before.ends_with('/')))
    };
    let found: Vec<usize> = (0..OPERATIONS.len()).filter(|index| is_named(&OPERATIONS[*index])).collect();
    let is_one = found.iter().all(|index| OPERATIONS[*index].name == OPERATIONS[found[0]].name);
    if is_one { found } else { Vec::new() }
}

/// Every row of the table.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter()
}

const fn row(prefix: &'static str, name: &'static str, handler: Handler) -> Operation {
    Operation { prefix, name, app_key: AppKey::Optional, wrapper: None, style: Style::Bare, success: "", handler }
}

const fn issue_token(prefix: &'static str, name: &'static str) -> Operation {
    row(prefix, name, Handler::IssueToken)
}

const fn get(prefix: &'static str, name: &'static str, run: Get) -> Operation {
    row(prefix, name, Handler::Get(run))
}

const fn account(name: &'static str, success: &'static str, run: Post) -> Operation {
    Operation { style: Style::Result, success, ..row(REST, name, Handler::Post(run)) }
}

const fn described(name: &'static str, success: &'static str, run: Post) -> Operation {
    Operation { style: Style::ReturnDescription, success, ..row(REST, name, Handler::Post(run)) }
}

const fn phones(name: &'static str, success: &'static str, run: Post) -> Operation {
    Operation { style: Style::Ret, success, ..row(MANAGEMENT_V2, name, Handler::Post(run)) }
}

const fn settings(name: &'static str, success: &'static str, run: Post) -> Operation {
    Operation {
        app_key: AppKey::Mandatory,
        style: Style::ReturnDesc,
        success,
        ..row(MANAGEMENT, name, Handler::Post(run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_its_path() {
        for row in OPERATIONS {
            let found = find(row.method(), &row.path()).unwrap();
            assert!(std::ptr::eq(found, row), "{}", row.path());
        }
    }
}
