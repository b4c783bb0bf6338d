//! The call center of the vendor's pages, in which their example requests get their example responses. The examples
//! come from different centers, so some accounts here have no work number, and two users have the same settings ID.

use std::collections::BTreeMap;

use super::{
    passwords::PasswordRules,
    seed,
    state::{Account, Addresses, Agent, CallSettings, Center, Registrar, Sip, Skill, Softphone, Weights},
};

/// The center of documents 000, 001, 002 and of the samples in B3.
pub(super) fn center() -> Center {
    let registrar = || Registrar { ip: "10.162.98.43", port: 5060 };
    Center {
        addresses: Addresses {
            service_ip: "127.0.0.0",
            service_port: 448,
            sip_ip: "127.0.0.0",
            sip_port: 5060,
            registrars: [registrar(), registrar()],
        },
        agents: vec![
            numbered(1522, "7****tt", "88881619", "1****tt"),
            numbered(1523, "f*****xL", "88881620", "1*****xL"),
            account("test123456", "test111", "tst@*****.com", 11, "88880551"),
            account("x1", "x1", "x1@example.com", 4, "88880552"),
            account("x2", "x2", "x2@example.com", 4, "88880553"),
        ],
        skills: BTreeMap::from([(2, skill("video", 19)), (3, skill("2021", 5)), (4, skill("voice", 5))]),
        softphones: vec![softphone("88881196", 0), softphone("88881197", 1)],
        settings: BTreeMap::from([
            ("1660270845627002401".to_owned(), settings()),
            ("10gg000000y6OOrNaUFs".to_owned(), settings()),
        ]),
        as_printed: true,
        ..Center::empty()
    }
}

/// An agent of document 000.
fn numbered(work_no: u32, password: &str, sip_account: &str, sip_password: &str) -> Agent {
    Agent {
        work_no: Some(work_no),
        password: password.to_owned(),
        sip: Some(Sip { account: sip_account.to_owned(), password: sip_password.to_owned() }),
        kind: 4,
        cc_role_id: 2,
        account: None,
        skills: BTreeMap::new(),
        offline_phone: None,
    }
}

/// An account of B3.8 or B3.9, whose samples have no work number.
fn account(login: &str, name: &str, email: &str, kind: u32, sip_account: &str) -> Agent {
    let skills = if kind == 11 { BTreeMap::from([(2, Weights { agent: 1, skill: 2 })]) } else { BTreeMap::new() };
    Agent {
        work_no: None,
        kind,
        account: Some(Account {
            login: login.to_owned(),
            name: name.to_owned(),
            email: email.to_owned(),
            phone: String::new(),
            password_rules: PasswordRules::default(),
        }),
        skills,
        ..numbered(0, "********", sip_account, "****")
    }
}

/// A queue as the sample of B3.16 shows it.
fn skill(name: &str, media_type_id: u32) -> Skill {
    Skill {
        name: name.to_owned(),
        description: name.to_owned(),
        media_type_id,
        max_wait_time: 60,
        max_wait_num: 100,
        max_agent_wrapup_time: 10,
        param: seed::release(),
    }
}

/// A softphone of document 001.
fn softphone(number: &str, index: u64) -> Softphone {
    Softphone {
        number: number.to_owned(),
        password: "****".to_owned(),
        id: 1_125_397_061_153_369_092 + index,
        suspended: false,
        remark: "",
    }
}

/// The settings of document 002.
fn settings() -> CallSettings {
    let texts = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect());
    let text = |text: &str| Some(text.to_owned());
    CallSettings {
        id: "1307145259662215169".to_owned(),
        call_type: text("1"),
        caller_present: texts(&["12323"]),
        call_number: texts(&["12323", "232343", "233", "239343"]),
        call_number_default: text("23232323"),
        caller_present_default: text("1212121212"),
        agent_name: text("y111"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{
        Tenant,
        testing::{MANAGEMENT, QUERY_PHONE, REST, TestServer},
    };

    fn row(prefix: &str, path: &str, request: &str, response: &str) -> (String, Value, Value) {
        let json = |text: &str| serde_json::from_str(text).unwrap();
        (format!("{prefix}{path}"), json(request), json(response))
    }

    /// Path, request and response, as the pages print them. A `null` request is a `GET`.
    fn examples() -> Vec<(String, Value, Value)> {
        let sys_info = r#"{ "servicePort": 448, "serviceIp": "127.0.0.0",
            "sipServiceIp": "127.0.0.0", "sipServicePort": 5060,
            "agents": [{ "workNo": 1522, "password": "7****tt", "sipAccount": "88881619", "sipPwd": "1****tt" },
                { "workNo": 1523, "password": "f*****xL", "sipAccount": "88881620", "sipPwd": "1*****xL" }] }"#;
        let rest = |path: &str, request: &str, response: &str| row(REST, &format!("/{path}"), request, response);
        let settings = format!("{MANAGEMENT}/openapp/agentsettings");
        vec![
            // Document 000
            row(MANAGEMENT, "/querySysInfo", "null", sys_info),
            row("/apiaccess/CC-Mangemant/v1", "/querySysInfo", "null", sys_info),
            // Document 001
            row(
                QUERY_PHONE,
                "",
                r#"{ "offset": 0, "limit": 3 }"#,
                r#"{ "retMsg": "successfully", "retCode": "0", "result": { "total": 2, "regPort": "5060", "phone": [
                    { "phoneNum": "88881196", "password": "****" }, { "phoneNum": "88881197", "password": "****" }],
                    "regIPAddress": "10.162.98.43" } }"#,
            ),
            // Document 002
            row(
                &settings,
                "/query",
                r#"{ "userId": "1660270845627002401" }"#,
                r#"{ "returnCode": "0", "callNumber": ["12323","232343","233","239343"], "callerPresent": ["12323"],
                    "callNumberDefault": "23232323", "agentName": "y111", "id": "1307145259662215169",
                    "userId": "1660270845627002401", "callerPresentDefault": "1212121212",
                    "returnDesc": "query success", "callType": "1" }"#,
            ),
            // B3.7
            rest(
                "agentAccount/delete",
                r#"{"userAccount":"test123456"}"#,
                r#"{"resultCode":"0","resultMessage":"delete AgentAccount success"}"#,
            ),
            // B3.8
            rest(
                "agentAccount/query",
                r#"{"userAccount":"test123456"}"#,
                r#"{"data":[{"skills":[{"skillId":2,"agentWeight":1,"skillWeight":2}],"agentType":11,"phone":"",
                    "userAccount":"test123456","ccRoleId":2,"userName":"test111","sipAccount":"88880551",
                    "email":"tst@*****.com"}],"resultCode":"0","resultMessage":"get agent account info success"}"#,
            ),
            // B3.9
            rest(
                "agentAccount/addSkillsToAgent",
                r#"{"userAccounts":["x1","x2"],"skillId":4,"agentWeight":1,"skillWeight":1}"#,
                r#"{"resultCode":"0","resultMessage":"success"}"#,
            ),
            // B3.14, B3.15
            rest(
                "skill/modifySkill",
                r#"{"skillId":3,"description":"2021ok","maxWaitTime":60}"#,
                r#"{"returnCode":"0","description":"Update Skill successfully"}"#,
            ),
            rest("skill/deleteSkill", r#"{"skillIds":"3,4"}"#, r#"{"returnCode":"0","description":"Success"}"#),
            // B3.22
            row(
                &settings,
                "/update",
                r#"{"id":"1307145259662215169","callType":"1","userId":"10gg000000y6OOrNaUFs",
                    "callerPresent":["12323"]}"#,
                r#"{"returnCode":"0","returnDesc":"update success.","id":"1307145259662215169"}"#,
            ),
        ]
    }

    #[tokio::test]
    async fn printed_requests_get_their_printed_responses() {
        for (path, request, printed) in examples() {
            let server = TestServer::start(Tenant::Document, "").await;
            let response = match request {
                Value::Null => server.get(&path).await,
                body => server.post(&path, body).await,
            };
            assert_eq!(response.ok(), printed, "{path}");
        }
    }

    #[tokio::test]
    async fn requests_printed_without_a_whole_response_succeed_as_described() {
        let server = TestServer::start(Tenant::Document, "").await;
        // B3.8: one account, and no total.
        let page = server.rest("agentAccount/query", json!({ "pageNum": 0, "pageSize": 1 })).await;
        assert_eq!(page["data"].as_array().unwrap().len(), 1);
        assert_eq!(page["resultMessage"], "get agent account info success");
        assert!(page["data"][0].get("workNo").is_none());
        // B3.6
        let update = json!({ "userAccount": "test123456", "userName": "test112" });
        let updated = server.rest("agentAccount/update", update).await;
        assert_eq!(updated, json!({ "resultCode": "0", "resultMessage": "edit success" }));
        // B3.11
        let members = json!({ "skillId": 3, "pageSize": 10, "pageNum": 0 });
        assert_eq!(server.rest("agentAccount/queryAgentInfoBySkillId", members).await["count"], 0);
        // B3.16: limit as text, offset as number.
        let skills = server.rest("skill/querySkills", json!({ "limit": "10", "offset": 0 })).await;
        let release = json!({ "transferType": "Release" });
        let param = json!({
            "noAgents": release, "busy": release, "timeOut": release,
            "answerFunction": "0", "waitVoice": { "parameterType": "Voice" },
        });
        assert_eq!(skills["total"], 3);
        assert_eq!(skills["data"][0]["skillParam"], param);
    }
}
