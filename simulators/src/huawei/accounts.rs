//! Changes business accounts of agents: agentAccount/create, update, delete (B3.5 to B3.7).

use serde::Deserialize;

use super::{
    envelope::{Outcome, Refusal, payload},
    fields::{self, ensure},
    memberships::{self, SkillWeights},
    operation::Call,
    passwords::{self, PasswordRules},
    state::{Account, Agent, Center},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Create {
    user_account: String,
    user_name: String,
    password: String,
    email: String,
    agent_type: u32,
    cc_role_id: u32,
    skills: Option<Vec<SkillWeights>>,
    phone: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Update {
    user_account: String,
    user_name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    agent_type: Option<u32>,
    cc_role_id: Option<u32>,
    skills: Option<Vec<SkillWeights>>,
    // Spelled with a capital W (B3.6).
    #[serde(rename = "oldPassWord")]
    old_password: Option<String>,
    #[serde(rename = "newPassWord")]
    new_password: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Delete {
    user_account: String,
}

/// `POST agentAccount/create`: adds an agent with an account. The vendor assigns the work number.
pub(super) fn create(center: &mut Center, call: Call<'_>) -> Outcome {
    let Create { user_account, user_name, password, email, agent_type, cc_role_id, skills, phone } =
        fields::read(call.body)?;
    let phone = phone.unwrap_or_default();
    fields::check_account(&user_account)?;
    ensure(!user_name.is_empty(), "userName is empty")?;
    fields::at_most(&user_name, 20, "userName is longer than 20")?;
    ensure(!user_name.contains(|c| "\"[]'&()=;<>,".contains(c)), "userName has a forbidden character")?;
    passwords::check(&password)?;
    fields::check_email(&email)?;
    check_phone(&phone)?;
    check_kind(agent_type, cc_role_id)?;
    ensure(center.position_of_account(&user_account).is_none(), "userAccount already exists")?;
    let skills = memberships::checked(center, agent_type, skills.unwrap_or_default())?;
    let work_no = center.take_work_no()?;
    let sip = center.free_softphone();
    center.agents.push(Agent {
        work_no: Some(work_no),
        password,
        sip,
        kind: agent_type,
        cc_role_id,
        account: Some(Account {
            login: user_account,
            name: user_name,
            email,
            phone,
            password_rules: PasswordRules::default(),
        }),
        skills,
        offline_phone: None,
    });
    Ok(payload! { "workNo": work_no })
}

/// `POST agentAccount/update`: an absent field is unchanged. A refused request changes nothing, but a wrong old
/// password is counted.
pub(super) fn update(center: &mut Center, call: Call<'_>) -> Outcome {
    let Update { user_account, user_name, email, phone, agent_type, cc_role_id, skills, old_password, new_password } =
        fields::read(call.body)?;
    let position = position(center, &user_account)?;
    let before = &center.agents[position];
    if let Some(user_name) = &user_name {
        // Update has a limit in bytes, and fewer forbidden characters than create.
        ensure(!user_name.is_empty(), "userName is empty")?;
        ensure(user_name.len() <= 20, "userName is longer than 20 bytes")?;
        ensure(!user_name.contains(|c| "\"[]=;<>".contains(c)), "userName has a forbidden character")?;
    }
    email.as_deref().map_or(Ok(()), fields::check_email)?;
    phone.as_deref().map_or(Ok(()), check_phone)?;
    let agent_type = agent_type.unwrap_or(before.kind);
    let cc_role_id = cc_role_id.unwrap_or(before.cc_role_id);
    check_kind(agent_type, cc_role_id)?;
    let skills = if let Some(skills) = skills {
        memberships::checked(center, agent_type, skills)?
    } else {
        memberships::check_media(center, agent_type, before.skills.keys().copied())?;
        before.skills.clone()
    };

    let agent = &mut center.agents[position];
    let Some(account) = &mut agent.account else {
        return Err(no_account());
    };
    match (old_password, new_password) {
        (None, None) => {}
        (Some(old), Some(new)) => {
            passwords::check(&new)?;
            account.password_rules.change(old == agent.password, call.now)?;
            agent.password = new;
        }
        _ => {
            return Err(Refusal::because("oldPassWord and newPassWord belong together"));
        }
    }
    account.name = user_name.unwrap_or_else(|| std::mem::take(&mut account.name));
    account.email = email.unwrap_or_else(|| std::mem::take(&mut account.email));
    account.phone = phone.unwrap_or_else(|| std::mem::take(&mut account.phone));
    agent.kind = agent_type;
    agent.cc_role_id = cc_role_id;
    agent.skills = skills;
    Ok(payload! {})
}

/// `POST agentAccount/delete`: deletes an agent in any state, also from its queues.
pub(super) fn delete(center: &mut Center, call: Call<'_>) -> Outcome {
    let Delete { user_account } = fields::read(call.body)?;
    let position = position(center, &user_account)?;
    center.agents.remove(position);
    Ok(payload! {})
}

fn no_account() -> Refusal {
    Refusal::because("userAccount does not exist")
}

fn position(center: &Center, user_account: &str) -> Result<usize, Refusal> {
    center.position_of_account(user_account).ok_or_else(no_account)
}

fn check_phone(phone: &str) -> Result<(), Refusal> {
    fields::at_most(phone, 25, "phone is longer than 25")
}

fn check_kind(agent_type: u32, cc_role_id: u32) -> Result<(), Refusal> {
    ensure(matches!(agent_type, 4 | 5 | 11 | 99), "agentType is invalid")?;
    ensure(matches!(cc_role_id, 2..=4), "ccRoleId is invalid")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{
        Tenant,
        testing::{MANAGEMENT, REST, TestServer, code},
    };

    fn new_agent() -> Value {
        json!({
            "userAccount": "karl.new", "userName": "Karl New", "password": "Abcde#12", "email": "karl@example.com",
            "agentType": 4, "ccRoleId": 2, "phone": "5550199",
            "skills": [{ "skillId": 2, "agentWeight": 3, "skillWeight": 4 }],
        })
    }

    /// The new agent with one field changed.
    fn but(field: &str, value: Value) -> Value {
        let mut agent = new_agent();
        agent[field] = value;
        agent
    }

    async fn read(server: &TestServer, account: &str) -> Value {
        server.rest("agentAccount/query", json!({ "userAccount": account })).await["data"][0].clone()
    }

    #[tokio::test]
    async fn an_agent_created_is_an_agent_everywhere_until_it_is_deleted() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        let created = server.rest("agentAccount/create", new_agent()).await;
        assert_eq!((code(&created), &created["workNo"]), ("0", &json!(1013)));
        let expected = json!({
            "userAccount": "karl.new", "userName": "Karl New", "email": "karl@example.com", "phone": "5550199",
            "agentType": 4, "ccRoleId": 2, "sipAccount": "88880013", "workNo": 1013, "transparentDisplayFlag": false,
            "skills": [{ "skillId": 2, "agentWeight": 3, "skillWeight": 4 }],
        });
        assert_eq!(read(&server, "karl.new").await, expected);
        let info = server.get(&format!("{MANAGEMENT}/querySysInfo")).await.ok();
        let registered = json!({
            "workNo": 1013, "sipAccount": "88880013", "sipPwd": "Sip~phone12", "password": "Abcde#12",
        });
        assert_eq!(info["agents"][12], registered);
        let info = server.get(&format!("{MANAGEMENT}/queryAgentInfo")).await.ok();
        assert_eq!(info["agents"][12]["accountCode"], "karl.new");
        let sales = json!({ "skillId": 2, "pageSize": 100, "pageNum": 0 });
        let members = server.rest("agentAccount/queryAgentInfoBySkillId", sales.clone()).await;
        assert_eq!((&members["count"], &members["data"][5]["accountCode"]), (&json!(6), &json!("karl.new")));

        let deleted = server.rest("agentAccount/delete", json!({ "userAccount": "karl.new" })).await;
        assert_eq!(deleted, json!({ "resultCode": "0", "resultMessage": "delete AgentAccount success" }));
        assert!(read(&server, "karl.new").await.is_null());
        assert_eq!(server.rest("agentAccount/queryAgentInfoBySkillId", sales).await["count"], 5);
        // Its number is not assigned again, its softphone is.
        let again = server.rest("agentAccount/create", new_agent()).await;
        assert_eq!(again["workNo"], 1014);
        assert_eq!(read(&server, "karl.new").await["sipAccount"], "88880013");
    }

    #[tokio::test]
    async fn creation_has_limits() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        let skill =
            |id: u32, agent: u32, weight: u32| json!([{ "skillId": id, "agentWeight": agent, "skillWeight": weight }]);
        for refused in [
            but("userAccount", json!("karl")),
            but("userAccount", json!("anna.berg")),
            but("userName", json!("")),
            but("userName", json!("K".repeat(21))),
            but("userName", json!("Karl, New")),
            but("password", json!("Abcde#123")),
            but("email", json!("karl")),
            but("agentType", json!(6)),
            but("ccRoleId", json!(1)),
            but("ccRoleId", json!(5)),
            but("phone", json!("1".repeat(26))),
            but("skills", skill(9, 1, 1)),
            but("skills", skill(2, 0, 1)),
            but("skills", skill(2, 1, 0)),
            but("skills", skill(3, 1, 1)),
        ] {
            assert_eq!(code(&server.rest("agentAccount/create", refused.clone()).await), "1", "{refused}");
        }
        let path = format!("{REST}/agentAccount/create");
        for malformed in [
            but("agentType", json!("4")),
            but("phone", json!(5_550_199)),
            but("skills", json!([{ "skillId": 2 }])),
            but("workNo", json!(2000)),
        ] {
            server.post(&path, malformed).await.is_bad_request();
        }
        let widest = but("userName", json!("\u{5f20}".repeat(20)));
        assert_eq!(code(&server.rest("agentAccount/create", widest).await), "0");
    }

    #[tokio::test]
    async fn softphones_run_out() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        for index in 0..4 {
            let account = json!(format!("karl.new{index}"));
            server.rest("agentAccount/create", but("userAccount", account)).await;
        }
        // Three were free; the fourth spare one is suspended.
        assert_eq!(read(&server, "karl.new2").await["sipAccount"], "88880015");
        assert!(read(&server, "karl.new3").await.get("sipAccount").is_none());
    }

    #[tokio::test]
    async fn an_update_changes_what_it_names() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        let before = read(&server, "anna.berg").await;
        let update = json!({
            "userAccount": "anna.berg", "userName": "Anna (Lead)", "phone": "", "agentType": 99, "ccRoleId": 3,
            "skills": [{ "skillId": 3, "agentWeight": 1, "skillWeight": 1 }],
        });
        let updated = server.rest("agentAccount/update", update).await;
        assert_eq!(updated, json!({ "resultCode": "0", "resultMessage": "edit success" }));
        let mut expected = before;
        expected["userName"] = json!("Anna (Lead)");
        expected["phone"] = json!("");
        expected["agentType"] = json!(99);
        expected["ccRoleId"] = json!(3);
        expected["skills"] = json!([{ "skillId": 3, "agentWeight": 1, "skillWeight": 1 }]);
        assert_eq!(read(&server, "anna.berg").await, expected);
    }

    #[tokio::test]
    async fn a_refused_update_changes_nothing() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        let before = read(&server, "anna.berg").await;
        for (field, value) in [
            // 20 bytes, not 20 characters.
            ("userName", json!("\u{5f20}".repeat(7))),
            ("userName", json!("Anna <Lead>")),
            ("email", json!("anna")),
            ("phone", json!("1".repeat(26))),
            ("agentType", json!(5)),
            ("ccRoleId", json!(255)),
            ("skills", json!([{ "skillId": 3, "agentWeight": 1, "skillWeight": 1 }])),
            ("oldPassWord", json!("Aa#1001z")),
            ("newPassWord", json!("Abcde#12")),
        ] {
            let mut update = json!({ "userAccount": "anna.berg", "email": "new@example.com" });
            update[field] = value;
            assert_eq!(code(&server.rest("agentAccount/update", update).await), "1", "{field}");
        }
        assert_eq!(read(&server, "anna.berg").await, before);
        let unknown = json!({ "userAccount": "nobody.here" });
        assert_eq!(code(&server.rest("agentAccount/update", unknown.clone()).await), "1");
        assert_eq!(code(&server.rest("agentAccount/delete", unknown).await), "1");
    }

    #[tokio::test]
    async fn a_password_is_changed_by_its_rules() {
        let server = TestServer::start(Tenant::Seeded, "").await;
        let change =
            |old: &str, new: &str| json!({ "userAccount": "anna.berg", "oldPassWord": old, "newPassWord": new });
        let update = async |body: Value| code(&server.rest("agentAccount/update", body).await).to_owned();
        assert_eq!(update(change("Aa#1001z", "weak")).await, "1");
        for _ in 0..3 {
            assert_eq!(update(change("wrong", "Abcde#12")).await, "1");
        }
        server.advance(30 * 60 - 1);
        assert_eq!(update(change("Aa#1001z", "Abcde#12")).await, "1");
        server.advance(1);
        assert_eq!(update(change("Aa#1001z", "Abcde#12")).await, "0");
        let info = server.get(&format!("{MANAGEMENT}/querySysInfo")).await.ok();
        assert_eq!(info["agents"][0]["password"], "Abcde#12");
        assert_eq!(update(change("Abcde#12", "Bcdef#12")).await, "1");
    }
}
