//! The seeded center. Every name, number and address is invented.

use super::state::{Agent, Queue, SignalType, State, Status, Subscription};

const NUMBERS: [&str; 4] = ["01055500100", "01055500101", "02155500102", "075555500103"];

/// ID, name, strategy, timeout, music.
const QUEUES: [(&str, &str, i64, i64, &str); 4] = [
    ("9001", "Sales", 0, 30, "waitmusic.wav"),
    ("9002", "Billing", 1, 45, "waitmusic.wav"),
    ("9003", "Support", 2, 60, "waitmusic.wav"),
    ("9004", "Complaints", 2, 120, ""),
];

struct Seed {
    id: &'static str,
    work_id: &'static str,
    name: &'static str,
    role: &'static str,
    queues: &'static [&'static str],
    /// The SIP extension, the WebRTC extension.
    extensions: [Option<&'static str>; 2],
    status: Status,
    enabled: bool,
}

use Status::{Idle, Offline, Waiting};

#[rustfmt::skip]
const AGENTS: [Seed; 12] = [
    seed("1001", "E1001", "Mara Lindholm", &["9001"], ["1101", "1201"], Idle),
    seed("1002", "E1002", "Theo Okafor", &["9001"], ["1102", "1202"], Waiting),
    seed("1003", "E1003", "Ines Carvalho", &["9001", "9002"], ["1103", "1203"], Idle),
    seed("1004", "E1004", "Jonas Weller", &["9002"], ["1104", "1204"], Offline),
    seed("1005", "E1005", "Aiko Brandt", &["9002", "9003"], ["1105", "1205"], Waiting),
    seed("1006", "E1006", "Samuel Ferro", &["9003"], ["1106", "1206"], Offline),
    seed("1007", "E1007", "Nadia Holm", &["9003"], ["1107", "1207"], Idle),
    seed("1008", "E1008", "Pavel Ostrander", &["9003", "9004"], ["1108", "1208"], Offline),
    seed("1009", "E1009", "Grace Tamura", &["9001", "9002", "9003", "9004"], ["1109", "1209"], Idle).leading(),
    seed("1010", "E1010", "Emil Vasko", &["9001"], ["1110", "1210"], Offline).disabled(),
    seed("1011", "E1011", "Lucia Brennan", &["9003"], ["1111", "1211"], Offline).without_extensions(),
    seed("1012", "E1012", "Oskar Nyman", &[], ["1112", "1212"], Offline).without_extensions(),
];

// === impl Seed ===

impl Seed {
    const fn leading(mut self) -> Self {
        self.role = "leader";
        self
    }

    const fn disabled(mut self) -> Self {
        self.enabled = false;
        self
    }

    const fn without_extensions(mut self) -> Self {
        self.extensions = [None, None];
        self
    }

    /// `mara.lindholm@example.com` for Mara Lindholm.
    fn email(&self) -> String {
        format!("{}@example.com", self.name.to_lowercase().replace(' ', "."))
    }
}

const fn seed(
    id: &'static str,
    work_id: &'static str,
    name: &'static str,
    queues: &'static [&'static str],
    extensions: [&'static str; 2],
    status: Status,
) -> Seed {
    let [sip, webrtc] = extensions;
    Seed { id, work_id, name, role: "agent", queues, extensions: [Some(sip), Some(webrtc)], status, enabled: true }
}

/// The seeded application.
pub(super) fn state(app_id: &str) -> State {
    let mut state = State {
        app_id: app_id.to_owned(),
        short_app_id: app_id.chars().take(13).collect(),
        company_prefix: "9555010042".to_owned(),
        numbers: NUMBERS.map(str::to_owned).to_vec(),
        default_number: NUMBERS[0].to_owned(),
        next_subid: 102,
        next_queue_id: 181_155,
        ..State::default()
    };
    for (id, name, strategy, timeout, wait_music) in QUEUES {
        state.queues.push(Queue {
            id: id.to_owned(),
            name: name.to_owned(),
            strategy,
            timeout,
            wait_music: wait_music.to_owned(),
            built_in: false,
        });
    }
    // One extension that is not bound.
    state.add_extension("1300", SignalType::Sip);
    for seed in &AGENTS {
        add_agent(&mut state, seed);
    }
    state.subscriptions.push(Subscription {
        subid: 101,
        event_id: 101,
        name: "wallboard".to_owned(),
        callback: "http://wallboard.example.com/udesk".to_owned(),
        events: vec!["acd_agent_state".to_owned(), "general_hangup".to_owned()],
        enabled: true,
    });
    state
}

fn add_agent(state: &mut State, seed: &Seed) {
    let mut extensions = Vec::new();
    for (number, signal_type) in seed.extensions.iter().zip([SignalType::Sip, SignalType::WebRtc]) {
        if let Some(number) = number {
            extensions.push(state.add_extension(number, signal_type).number.clone());
        }
    }
    state.agents.push(Agent {
        id: seed.id.to_owned(),
        work_id: seed.work_id.to_owned(),
        name: seed.name.to_owned(),
        mobile: format!("1990000{}", seed.id),
        email: seed.email(),
        role: seed.role.to_owned(),
        enabled: seed.enabled,
        wrap_up_time: 15,
        out_wrap_up_time: 10,
        extensions,
        queues: seed.queues.iter().map(|id| (*id).to_owned()).collect(),
        default_number: NUMBERS[0].to_owned(),
        status: seed.status,
    });
}
