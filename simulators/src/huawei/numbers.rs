//! Reads access codes: accessCodeInfo/queryAccessCodeList (B3.17).

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    envelope::{Outcome, payload},
    fields::{self, ensure},
    operation::Call,
    quirks::Quirk,
    state::Center,
};

/// Largest page and largest offset: later numbers cannot be read.
const MAX: i64 = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Query {
    access_code: Option<String>,
    // With a lower-case t, also in the response.
    #[serde(rename = "mediatypeId")]
    media_type_id: Option<u32>,
    description: Option<String>,
    limit: Option<i64>,
    offset: Option<i64>,
}

/// `POST accessCodeInfo/queryAccessCodeList`: a page of numbers, filtered by parts of number and description.
pub(super) fn query(center: &mut Center, call: Call<'_>) -> Outcome {
    let Query { access_code, media_type_id, description, limit, offset } = fields::read(call.body)?;
    ensure(media_type_id.is_none_or(|media| matches!(media, 2 | 5 | 53)), "mediatypeId is invalid")?;
    let limit = limit.unwrap_or(MAX).min(MAX);
    ensure(limit >= 0, "limit is invalid")?;
    let matching: Vec<Value> = center
        .access_codes
        .iter()
        .filter(|number| {
            access_code.as_ref().is_none_or(|part| number.code.contains(part.as_str()))
                && media_type_id.is_none_or(|media| number.media_type_id == media)
                && description
                    .as_ref()
                    .is_none_or(|part| number.description.unwrap_or_default().contains(part.as_str()))
        })
        .map(|number| {
            json!({
                "id": number.id,
                "accessCode": number.code,
                "mediatypeId": number.media_type_id,
                "n400Number": number.n400_number,
                "description": number.description,
                "numCallAttr": number.attribute,
            })
        })
        .collect();
    let total = matching.len();
    let list = fields::page(matching, offset.unwrap_or(0).min(MAX), limit);
    Ok(if call.quirks.contains(Quirk::OldShape) {
        payload! { "data": list }
    } else {
        payload! { "data": json!({ "total": total, "calledRouteList": list }) }
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::{
        super::{
            Quirks, Tenant, seed,
            testing::{REST, TestServer, code},
        },
        *,
    };

    const PATH: &str = "accessCodeInfo/queryAccessCodeList";

    fn codes(list: &Value) -> Vec<&str> {
        list.as_array().unwrap().iter().map(|number| number["accessCode"].as_str().unwrap()).collect()
    }

    #[tokio::test]
    async fn the_list_is_in_data_or_is_data() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        let response = server.rest(PATH, json!({ "limit": 2 })).await;
        assert_eq!((code(&response), &response["data"]["total"]), ("0", &json!(5)));
        let first = json!({
            "id": "1125397061153369301", "accessCode": "5550001", "mediatypeId": 5, "n400Number": null,
            "description": "Hot line", "numCallAttr": 3,
        });
        assert_eq!(response["data"]["calledRouteList"][0], first);
        assert_eq!(codes(&response["data"]["calledRouteList"]), ["5550001", "5550002"]);

        let server = TestServer::start(Tenant::Seeded, "old-shape").await;
        let response = server.rest(PATH, json!({ "limit": 2 })).await;
        assert_eq!(codes(&response["data"]), ["5550001", "5550002"]);
    }

    #[tokio::test]
    async fn numbers_are_found_by_parts_and_media_type() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        for (body, found) in [
            (json!({ "accessCode": "0003" }), vec!["5550003"]),
            (json!({ "description": "Or" }), vec!["5550002"]),
            (json!({ "mediatypeId": 53 }), vec!["chat01"]),
            (json!({ "mediatypeId": 5, "offset": 2 }), vec!["5550003"]),
            (json!({ "limit": 0 }), vec![]),
            (json!({ "limit": 1, "offset": -5 }), vec!["5550001"]),
        ] {
            let response = server.rest(PATH, body.clone()).await;
            assert_eq!(codes(&response["data"]["calledRouteList"]), found, "{body}");
        }
        for refused in [json!({ "mediatypeId": 19 }), json!({ "limit": -1 })] {
            assert_eq!(code(&server.rest(PATH, refused).await), "1");
        }
        for malformed in [json!({ "limit": "1" }), json!({ "mediaTypeId": 5 })] {
            server.post(&format!("{REST}/{PATH}"), malformed).await.is_bad_request();
        }
    }

    #[test]
    fn the_first_200_numbers_are_within_reach() {
        let mut center = seed::center();
        let first = center.access_codes.remove(0);
        center.access_codes = vec![first; 250];
        let mut length = |body: Value| {
            let quirks = Quirks::default();
            let call = Call { body, quirks: &quirks, now: SystemTime::UNIX_EPOCH };
            let response = query(&mut center, call).unwrap();
            assert_eq!(response["data"]["total"], 250);
            response["data"]["calledRouteList"].as_array().unwrap().len()
        };
        assert_eq!(length(json!({ "limit": 101 })), 100);
        assert_eq!(length(json!({ "offset": 200 })), 100);
    }
}
