//! Members of queues: agentAccount/addSkillsToAgent, releaseAgentBySkillId, queryAgentInfoBySkillId (B3.9 to B3.11).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    envelope::{Outcome, Refusal, payload},
    fields::{self, ensure},
    operation::Call,
    quirks::Quirk,
    state::{Center, Weights},
};

/// Most accounts of one request.
const MAX_ACCOUNTS: usize = 50;

/// A queue with weights, in create and update of an account. All three fields are required (B3.6).
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SkillWeights {
    skill_id: u32,
    agent_weight: u32,
    skill_weight: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Add {
    user_accounts: Vec<String>,
    skill_id: u32,
    agent_weight: u32,
    skill_weight: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Release {
    skill_id: u32,
    user_accounts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Query {
    skill_id: u32,
    page_size: i64,
    page_num: i64,
}

/// `POST agentAccount/addSkillsToAgent`: adds every account or none. A member of the queue gets the new weights.
pub(super) fn add(center: &mut Center, call: Call<'_>) -> Outcome {
    let Add { user_accounts, skill_id, agent_weight, skill_weight } = fields::read(call.body)?;
    ensure(!user_accounts.is_empty(), "userAccounts is empty")?;
    ensure(user_accounts.len() <= MAX_ACCOUNTS, "There are more than 50 userAccounts")?;
    let weights = weights(agent_weight, skill_weight)?;
    let positions = positions(center, &user_accounts)?;
    for position in &positions {
        check_media(center, center.agents[*position].kind, [skill_id])?;
    }
    for position in positions {
        center.agents[position].skills.insert(skill_id, weights);
    }
    Ok(payload! {})
}

/// `POST agentAccount/releaseAgentBySkillId`: removes accounts; an empty array removes all, as documented.
pub(super) fn release(center: &mut Center, call: Call<'_>) -> Outcome {
    let Release { skill_id, user_accounts } = fields::read(call.body)?;
    center.skill(skill_id)?;
    if user_accounts.is_empty() {
        for agent in &mut center.agents {
            agent.skills.remove(&skill_id);
        }
    }
    for position in positions(center, &user_accounts)? {
        center.agents[position].skills.remove(&skill_id);
    }
    Ok(payload! {})
}

/// `POST agentAccount/queryAgentInfoBySkillId`: a page of members. Agents without an account are not listed.
pub(super) fn query(center: &mut Center, call: Call<'_>) -> Outcome {
    let Query { skill_id, page_size, page_num } = fields::read(call.body)?;
    center.skill(skill_id)?;
    ensure(page_num >= 0 && (1..=100).contains(&page_size), "The page is invalid")?;
    let account_field = if call.quirks.contains(Quirk::TableSpellings) { "userAccount" } else { "accountCode" };
    let members: Vec<Value> = center
        .accounts()
        .filter_map(|(account, agent)| {
            let weights = agent.skills.get(&skill_id)?;
            let mut shown = payload! {
                "workNo": agent.work_no,
                "agentType": agent.kind,
                "agentWeight": weights.agent,
                "skillWeight": weights.skill,
                "accountName": account.name,
                "sipAccount": agent.sip.as_ref().map(|sip| &sip.account),
            };
            shown.retain(|_, value| !value.is_null());
            shown.insert(account_field.to_owned(), json!(account.login));
            Some(shown.into())
        })
        .collect();
    let count = members.len();
    let data = fields::page(members, page_num.saturating_mul(page_size), page_size);
    Ok(payload! { "data": data, "count": count })
}

/// Checks the queues of a request: they exist, accept this type of agent, and have weights of at least 1.
pub(super) fn checked(
    center: &Center,
    agent_type: u32,
    skills: Vec<SkillWeights>,
) -> Result<BTreeMap<u32, Weights>, Refusal> {
    check_media(center, agent_type, skills.iter().map(|skill| skill.skill_id))?;
    skills.into_iter().map(|skill| Ok((skill.skill_id, weights(skill.agent_weight, skill.skill_weight)?))).collect()
}

/// Checks that the media type of each queue matches the type of the agent (B3.5).
pub(super) fn check_media(
    center: &Center,
    agent_type: u32,
    skill_ids: impl IntoIterator<Item = u32>,
) -> Result<(), Refusal> {
    for id in skill_ids {
        let media = center.skill(id)?.media_type_id;
        let agrees = match agent_type {
            4 => matches!(media, 2 | 5),
            11 => matches!(media, 2 | 5 | 18 | 19),
            5 => media == 53,
            _ => true,
        };
        ensure(agrees, "The media type of the skill queue does not match the agent type")?;
    }
    Ok(())
}

fn weights(agent: u32, skill: u32) -> Result<Weights, Refusal> {
    ensure(agent >= 1 && skill >= 1, "A weight is less than 1")?;
    Ok(Weights { agent, skill })
}

fn positions(center: &Center, user_accounts: &[String]) -> Result<Vec<usize>, Refusal> {
    user_accounts
        .iter()
        .map(|account| center.position_of_account(account))
        .collect::<Option<_>>()
        .ok_or(Refusal::because("userAccount does not exist"))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Tenant,
            testing::{REST, TestServer, code},
        },
        *,
    };

    async fn members(server: &TestServer, skill_id: u32) -> Vec<(String, u64)> {
        let query = json!({ "skillId": skill_id, "pageSize": 100, "pageNum": 0 });
        let response = server.rest("agentAccount/queryAgentInfoBySkillId", query).await;
        let data = response["data"].as_array().unwrap();
        assert_eq!(response["count"], data.len());
        data.iter()
            .map(|agent| {
                let account = agent["accountCode"].as_str().unwrap().to_owned();
                (account, agent["agentWeight"].as_u64().unwrap())
            })
            .collect()
    }

    fn add(accounts: &[&str], skill_id: u32, agent_weight: u32) -> Value {
        json!({ "userAccounts": accounts, "skillId": skill_id, "agentWeight": agent_weight, "skillWeight": 1 })
    }

    #[tokio::test]
    async fn accounts_are_added_all_or_none() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        let before = members(&server, 2).await;
        let path = "agentAccount/addSkillsToAgent";
        for refused in [
            add(&["anna.berg", "nobody.here"], 2, 1),
            // A multimedia agent in a voice queue.
            add(&["anna.berg", "ivan.costa"], 2, 1),
            add(&["anna.berg"], 9, 1),
            add(&["anna.berg"], 2, 0),
            add(&[], 2, 1),
            add(&["anna.berg"; 51], 2, 1),
        ] {
            assert_eq!(code(&server.rest(path, refused.clone()).await), "1", "{refused}");
        }
        assert_eq!(members(&server, 2).await, before);

        let mut many = vec!["anna.berg"; 49];
        many.push("ben.okafor");
        let added = server.rest(path, add(&many, 2, 7)).await;
        assert_eq!(added, json!({ "resultCode": "0", "resultMessage": "success" }));
        let after = members(&server, 2).await;
        assert_eq!(after.len(), before.len() + 1);
        assert_eq!(after[..2], [("anna.berg".to_owned(), 7), ("ben.okafor".to_owned(), 7)]);
    }

    #[tokio::test]
    async fn accounts_are_released_and_an_empty_array_empties_the_queue() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        let path = "agentAccount/releaseAgentBySkillId";
        let release = |accounts: &[&str], skill_id: u32| json!({ "skillId": skill_id, "userAccounts": accounts });
        let before = members(&server, 1).await;
        assert_eq!(code(&server.rest(path, release(&["anna.berg", "nobody.here"], 1)).await), "1");
        assert_eq!(code(&server.rest(path, release(&["anna.berg"], 9)).await), "1");
        assert_eq!(members(&server, 1).await, before);
        assert_eq!(code(&server.rest(path, release(&["anna.berg"], 1)).await), "0");
        assert_eq!(members(&server, 1).await, before[1..]);
        assert_eq!(code(&server.rest(path, release(&[], 1)).await), "0");
        assert!(members(&server, 1).await.is_empty());
        assert!(!members(&server, 2).await.is_empty());
        // The agent without an account left the queue, too.
        assert_eq!(code(&server.rest("skill/deleteSkill", json!({ "skillIds": "1" })).await), "0");
        server.post(&format!("{REST}/{path}"), json!({ "skillId": 2 })).await.is_bad_request();
    }

    #[tokio::test]
    async fn members_are_read_in_pages_and_spelled_in_two_ways() {
        for (quirks, spelling) in [("", "accountCode"), ("table-spellings", "userAccount")] {
            let server = TestServer::start(Tenant::Seeded, quirks).await;
            let query =
                |skill_id: u32, size: u32, page: i32| json!({ "skillId": skill_id, "pageSize": size, "pageNum": page });
            let path = "agentAccount/queryAgentInfoBySkillId";
            let response = server.rest(path, query(1, 2, 1)).await;
            // Of the six agents in the queue, one has no account.
            assert_eq!((&response["count"], response["data"].as_array().unwrap().len()), (&json!(5), 2));
            let third = json!({
                "workNo": 1003, "agentType": 4, "agentWeight": 1, "skillWeight": 1, "accountName": "Chen Yu",
                "sipAccount": "88880003", spelling: "chen.yu@example.com",
            });
            assert_eq!(response["data"][0], third);
            for refused in [query(1, 101, 0), query(1, 0, 0), query(1, 1, -1), query(9, 1, 0)] {
                assert_eq!(code(&server.rest(path, refused).await), "1");
            }
        }
    }
}
