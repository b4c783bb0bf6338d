//! The applications of the document's examples, one for each operation.
//!
//! The examples come from different applications at different times. 04 creates agent 9415 and 07 binds it; 06 shows
//! one of 32 agents; 01 shows a default number that 02 refuses; 26 names queue 3 and shows an agent of queue 2. No
//! single application has all of them, so each operation has an application in which its own example is true.

use std::collections::VecDeque;

use super::{
    call::Query,
    operation::Operation,
    operations::OPERATIONS,
    state::{Agent, Extension, Printed, Queue, SignalType, State, Status, Subscription},
};

/// The ID in the example of 12. Later queues get the IDs after it.
const PRINTED_QUEUE_ID: &str = "181154";

/// The applications, in the order of the operations.
pub(super) fn states(app_id: &str) -> Vec<State> {
    OPERATIONS.iter().map(|operation| state(operation.number, app_id)).collect()
}

/// Adds the `MsgId` that the example requests of 22 and 23 lack, although the table of 22 requires it. Both example
/// responses have 111 (C49).
pub(super) fn complete(operation: &Operation, query: &mut Query) {
    if operation.parameters.iter().any(|parameter| parameter.name == "MsgId") && query.get("MsgId").is_none() {
        query.push("MsgId", "111");
    }
}

fn state(number: u8, app_id: &str) -> State {
    let mut state = State {
        app_id: app_id.to_owned(),
        // In the IDs of 25 and 26. No application ID in the document starts with it (C18).
        short_app_id: "7859ff65-0e6a".to_owned(),
        company_prefix: "9300007712".to_owned(),
        next_subid: 169,
        next_queue_id: 181_155,
        ..State::default()
    };
    match number {
        1 => {
            state.numbers = texts(&["057126200671", "057126200672", "057126200673", "057126200674"]);
            "057126200670".clone_into(&mut state.default_number);
        }
        2 | 3 => {
            state.numbers = texts(&["057126200671", "057126200670"]);
            "057126200671".clone_into(&mut state.default_number);
        }
        5 => state.agents.push(agent("9415")),
        6 => agent_list(&mut state),
        7 | 8 => {
            state.extensions.push(extension("1135", SignalType::Sip));
            state.agents.push(Agent { extensions: texts(if number == 8 { &["1135"] } else { &[] }), ..agent("9415") });
        }
        9 => state.extensions.push(extension("1002", SignalType::Sip)),
        10 => state.printed.passwords = VecDeque::from(["336cd1655a1d0502"]),
        // The document has the space at the end (C66).
        11 => state.queues.push(Queue { wait_music: "waitmusic.wav".to_owned(), ..queue("9001", "Admin test ") }),
        12 => state.printed.queue_ids = VecDeque::from([PRINTED_QUEUE_ID]),
        13 | 14 => state.queues.push(queue("9009", "test create Queue007")),
        15 => {
            state.queues.push(queue("9009", "test create Queue007"));
            state.agents = ["9006", "9007", "9008", "9009"].map(agent).into();
        }
        16 | 17 => {
            state.queues = vec![queue("551", "551"), queue("114", "114")];
            let queues = texts(if number == 17 { &["551", "114"] } else { &[] });
            state.agents.push(Agent { queues, ..agent("9415") });
        }
        18 => state.printed.subscription = Some((168, "test")),
        // 73 is the ID in the table of path parameters, 164 the number in the response.
        19 => {
            state.subscriptions = vec![subscription(73, "ymtest110"), subscription(164, "ymtest112")];
            state.subscriptions[0].event_id = 164;
        }
        20 => state.subscriptions.push(subscription(73, "ymtest110")),
        21 => state.subscriptions.push(Subscription { enabled: false, ..subscription(168, "sub1") }),
        22 | 23 => {
            state.extensions.push(extension("1135", SignalType::Sip));
            let id = if number == 22 { "10032" } else { "1802" };
            let status = if number == 22 { Status::Offline } else { Status::Idle };
            state.agents.push(Agent { extensions: texts(&["1135"]), status, ..agent(id) });
        }
        24 => {
            state.numbers = texts(&["02863208944"]);
            state.printed.call_ids = VecDeque::from(["c9d52506-c41b-431f-5fa0-b701a81a2da6"]);
        }
        25 | 26 => agent_of_two_queues(&mut state),
        _ => {}
    }
    state
}

/// 06: 32 agents, of which the document shows one.
fn agent_list(state: &mut State) {
    state.printed = Printed { rows: Some(1), without_exten_infos: true, ..Printed::default() };
    state.queues.push(queue("9003", "9003"));
    state.extensions = vec![extension("1001", SignalType::Sip), extension("1008", SignalType::WebRtc)];
    state.agents = (189..189 + 32).map(|id| agent(&id.to_string())).collect();
    let printed = &mut state.agents[0];
    *printed = Agent {
        work_id: String::new(),
        name: "Admin 1".to_owned(),
        mobile: "17600364320".to_owned(),
        email: "crmdiaoxiao1@test.cn".to_owned(),
        queues: texts(&["9003"]),
        extensions: texts(&["1001", "1008"]),
        default_number: "02863138587".to_owned(),
        status: Status::Waiting,
        ..agent("189")
    };
}

/// 25 and 26: an agent that shows queue 2 and is also in queue 3, with two extensions, one of them shown in full.
fn agent_of_two_queues(state: &mut State) {
    state.printed.app_id = Some("xxx");
    state.queues = vec![queue("2", "A"), Queue { built_in: true, ..queue("3", "3") }];
    state.extensions.push(Extension {
        number: "1145".to_owned(),
        password: "xxx".to_owned(),
        account: String::new(),
        signal_type: SignalType::Sip,
    });
    state.agents.push(Agent {
        work_id: "111".to_owned(),
        name: "alice".to_owned(),
        mobile: "1327766543".to_owned(),
        email: "aaaa@test.cn".to_owned(),
        queues: texts(&["2", "3"]),
        extensions: texts(&["1145", "1146"]),
        default_number: "0107766".to_owned(),
        ..agent("355")
    });
}

fn agent(id: &str) -> Agent {
    Agent {
        id: id.to_owned(),
        work_id: id.to_owned(),
        name: String::new(),
        mobile: String::new(),
        email: String::new(),
        role: "agent".to_owned(),
        enabled: true,
        wrap_up_time: 0,
        out_wrap_up_time: 0,
        extensions: Vec::new(),
        queues: Vec::new(),
        default_number: String::new(),
        status: Status::Offline,
    }
}

fn extension(number: &str, signal_type: SignalType) -> Extension {
    Extension { number: number.to_owned(), password: String::new(), account: String::new(), signal_type }
}

fn queue(id: &str, name: &str) -> Queue {
    Queue {
        id: id.to_owned(),
        name: name.to_owned(),
        strategy: 0,
        timeout: 0,
        wait_music: String::new(),
        built_in: false,
    }
}

fn subscription(subid: u64, name: &str) -> Subscription {
    Subscription {
        subid,
        event_id: subid,
        name: name.to_owned(),
        callback: "http://ip:port".to_owned(),
        events: texts(&["acd_agent_state"]),
        enabled: true,
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
