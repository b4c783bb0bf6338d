//! The keys of a Huawei center.

use std::{collections::BTreeMap, time::Duration};

use secrecy::SecretString;
use toml::Value;
use url::Url;

use super::{
    key::{Presence, Rule, Shape, table},
    measure::duration,
    origin::{URL_PATH, origin, url_path},
    rotation::{VendorSecret, vendor_secret},
    secret::{env, file, path_segment, unguessable},
    table::{Recorded, Table},
    value::{boolean, identifier},
};

/// The C1 operations whose path a center may override: the keys of `centers.<id>.paths`. The vendor's own documents
/// spell some prefixes in two ways (`CC-Management`, `CC-Mangemant`).
pub const HUAWEI_OPERATIONS: &[&str] = &[
    "tokenByAkSk",
    "querySysInfo",
    "queryAgentInfo",
    "queryPhone",
    "agentsettings/query",
    "agentsettings/create",
    "agentsettings/update",
    "agentAccount/create",
    "agentAccount/update",
    "agentAccount/delete",
    "agentAccount/query",
    "agentAccount/addSkillsToAgent",
    "agentAccount/releaseAgentBySkillId",
    "agentAccount/queryAgentInfoBySkillId",
    "skill/createSkill",
    "skill/modifySkill",
    "skill/deleteSkill",
    "skill/querySkills",
    "accessCodeInfo/queryAccessCodeList",
    "offline/agent/login",
    "offline/agent/logout",
];

table! {
    /// Huawei Cloud AICC, API Fabric (C1).
    #[derive(Debug, Clone)]
    pub struct Huawei {
        /// Scheme and host of the token operation, whose port may differ.
        token_base_url: Url = origin().or(
            "`base_url`",
            |table| origin().parse(table, table.peek("base_url")?).ok(),
            "https://service.besclouds.com:28070",
        );
        /// The application's key.
        app_key: String = identifier().required("00000000000000000000000000000000");
        /// The application's secret, which the gateway sends for a token.
        app_secret: VendorSecret = vendor_secret().required(file("/run/secrets/beta"));
        /// The lifetime that the gateway asks for in `X-Token-Expire`.
        token_lifetime: Duration = duration(Duration::from_secs(1)..=Duration::from_hours(1))
            .filter("whole seconds", |lifetime| lifetime.subsec_millis() == 0)
            .default("1h");
        /// After a 403, as after a 401, discard the token and send the request once more with a new one.
        token_retry_on_403: bool = boolean().default(false);
        /// The last segment of the callback address in the vendor's console. Without it the gateway accepts no
        /// callbacks for the center.
        callback_secret: Option<SecretString> =
            unguessable(path_segment()).optional("none", env("BETA_CALLBACK_SECRET"));
        /// Paths of operations that the tenant spells differently.
        paths: BTreeMap<String, String> = paths();
    }
}

/// `[centers.<id>.paths]`, whose keys are operations.
fn paths() -> Rule<BTreeMap<String, String>> {
    let expected =
        format!("a table from operation to path: {URL_PATH}. Operations: `{}`", HUAWEI_OPERATIONS.join("`, `"));
    let example = [("querySysInfo".to_owned(), "/apiaccess/CC-Mangemant/v1/querySysInfo".into())];
    Rule {
        shape: Shape::Value {
            expected,
            presence: Presence::Optional("none"),
            value: Value::Table(example.into_iter().collect()),
        },
        read: Box::new(|table, name| table.nested(name, read_paths)),
    }
}

fn read_paths(table: &mut Table<'_>) -> Result<BTreeMap<String, String>, Recorded> {
    let path = url_path();
    let read: Vec<_> = HUAWEI_OPERATIONS.iter().map(|name| (*name, path.get(table, name))).collect();
    let mut paths = BTreeMap::new();
    for (name, path) in read {
        if let Some(path) = path? {
            paths.insert(name.to_owned(), path);
        }
    }
    Ok(paths)
}
