//! Changes queues: skill/createSkill, modifySkill, deleteSkill (B3.13 to B3.15).

use serde::Deserialize;
use serde_json::Value;

use super::{
    envelope::{Outcome, Refusal, payload},
    fields::{self, ensure},
    operation::Call,
    quirks::Quirk,
    skill_param,
    state::{Center, Skill},
};

/// Most queues of one deletion.
const MAX_DELETED: usize = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Create {
    media_type_id: u32,
    description: String,
    name: String,
    max_wait_time: u32,
    max_wait_num: u32,
    max_agent_wrapup_time: u32,
    skill_param: Value,
}

/// The body of modify. Name and media type cannot be changed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Modify {
    skill_id: u32,
    description: Option<String>,
    max_wait_time: Option<u32>,
    max_wait_num: Option<u32>,
    max_agent_wrapup_time: Option<u32>,
    skill_param: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Delete {
    skill_ids: String,
}

// === impl Skill ===

impl Skill {
    /// Checks the limits on everything but the name.
    fn check(&self, center: &Center) -> Result<(), Refusal> {
        fields::at_most(&self.description, 50, "description is longer than 50")?;
        ensure(
            self.description.chars().all(char::is_alphanumeric),
            "description has a character other than letters and digits",
        )?;
        ensure(self.max_wait_time <= 60_000, "maxWaitTime is over 60000")?;
        ensure(self.max_wait_num <= 10_000, "maxWaitNum is over 10000")?;
        ensure(self.max_agent_wrapup_time <= 3_600, "maxAgentWrapupTime is over 3600")?;
        skill_param::check(center, self.media_type_id, &self.param)
    }
}

/// `POST skill/createSkill`: adds a queue.
pub(super) fn create(center: &mut Center, call: Call<'_>) -> Outcome {
    let Create { media_type_id, description, name, max_wait_time, max_wait_num, max_agent_wrapup_time, skill_param } =
        fields::read(call.body)?;
    ensure(matches!(media_type_id, 2 | 5 | 18 | 19 | 53), "mediaTypeId is invalid")?;
    check_name(&name)?;
    ensure(center.skills.values().all(|skill| skill.name != name), "The skill queue name already exists")?;
    let skill = Skill {
        name,
        description,
        media_type_id,
        max_wait_time,
        max_wait_num,
        max_agent_wrapup_time,
        param: skill_param,
    };
    skill.check(center)?;
    let id = center.take_skill_id()?;
    center.skills.insert(id, skill);
    Ok(if call.quirks.contains(Quirk::NoSkillId) {
        payload! {}
    } else {
        payload! { "skillId": id }
    })
}

/// `POST skill/modifySkill`: an absent field is unchanged.
pub(super) fn modify(center: &mut Center, call: Call<'_>) -> Outcome {
    let Modify { skill_id, description, max_wait_time, max_wait_num, max_agent_wrapup_time, skill_param } =
        fields::read(call.body)?;
    let before = center.skill(skill_id)?;
    let skill = Skill {
        name: before.name.clone(),
        description: description.unwrap_or_else(|| before.description.clone()),
        media_type_id: before.media_type_id,
        max_wait_time: max_wait_time.unwrap_or(before.max_wait_time),
        max_wait_num: max_wait_num.unwrap_or(before.max_wait_num),
        max_agent_wrapup_time: max_agent_wrapup_time.unwrap_or(before.max_agent_wrapup_time),
        param: skill_param.unwrap_or_else(|| before.param.clone()),
    };
    skill.check(center)?;
    center.skills.insert(skill_id, skill);
    Ok(payload! {})
}

/// `POST skill/deleteSkill`: deletes every queue or none.
pub(super) fn delete(center: &mut Center, call: Call<'_>) -> Outcome {
    let Delete { skill_ids } = fields::read(call.body)?;
    let ids: Vec<u32> =
        skill_ids.split([',', ';', '-']).map(str::parse).collect::<Result<_, _>>().map_err(|_| Refusal::Malformed)?;
    ensure(ids.len() <= MAX_DELETED, "There are more than 10 skillIds")?;
    if !ids.iter().all(|id| center.skills.contains_key(id)) {
        return Err(Refusal::Missing);
    }
    let used = |id: &u32| center.agents.iter().any(|agent| agent.skills.contains_key(id));
    ensure(!ids.iter().any(used), "The skill queue has agents")?;
    center.skills.retain(|id, _| !ids.contains(id));
    Ok(payload! {})
}

/// Checks a queue's name: 1 to 100 bytes without most punctuation (B3.13).
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    ensure((1..=100).contains(&name.len()), "name must have 1 to 100 bytes")?;
    let forbidden = |c: char| "`~!#$%^&*()+=|{}':;,<>/?\u{2026}\n\r\t".contains(c);
    ensure(!name.contains(forbidden), "name has a forbidden character")
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::{
        super::{
            Tenant, seed,
            testing::{REST, TestServer, code},
        },
        *,
    };

    fn new_skill() -> Value {
        json!({
            "mediaTypeId": 5, "description": "\u{552e}\u{540e}2", "name": "After-sales 2", "maxWaitTime": 60_000,
            "maxWaitNum": 10_000, "maxAgentWrapupTime": 3_600, "skillParam": seed::release(),
        })
    }

    fn but(field: &str, value: Value) -> Value {
        let mut skill = new_skill();
        skill[field] = value;
        skill
    }

    async fn query(server: &TestServer, body: Value) -> Value {
        server.rest("skill/querySkills", body).await
    }

    #[tokio::test]
    async fn a_queue_is_created_read_changed_and_deleted() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        let created = server.rest("skill/createSkill", new_skill()).await;
        assert_eq!((code(&created), &created["skillId"]), ("0", &json!(5)));
        assert_eq!(code(&server.rest("skill/createSkill", new_skill()).await), "1");
        let mut expected = but("skillId", json!(5));
        assert_eq!(query(&server, json!({ "skillIds": ["5"] })).await["data"], json!([expected]));

        let modify = json!({ "skillId": 5, "description": "", "maxWaitTime": 0, "maxAgentWrapupTime": 1 });
        let modified = server.rest("skill/modifySkill", modify).await;
        assert_eq!(modified, json!({ "returnCode": "0", "description": "Update Skill successfully" }));
        expected["description"] = json!("");
        expected["maxWaitTime"] = json!(0);
        expected["maxAgentWrapupTime"] = json!(1);
        assert_eq!(query(&server, json!({ "name": "After-sales 2" })).await["data"], json!([expected]));

        assert_eq!(code(&server.rest("skill/deleteSkill", json!({ "skillIds": "5" })).await), "0");
        assert_eq!(query(&server, json!({ "name": "After-sales 2" })).await["total"], 0);
        // Its ID is not assigned again.
        assert_eq!(server.rest("skill/createSkill", new_skill()).await["skillId"], 6);
    }

    #[tokio::test]
    async fn the_response_may_lack_the_id() {
        let server = TestServer::start(Tenant::Seeded, "no-skill-id").await;
        let created = server.rest("skill/createSkill", new_skill()).await;
        assert_eq!(created, json!({ "returnCode": "0", "description": "Create Skill successfully" }));
        let found = query(&server, json!({ "name": "After-sales 2" })).await;
        assert_eq!(found["data"][0]["skillId"], 5);
    }

    #[tokio::test]
    async fn values_have_limits() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        for refused in [
            but("mediaTypeId", json!(6)),
            but("description", json!("a".repeat(51))),
            but("description", json!("two words")),
            but("name", json!("")),
            but("name", json!("\u{5f20}".repeat(34))),
            but("name", json!("A/B")),
            but("name", json!("A\nB")),
            but("maxWaitTime", json!(60_001)),
            but("maxWaitNum", json!(10_001)),
            but("maxAgentWrapupTime", json!(3_601)),
            but("mediaTypeId", json!(53)),
        ] {
            assert_eq!(code(&server.rest("skill/createSkill", refused.clone()).await), "1", "{refused}");
        }
        let create = format!("{REST}/skill/createSkill");
        for malformed in
            [but("mediaTypeId", json!("5")), but("maxWaitTime", json!(1.5)), but("skillParam", json!("Release"))]
        {
            server.post(&create, malformed).await.is_bad_request();
        }
        for (field, value) in [("maxWaitTime", json!(60_001)), ("description", json!("a-b"))] {
            let modify = json!({ "skillId": 1, "maxWaitNum": 1, field: value });
            assert_eq!(code(&server.rest("skill/modifySkill", modify).await), "1");
        }
        assert_eq!(query(&server, json!({})).await["data"][0]["maxWaitNum"], 100);
        assert_eq!(code(&server.rest("skill/modifySkill", json!({ "skillId": 9 })).await), "1");
        for fixed in [json!({ "skillId": 1, "name": "x" }), json!({ "skillId": 1, "mediaTypeId": 5 })] {
            server.post(&format!("{REST}/skill/modifySkill"), fixed).await.is_bad_request();
        }
    }

    #[tokio::test]
    async fn deletion_is_all_or_none_and_spares_queues_with_agents() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        for _ in 0..3 {
            let name = json!(format!("Queue {}", query(&server, json!({})).await["total"]));
            server.rest("skill/createSkill", but("name", name)).await;
        }
        let path = format!("{REST}/skill/deleteSkill");
        let missing = server.post(&path, json!({ "skillIds": "5,99" })).await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND);
        let used = server.rest("skill/deleteSkill", json!({ "skillIds": "5;1" })).await;
        assert_eq!(used, json!({ "returnCode": "1", "description": "The skill queue has agents" }));
        let many = (0..11).map(|_| "5").collect::<Vec<_>>().join(",");
        assert_eq!(code(&server.rest("skill/deleteSkill", json!({ "skillIds": many })).await), "1");
        for malformed in [json!(""), json!("5, 6"), json!("five"), json!(5), json!(["5"])] {
            server.post(&path, json!({ "skillIds": malformed })).await.is_bad_request();
        }
        assert_eq!(query(&server, json!({})).await["total"], 7);
        assert_eq!(code(&server.rest("skill/deleteSkill", json!({ "skillIds": "5;6-7" })).await), "0");
        assert_eq!(query(&server, json!({})).await["total"], 4);
    }
}
