//! Signs offline agents, who use their own phones, in and out: offline/agent/login, logout, isOfflineAgent (B3.20).

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    envelope::{Outcome, payload},
    fields::{self, ensure},
    operation::Call,
    state::Center,
};

/// Longest phone number: the limit of accounts (B3.5), because the page of login has none.
const MAX_PHONE: usize = 25;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Login {
    phone: String,
    work_no: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WorkNo {
    work_no: u32,
}

/// `POST offline/agent/login`: signs an agent in; a second sign-in replaces the first.
pub(super) fn login(center: &mut Center, call: Call<'_>) -> Outcome {
    let Login { phone, work_no } = fields::read(call.body)?;
    ensure(!phone.is_empty(), "phone is empty")?;
    fields::at_most(&phone, MAX_PHONE, "phone is longer than 25")?;
    let agent = center.agent_mut(work_no)?;
    agent.offline_phone = Some(phone);
    let agent_type = agent.kind;
    let ids: Vec<u32> = agent.skills.keys().copied().collect();
    let skills: Vec<Value> = ids
        .iter()
        .filter_map(|id| {
            let skill = center.skills.get(id)?;
            // A text here, a number in querySkills.
            Some(json!({ "skillId": id, "mediaTypeId": skill.media_type_id.to_string() }))
        })
        .collect();
    Ok(payload! {
        "restTime": "0",
        "agentType": agent_type.to_string(),
        "forceLogin": false,
        "isAutoAnswer": "true",
        "videoMode": 0,
        "workNo": work_no,
        "isMultiChannelSupport": false,
        "skills": skills,
    })
}

/// `POST offline/agent/logout`: signs an agent out.
pub(super) fn logout(center: &mut Center, call: Call<'_>) -> Outcome {
    let WorkNo { work_no } = fields::read(call.body)?;
    let phone = center.agent_mut(work_no)?.offline_phone.take();
    ensure(phone.is_some(), "The agent has not signed in")?;
    Ok(payload! {})
}

/// `POST offline/agent/isOfflineAgent`: whether an agent is signed in offline.
pub(super) fn is_offline_agent(center: &mut Center, call: Call<'_>) -> Outcome {
    let WorkNo { work_no } = fields::read(call.body)?;
    let offline = center.agent_mut(work_no)?.offline_phone.is_some();
    Ok(payload! { "data": offline })
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

    async fn is_offline(server: &TestServer) -> Value {
        server.rest("offline/agent/isOfflineAgent", json!({ "workNo": 1002 })).await["data"].clone()
    }

    #[tokio::test]
    async fn an_agent_signs_in_and_out() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        assert_eq!(is_offline(&server).await, false);
        assert_eq!(code(&server.rest("offline/agent/logout", json!({ "workNo": 1002 })).await), "1");
        let login = json!({ "phone": "5550102", "workNo": 1002 });
        let expected = json!({
            "returnCode": "0", "description": "Success", "restTime": "0", "agentType": "4", "forceLogin": false,
            "isAutoAnswer": "true", "videoMode": 0, "workNo": 1002, "isMultiChannelSupport": false,
            "skills": [{ "skillId": 1, "mediaTypeId": "5" }, { "skillId": 2, "mediaTypeId": "5" }],
        });
        assert_eq!(server.rest("offline/agent/login", login.clone()).await, expected);
        assert_eq!(is_offline(&server).await, true);
        assert_eq!(code(&server.rest("offline/agent/login", login).await), "0");
        let out = server.rest("offline/agent/logout", json!({ "workNo": 1002 })).await;
        assert_eq!(out, json!({ "returnCode": "0", "description": "Success" }));
        assert_eq!(is_offline(&server).await, false);
    }

    #[tokio::test]
    async fn only_known_agents_with_a_phone_sign_in() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        for refused in [
            json!({ "phone": "5550102", "workNo": 999 }),
            json!({ "phone": "", "workNo": 1002 }),
            json!({ "phone": "1".repeat(26), "workNo": 1002 }),
        ] {
            assert_eq!(code(&server.rest("offline/agent/login", refused).await), "1");
        }
        assert_eq!(is_offline(&server).await, false);
        for path in ["logout", "isOfflineAgent"] {
            let unknown = server.rest(&format!("offline/agent/{path}"), json!({ "workNo": 999 })).await;
            assert_eq!(code(&unknown), "1");
        }
        for malformed in [json!({ "workNo": 1002 }), json!({ "phone": "5550102", "workNo": "1002" })] {
            server.post(&format!("{REST}/offline/agent/login"), malformed).await.is_bad_request();
        }
    }
}
