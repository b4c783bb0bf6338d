//! Softphones: querySysInfo (document 000), queryAgentInfo (B3.2), queryPhone v2 (document 001).

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    envelope::{Outcome, Payload, Refusal, payload},
    fields::{self, Count},
    operation::Call,
    quirks::{Quirk, Quirks},
    state::{Agent, Center, Registrar, Softphone},
};

/// The tenant space and partition in the response of queryPhone.
const TENANT_ID: &str = "202211030001";
const PARTITION_ID: &str = "1";

/// The body of queryPhone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryPhone {
    limit: Option<Count>,
    offset: Option<Count>,
}

/// `GET querySysInfo`: addresses, and every agent with its passwords in plaintext.
pub(super) fn query_sys_info(center: &Center, quirks: &Quirks) -> Payload {
    let addresses = &center.addresses;
    let agents: Vec<Value> = center
        .numbered_agents()
        .map(|(work_no, agent)| {
            let mut shown = registered(work_no, agent);
            shown.insert("password".to_owned(), json!(agent.password));
            if quirks.contains(Quirk::ExtraFields) {
                shown.extend(newer_fields(agent));
            }
            shown.into()
        })
        .collect();
    payload! {
        "serviceIp": addresses.service_ip,
        "servicePort": port(addresses.service_port, quirks),
        "sipServiceIp": addresses.sip_ip,
        "sipServicePort": port(addresses.sip_port, quirks),
        "agents": agents,
    }
}

/// `GET queryAgentInfo`: the SIP address, and every agent with its business account, if any.
pub(super) fn query_agent_info(center: &Center, quirks: &Quirks) -> Payload {
    let agents: Vec<Value> = center
        .numbered_agents()
        .map(|(work_no, agent)| {
            let mut shown = registered(work_no, agent);
            if let Some(account) = &agent.account {
                shown.insert("accountCode".to_owned(), json!(account.login));
            }
            shown.into()
        })
        .collect();
    payload! {
        "sipServiceIp": center.addresses.sip_ip,
        "sipServicePort": port(center.addresses.sip_port, quirks),
        "agents": agents,
    }
}

/// `POST v2/mobileAgent/queryPhone`: registration servers, and a page of softphones.
pub(super) fn query_phone(center: &mut Center, call: Call<'_>) -> Outcome {
    let QueryPhone { limit, offset } = fields::read(call.body)?;
    let (Some(Count::Number(limit)), Some(Count::Number(offset))) = (limit, offset) else {
        return Err(Refusal::Business { code: "4", text: "The limit or offset pagination data is empty" });
    };
    if center.softphones.is_empty() {
        return Err(Refusal::Business { code: "2", text: "The mobile agent information is empty" });
    }
    let v1_shape = center.as_printed || call.quirks.contains(Quirk::V1Shape);
    let phones: Vec<Value> = fields::page(&center.softphones, offset, limit.clamp(1, 100))
        .into_iter()
        .map(|phone| shown_phone(phone, v1_shape))
        .collect();
    let mut result = payload! { "total": center.softphones.len(), "phone": phones };
    let [first, second] = &center.addresses.registrars;
    let node = |registrar: &Registrar| {
        json!({
            "regIPAddress": registrar.ip,
            "regPort": registrar.port.to_string(),
            "sipServiceIp": center.addresses.sip_ip,
            "sipServicePort": center.addresses.sip_port.to_string(),
        })
    };
    result.extend(if v1_shape {
        payload! { "regIPAddress": first.ip, "regPort": first.port.to_string() }
    } else if call.quirks.contains(Quirk::Pool) {
        let nodes = json!({ "node1": [node(first)], "node2": [node(second)] });
        payload! { "poolRegServ": nodes }
    } else {
        payload! { "singleRegServ": [node(first)] }
    });
    Ok(payload! { "result": result })
}

fn registered(work_no: u32, agent: &Agent) -> Payload {
    let mut shown = payload! { "workNo": work_no };
    if let Some(sip) = &agent.sip {
        shown.extend(payload! { "sipAccount": sip.account, "sipPwd": sip.password });
    }
    shown
}

/// Fields of agents that only the newest page of querySysInfo lists (B3.1).
fn newer_fields(agent: &Agent) -> Payload {
    let mut newer = payload! {
        "agentType": agent.kind,
        "ccRoleId": agent.cc_role_id.to_string(),
        "createInCtiFlag": 1,
        "agentStatus": "0",
    };
    if let Some(account) = &agent.account {
        newer.extend(payload! {
            "accountCode": account.login,
            "accountName": account.name,
        });
    }
    newer
}

fn port(port: u16, quirks: &Quirks) -> Value {
    if quirks.contains(Quirk::TextNumbers) { json!(port.to_string()) } else { json!(port) }
}

fn shown_phone(phone: &Softphone, v1_shape: bool) -> Value {
    let mut shown = payload! { "phoneNum": phone.number, "password": phone.password };
    if !v1_shape {
        shown.extend(payload! {
            "id": phone.id,
            "status": u8::from(phone.suspended),
            "remark": phone.remark,
            "tenantId": TENANT_ID,
            "partdbId": PARTITION_ID,
        });
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Tenant,
            testing::{MANAGEMENT, QUERY_PHONE, TestServer, code},
        },
        *,
    };

    async fn phones(quirks: &str, body: Value) -> Value {
        let server = TestServer::start(Tenant::Seeded, quirks).await;
        server.post(QUERY_PHONE, body).await.ok()
    }

    #[tokio::test]
    async fn ports_are_numbers_or_texts() {
        for (quirks, port) in [("", json!(5060)), ("text-numbers", json!("5060"))] {
            let server = TestServer::start(Tenant::Seeded, quirks).await;
            let info = server.get(&format!("{MANAGEMENT}/querySysInfo")).await.ok();
            assert_eq!(info["sipServicePort"], port);
            assert_eq!(info["servicePort"].is_string(), port.is_string());
            let agents = server.get(&format!("{MANAGEMENT}/queryAgentInfo")).await.ok();
            assert_eq!(agents["sipServicePort"], port);
        }
    }

    #[tokio::test]
    async fn agents_are_listed_with_passwords_or_with_accounts() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        let info = server.get(&format!("{MANAGEMENT}/querySysInfo")).await.ok();
        assert_eq!(info["agents"].as_array().unwrap().len(), 12);
        let first = json!({
            "workNo": 1001, "sipAccount": "88880001", "sipPwd": "Sip~phone00", "password": "Aa#1001z",
        });
        assert_eq!(info["agents"][0], first);
        let agents = server.get("/apiaccess/CC-Mangemant/v1/queryAgentInfo").await.ok();
        let first = json!({
            "workNo": 1001, "sipAccount": "88880001", "sipPwd": "Sip~phone00", "accountCode": "anna.berg",
        });
        assert_eq!(agents["agents"][0], first);
        let list = agents["agents"].as_array().unwrap();
        let without = list.iter().filter(|agent| agent.get("accountCode").is_none());
        assert_eq!(without.map(|agent| &agent["workNo"]).collect::<Vec<_>>(), [1011, 1012]);
    }

    #[tokio::test]
    async fn softphones_are_registered_at_one_server_or_at_a_pool() {
        let body = json!({ "limit": "1", "offset": "0" });
        let single = phones("", body.clone()).await;
        let node = |ip: &str| {
            json!([{
                "regIPAddress": ip, "regPort": "5061",
                "sipServiceIp": "203.0.113.10", "sipServicePort": "5060",
            }])
        };
        assert_eq!((single["retCode"].as_str(), single["retMsg"].as_str()), (Some("0"), Some("successfully")));
        assert_eq!(single["result"]["singleRegServ"], node("203.0.113.20"));
        assert_eq!(single["result"].as_object().unwrap().len(), 3);
        let phone = json!({
            "phoneNum": "88880001", "password": "Sip~phone00", "id": 1_125_397_061_153_369_093_u64, "status": 0,
            "remark": "", "tenantId": TENANT_ID, "partdbId": PARTITION_ID,
        });
        assert_eq!(single["result"]["phone"], json!([phone]));

        let pool = phones("pool", body.clone()).await;
        let nodes = json!({ "node1": node("203.0.113.20"), "node2": node("203.0.113.21") });
        assert_eq!(pool["result"]["poolRegServ"], nodes);
        assert!(pool["result"].get("singleRegServ").is_none());

        let v1 = phones("v1-shape,pool", body).await;
        let result = json!({
            "total": 16, "regIPAddress": "203.0.113.20", "regPort": "5061",
            "phone": [{ "phoneNum": "88880001", "password": "Sip~phone00" }],
        });
        assert_eq!(v1["result"], result);
    }

    #[tokio::test]
    async fn a_page_has_1_to_100_softphones_and_the_total_counts_all() {
        for (limit, offset, first, count) in [
            (json!("5"), json!("0"), "88880001", 5),
            (json!(5), json!(14), "88880015", 2),
            (json!("0"), json!("0"), "88880001", 1),
            (json!("-3"), json!("-3"), "88880001", 1),
            (json!("1000"), json!("1"), "88880002", 15),
        ] {
            let response = phones("", json!({ "limit": limit, "offset": offset })).await;
            assert_eq!(response["result"]["total"], 16);
            let page = response["result"]["phone"].as_array().unwrap();
            assert_eq!((page.len(), page[0]["phoneNum"].as_str()), (count, Some(first)));
        }
        let beyond = phones("", json!({ "limit": "5", "offset": "16" })).await;
        assert_eq!((code(&beyond), &beyond["result"]["phone"]), ("0", &json!([])));
    }

    #[tokio::test]
    async fn a_page_over_100_is_100() {
        let mut center = super::super::seed::center();
        let last = center.softphones.len() as u64;
        center.softphones.extend((last..120).map(|id| Softphone {
            number: id.to_string(),
            password: String::new(),
            id,
            suspended: false,
            remark: "",
        }));
        let call = Call {
            body: json!({ "limit": 101, "offset": 0 }),
            quirks: &Quirks::default(),
            now: std::time::SystemTime::UNIX_EPOCH,
        };
        let response = query_phone(&mut center, call).unwrap();
        assert_eq!(response["result"]["phone"].as_array().unwrap().len(), 100);
        assert_eq!(response["result"]["total"], 120);
    }

    #[tokio::test]
    async fn empty_or_missing_pagination_is_code_4_and_no_softphones_code_2() {
        for body in [
            json!({}),
            json!({ "limit": "3" }),
            json!({ "offset": "0" }),
            json!({ "limit": "", "offset": "0" }),
            json!({ "limit": "3", "offset": "" }),
        ] {
            assert_eq!(code(&phones("", body).await), "4");
        }
        let empty = TestServer::start(Tenant::Empty, "").await;
        let response = empty.post(QUERY_PHONE, json!({ "limit": "3", "offset": "0" })).await.ok();
        assert_eq!(response, json!({ "retCode": "2", "retMsg": "The mobile agent information is empty" }));
    }

    #[tokio::test]
    async fn limits_that_are_no_numbers_are_bad_requests() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        for limit in [json!("ten"), json!(1.5), json!(true), json!(["1"])] {
            server.post(QUERY_PHONE, json!({ "limit": limit, "offset": "0" })).await.is_bad_request();
        }
    }
}
