//! Reading queues: skill/querySkills (B3.16).

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    envelope::{Outcome, Refusal, payload},
    fields::{self, Count, ensure},
    operation::Call,
    skills::check_name,
    state::{Center, Skill},
};

/// Most queues on a page, and most IDs in a request.
const MAX_QUERIED: i64 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Query {
    name: Option<String>,
    media_type_id: Option<String>,
    limit: Option<Count>,
    offset: Option<Count>,
    skill_ids: Option<Vec<String>>,
}

/// `POST skill/querySkills`: a page of queues; without IDs, of all queues.
pub(super) fn query(center: &mut Center, call: Call<'_>) -> Outcome {
    let Query { name, media_type_id, limit, offset, skill_ids } = fields::read(call.body)?;
    let limit = number(limit, MAX_QUERIED)?;
    let offset = number(offset, 0)?;
    ensure((1..=MAX_QUERIED).contains(&limit) && offset >= 0, "The page is invalid")?;
    name.as_deref().map_or(Ok(()), check_name)?;
    let ids = skill_ids.unwrap_or_default();
    ensure(ids.len() <= 100, "There are more than 100 skillIds")?;
    let ids = numbers(&ids)?;
    let media = numbers(media_type_id.as_slice())?;
    let matching: Vec<Value> = center
        .skills
        .iter()
        .filter(|(id, skill)| {
            (ids.is_empty() || ids.contains(id))
                && (media.is_empty() || media.contains(&skill.media_type_id))
                && name.as_ref().is_none_or(|name| skill.name == *name)
        })
        .map(|(id, skill)| shown(*id, skill))
        .collect();
    let total = matching.len();
    Ok(payload! { "total": total, "data": fields::page(matching, offset, limit) })
}

fn shown(id: u32, skill: &Skill) -> Value {
    json!({
        "skillId": id,
        "name": skill.name,
        "description": skill.description,
        "mediaTypeId": skill.media_type_id,
        "maxWaitTime": skill.max_wait_time,
        "maxWaitNum": skill.max_wait_num,
        "maxAgentWrapupTime": skill.max_agent_wrapup_time,
        "skillParam": skill.param,
    })
}

fn number(count: Option<Count>, default: i64) -> Result<i64, Refusal> {
    match count {
        None => Ok(default),
        Some(Count::Number(number)) => Ok(number),
        Some(Count::Empty) => Err(Refusal::Malformed),
    }
}

fn numbers(texts: &[String]) -> Result<Vec<u32>, Refusal> {
    texts.iter().map(|text| text.parse().map_err(|_| Refusal::Malformed)).collect()
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

    async fn query(server: &TestServer, body: Value) -> Value {
        server.rest("skill/querySkills", body).await
    }

    #[tokio::test]
    async fn queues_are_read_by_page_name_media_type_and_ids() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        for (body, total, ids) in [
            (json!({ "skillIds": [] }), 4, vec![1, 2, 3, 4]),
            (json!({ "limit": "2", "offset": 2 }), 4, vec![3, 4]),
            (json!({ "limit": 2, "offset": "4" }), 4, vec![]),
            (json!({ "name": "Sales" }), 1, vec![2]),
            (json!({ "name": "Sale" }), 0, vec![]),
            (json!({ "mediaTypeId": "5", "limit": "100" }), 2, vec![1, 2]),
            (json!({ "skillIds": ["4", "1", "9"] }), 2, vec![1, 4]),
        ] {
            let response = query(&server, body.clone()).await;
            let found: Vec<_> =
                response["data"].as_array().unwrap().iter().map(|skill| skill["skillId"].clone()).collect();
            assert_eq!(
                (&response["total"], found),
                (&json!(total), ids.into_iter().map(Value::from).collect()),
                "{body}"
            );
        }
        for refused in
            [json!({ "limit": "101" }), json!({ "limit": 0 }), json!({ "offset": -1 }), json!({ "name": "a?" })]
        {
            assert_eq!(code(&query(&server, refused.clone()).await), "1", "{refused}");
        }
        assert_eq!(code(&query(&server, json!({ "skillIds": vec!["1"; 101] })).await), "1");
        for malformed in [
            json!({ "mediaTypeId": 5 }),
            json!({ "skillIds": [1] }),
            json!({ "limit": "" }),
            json!({ "skillIds": ["a"] }),
        ] {
            server.post(&format!("{REST}/skill/querySkills"), malformed).await.is_bad_request();
        }
    }
}
