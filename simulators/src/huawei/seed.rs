//! The seeded call center. Every name and number is invented.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    passwords::PasswordRules,
    state::{AccessCode, Account, Agent, CallSettings, Center, Sip, Skill, Softphone, Weights},
};

/// The first softphone's ID. It and the later ones are too large for a double.
const FIRST_SOFTPHONE_ID: u64 = 1_125_397_061_153_369_093;
/// The first softphone's number.
const FIRST_SOFTPHONE: u32 = 88_880_001;
/// One for each agent, and four more.
const SOFTPHONES: u32 = 16;

/// Work number, account, name, phone, type, role, queues.
type Row = (u32, &'static str, &'static str, &'static str, u32, u32, &'static [u32]);

/// The agents. Two have no account.
const AGENTS: [Row; 12] = [
    (1001, "anna.berg", "Anna Berg", "5550101", 4, 2, &[1]),
    (1002, "ben.okafor", "Ben Okafor", "5550102", 4, 2, &[1, 2]),
    (1003, "chen.yu@example.com", "Chen Yu", "5550103", 4, 2, &[1]),
    (1004, "dana.silva", "Dana Silva", "5550104", 4, 2, &[1, 2]),
    (1005, "emil-novak", "Emil Novak", "", 4, 2, &[2]),
    (1006, "fatima_rossi", "Fatima Rossi", "5550106", 4, 4, &[2]),
    (1007, "goran.lind", "Goran Lind", "5550107", 99, 2, &[1, 2, 3, 4]),
    (1008, "hana.kim", "Hana Kim", "5550108", 11, 2, &[4]),
    (1009, "ivan.costa", "Ivan Costa", "5550109", 5, 2, &[3]),
    (1010, "julia.meyer", "Julia Meyer", "5550110", 4, 3, &[]),
    (1011, "", "", "", 4, 2, &[1]),
    (1012, "", "", "", 4, 2, &[]),
];

/// The seeded center.
pub(super) fn center() -> Center {
    let softphones: Vec<Softphone> = (0..SOFTPHONES).map(softphone).collect();
    let agents = AGENTS
        .iter()
        .zip(&softphones)
        .map(|(row, phone)| {
            let &(work_no, account, name, phone_number, kind, cc_role_id, skills) = row;
            Agent {
                work_no: Some(work_no),
                password: format!("Aa#{work_no}z"),
                sip: Some(Sip { account: phone.number.clone(), password: phone.password.clone() }),
                kind,
                cc_role_id,
                account: (!account.is_empty()).then(|| Account {
                    login: account.to_owned(),
                    name: name.to_owned(),
                    email: format!("{}@example.com", name.to_lowercase().replace(' ', ".")),
                    phone: phone_number.to_owned(),
                    password_rules: PasswordRules::default(),
                }),
                skills: skills.iter().map(|id| (*id, Weights { agent: 1, skill: 1 })).collect(),
                offline_phone: None,
            }
        })
        .collect();
    Center {
        agents,
        softphones,
        skills: skills(),
        access_codes: access_codes(),
        settings: settings(),
        ..Center::empty()
    }
}

/// The parameters of a voice or video queue that releases a call it cannot serve.
pub(super) fn release() -> Value {
    json!({
        "noAgents": { "transferType": "Release" },
        "busy": { "transferType": "Release" },
        "timeOut": { "transferType": "Release" },
        "answerFunction": "0",
        "waitVoice": { "parameterType": "Voice" },
    })
}

fn softphone(index: u32) -> Softphone {
    let suspended = index + 1 == SOFTPHONES;
    Softphone {
        number: (FIRST_SOFTPHONE + index).to_string(),
        password: format!("Sip~phone{index:02}"),
        id: FIRST_SOFTPHONE_ID + u64::from(index),
        suspended,
        remark: if suspended { "Spare, not in use" } else { "" },
    }
}

fn skills() -> BTreeMap<u32, Skill> {
    let skill = |name: &str, description: &str, media_type_id, param| Skill {
        name: name.to_owned(),
        description: description.to_owned(),
        media_type_id,
        max_wait_time: 60,
        max_wait_num: 100,
        max_agent_wrapup_time: 20,
        param,
    };
    let mut transfer = release();
    transfer["timeOut"] = json!({ "transferType": "Transfer", "deviceType": "1", "value": 1 });
    let chat = json!({
        "noAgents": { "transferType": "Release" },
        "busy": { "transferType": "Release" },
        "timeOut": { "transferType": "Release" },
    });
    BTreeMap::from([
        (1, skill("Support", "Questions", 5, release())),
        (2, skill("Sales", "Orders", 5, transfer)),
        (3, skill("Chat", "", 53, chat)),
        (4, skill("Video", "Advice", 19, release())),
    ])
}

fn access_codes() -> Vec<AccessCode> {
    let code = |id, code, media_type_id, description, attribute| AccessCode {
        id,
        code,
        media_type_id,
        n400_number: None,
        description,
        attribute,
    };
    vec![
        code("1125397061153369301", "5550001", 5, Some("Hot line"), 3),
        code("1125397061153369302", "5550002", 5, Some("Orders"), 1),
        AccessCode { n400_number: Some("4005550003"), ..code("1125397061153369303", "5550003", 5, None, 1) },
        code("1125397061153369304", "5550004", 2, Some("Click to dial"), 2),
        code("1125397061153369305", "chat01", 53, Some("Web chat"), 1),
    ]
}

fn settings() -> BTreeMap<String, CallSettings> {
    let texts = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect());
    let text = |text: &str| Some(text.to_owned());
    BTreeMap::from([
        (
            "1660270845627002501".to_owned(),
            CallSettings {
                id: "1307145259662215301".to_owned(),
                call_type: text("1"),
                caller_present: texts(&["5550001", "5550002"]),
                call_number: texts(&["88880001"]),
                call_number_default: text("88880001"),
                caller_present_default: text("5550001"),
                agent_name: text("anna.berg"),
            },
        ),
        (
            "10gg000000y6SeedUser2".to_owned(),
            CallSettings {
                id: "1307145259662215302".to_owned(),
                call_type: text("0"),
                call_number: texts(&["88880002"]),
                ..CallSettings::default()
            },
        ),
    ])
}
