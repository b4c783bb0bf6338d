//! Reads business accounts: agentAccount/query (B3.8).

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    envelope::{Outcome, Refusal, payload},
    fields::{self, ensure},
    operation::Call,
    state::{Account, Agent, Center},
};

/// Largest page; the vendor names none (B3.8).
const MAX_PAGE: i64 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Query {
    user_account: Option<String>,
    page_num: Option<i64>,
    page_size: Option<i64>,
    agent_type: Option<Vec<u32>>,
    transparent_display_flag: Option<bool>,
}

/// `POST agentAccount/query`: one account, or a page of all accounts. Agents without an account are not listed.
pub(super) fn query(center: &mut Center, call: Call<'_>) -> Outcome {
    let Query { user_account, page_num, page_size, agent_type, transparent_display_flag } = fields::read(call.body)?;
    let (matching, offset, limit): (Vec<_>, _, _) = match (user_account, page_num, page_size) {
        (Some(wanted), _, _) => {
            let one = center.accounts().filter(|(account, _)| account.login == wanted);
            (one.collect(), 0, 1)
        }
        (None, Some(page_num), Some(page_size)) => {
            ensure(page_num >= 0 && page_size >= 1, "The page is invalid")?;
            let size = page_size.min(MAX_PAGE);
            // No agent here has the flag.
            let all = center.accounts().filter(|(_, agent)| {
                transparent_display_flag != Some(true)
                    && agent_type.as_ref().is_none_or(|types| types.contains(&agent.kind))
            });
            (all.collect(), page_num.saturating_mul(size), size)
        }
        (None, _, _) => return Err(Refusal::Malformed),
    };
    let total = matching.len();
    let data: Vec<Value> =
        fields::page(matching, offset, limit).into_iter().map(|(account, agent)| shown(account, agent)).collect();
    let mut response = payload! { "data": data };
    if !center.as_printed {
        response.insert("total".to_owned(), json!(total));
    }
    Ok(response)
}

fn shown(account: &Account, agent: &Agent) -> Value {
    let skills: Vec<Value> = agent
        .skills
        .iter()
        .map(|(id, weights)| json!({ "skillId": id, "agentWeight": weights.agent, "skillWeight": weights.skill }))
        .collect();
    let mut shown = payload! {
        "userAccount": account.login,
        "userName": account.name,
        "phone": account.phone,
        "email": account.email,
        "agentType": agent.kind,
        "ccRoleId": agent.cc_role_id,
        "skills": skills,
    };
    if let Some(sip) = &agent.sip {
        shown.insert("sipAccount".to_owned(), json!(sip.account));
    }
    // The printed sample has neither work number nor flag.
    if let Some(work_no) = agent.work_no {
        shown.extend(payload! { "workNo": work_no, "transparentDisplayFlag": false });
    }
    shown.into()
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

    #[tokio::test]
    async fn accounts_are_read_in_pages_from_0() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        let query = async |body: Value| server.rest("agentAccount/query", body).await;
        let last = query(json!({ "pageNum": 3, "pageSize": 3 })).await;
        assert_eq!((&last["total"], last["data"].as_array().unwrap().len()), (&json!(10), 1));
        assert_eq!(last["data"][0]["userAccount"], "julia.meyer");
        assert_eq!(query(json!({ "pageNum": 4, "pageSize": 3 })).await["data"], json!([]));
        assert_eq!(query(json!({ "pageNum": 0, "pageSize": 1000 })).await["total"], 10);
        let video = query(json!({ "pageNum": 0, "pageSize": 5, "agentType": [11, 99] })).await;
        assert_eq!((&video["total"], &video["data"][1]["userAccount"]), (&json!(2), &json!("hana.kim")));
        let flagged = json!({ "pageNum": 0, "pageSize": 5, "transparentDisplayFlag": true });
        assert_eq!(query(flagged).await["total"], 0);
        // Beside an account, every other field is ignored.
        let one = query(json!({ "userAccount": "ben.okafor", "pageNum": 9, "pageSize": 0, "agentType": [5] })).await;
        assert_eq!((&one["total"], &one["data"][0]["workNo"]), (&json!(1), &json!(1002)));
        let none = query(json!({ "userAccount": "nobody.here" })).await;
        assert_eq!((code(&none), &none["data"], &none["total"]), ("0", &json!([]), &json!(0)));
        assert_eq!(code(&query(json!({ "pageNum": -1, "pageSize": 5 })).await), "1");
        assert_eq!(code(&query(json!({ "pageNum": 0, "pageSize": 0 })).await), "1");
        server.post(&format!("{REST}/agentAccount/query"), json!({ "pageNum": 0 })).await.is_bad_request();
    }
}
