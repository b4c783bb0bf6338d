//! Every operation: its name in `[centers.<id>.paths]`, its path and its envelope.
//!
//! The vendor has several spellings of prefixes (B1): `CC-Management` in the documents, `CC-Mangemant` on some pages. A
//! center whose tenant differs overrides the path.

use super::{
    api_fabric::Style,
    envelope::{AGENT_ACCOUNT, AGENT_SETTINGS, BARE, DESCRIBED, Envelope, MOBILE_AGENT},
};

macro_rules! operations {
    ($($(#[$doc:meta])+ $constant:ident = $name:literal, $prefix:literal, $envelope:ident;)+) => {
        $($(#[$doc])+ pub(super) const $constant: Style = style($name, concat!($prefix, $name), $envelope);)+

        /// Every operation behind the API Fabric.
        #[cfg(test)]
        pub(super) const ALL: &[Style] = &[$($constant),+];
    };
}

operations! {
    /// B3.1, document 000.
    QUERY_SYS_INFO = "querySysInfo", "/apiaccess/CC-Management/v1/", BARE;
    /// B3.2.
    QUERY_AGENT_INFO = "queryAgentInfo", "/apiaccess/CC-Management/v1/", BARE;
    /// B3.5.
    CREATE_ACCOUNT = "agentAccount/create", "/apiaccess/rest/cc-management/v1/", AGENT_ACCOUNT;
    /// B3.6.
    UPDATE_ACCOUNT = "agentAccount/update", "/apiaccess/rest/cc-management/v1/", AGENT_ACCOUNT;
    /// B3.7.
    DELETE_ACCOUNT = "agentAccount/delete", "/apiaccess/rest/cc-management/v1/", AGENT_ACCOUNT;
    /// B3.8.
    QUERY_ACCOUNTS = "agentAccount/query", "/apiaccess/rest/cc-management/v1/", AGENT_ACCOUNT;
    /// B3.9.
    ADD_SKILLS = "agentAccount/addSkillsToAgent", "/apiaccess/rest/cc-management/v1/", AGENT_ACCOUNT;
    /// B3.10.
    RELEASE_AGENTS = "agentAccount/releaseAgentBySkillId", "/apiaccess/rest/cc-management/v1/", AGENT_ACCOUNT;
    /// B3.11.
    QUERY_MEMBERS = "agentAccount/queryAgentInfoBySkillId", "/apiaccess/rest/cc-management/v1/", AGENT_ACCOUNT;
    /// B3.13.
    CREATE_SKILL = "skill/createSkill", "/apiaccess/rest/cc-management/v1/", DESCRIBED;
    /// B3.14.
    MODIFY_SKILL = "skill/modifySkill", "/apiaccess/rest/cc-management/v1/", DESCRIBED;
    /// B3.15.
    DELETE_SKILL = "skill/deleteSkill", "/apiaccess/rest/cc-management/v1/", DESCRIBED;
    /// B3.16.
    QUERY_SKILLS = "skill/querySkills", "/apiaccess/rest/cc-management/v1/", DESCRIBED;
    /// B3.17.
    QUERY_ACCESS_CODES = "accessCodeInfo/queryAccessCodeList", "/apiaccess/rest/cc-management/v1/", DESCRIBED;
    /// B3.20.
    OFFLINE_LOGIN = "offline/agent/login", "/apiaccess/rest/cc-management/v1/", DESCRIBED;
    /// B3.20.
    OFFLINE_LOGOUT = "offline/agent/logout", "/apiaccess/rest/cc-management/v1/", DESCRIBED;
    /// B3.21, document 001.
    QUERY_PHONE = "queryPhone", "/apiaccess/CC-Management/v2/mobileAgent/", MOBILE_AGENT;
    /// B3.22.
    CREATE_SETTINGS = "agentsettings/create", "/apiaccess/CC-Management/v1/openapp/", AGENT_SETTINGS;
    /// B3.22.
    UPDATE_SETTINGS = "agentsettings/update", "/apiaccess/CC-Management/v1/openapp/", AGENT_SETTINGS;
    /// B3.22, document 002.
    QUERY_SETTINGS = "agentsettings/query", "/apiaccess/CC-Management/v1/openapp/", AGENT_SETTINGS;
}

const fn style(operation: &'static str, path: &'static str, envelope: Envelope) -> Style {
    Style { operation, path, envelope, takes_caller_values: false }
}

// === impl Style ===

impl Style {
    /// The operation with a caller's values in the request.
    #[must_use]
    pub(super) const fn of_caller(self) -> Self {
        Self { takes_caller_values: true, ..self }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::HUAWEI_OPERATIONS;

    #[test]
    fn the_configuration_knows_every_operation_and_no_other() {
        let operations = ALL.iter().map(|style| style.operation).chain(["tokenByAkSk"]);
        let operations: BTreeSet<_> = operations.collect();
        assert_eq!(operations, HUAWEI_OPERATIONS.iter().copied().collect());
        assert_eq!(ALL.len() + 1, HUAWEI_OPERATIONS.len());
    }
}
