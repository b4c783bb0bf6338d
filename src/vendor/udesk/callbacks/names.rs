//! The names under which a field is looked for, in lower case without underscores, likeliest first.
//!
//! Sources: the Udesk document writes `AgentId`, Udesk's other products `agent_id`, `agentId`, `record_url` and
//! `talkRecord` (call event push, application API); the rest are the words of the contract and of the event's name.

/// Members that hold the event's own fields: `data`, `Data`, `message`.
pub(super) const INNER: &[&str] = &["data", "message"];

/// The event's name. `events` is a list where it comes with a signature (voice robot), in the examples of one.
pub(super) const EVENT: &[&str] = &["event", "eventtype", "type", "action", "events"];

/// When it happened: `Timestamp` has 13 digits in the older edition's messages.
pub(super) const EVENT_TIME: &[&str] =
    &["eventtime", "occurredat", "occurtime", "timestamp", "time", "createdat", "createtime", "ts"];

/// `AgentId`.
pub(super) const AGENT: &[&str] = &["agentid"];
/// `Extension`, `Extensions`.
pub(super) const EXTENSION: &[&str] = &["extension", "extensionid", "extensionnumber", "extensions", "ext"];
/// `QueueId`.
pub(super) const QUEUE: &[&str] = &["queueid"];

/// `call_id` groups what one customer's call went through; `conversation_id` is one conversation.
pub(super) const CALL_ID: &[&str] = &["callid", "conversationid", "calluuid", "sessionid"];
/// What may be the call's ID or the message's own.
pub(super) const MESSAGE_ID: &[&str] = &["uuid"];
/// Calling number.
pub(super) const DIALING: &[&str] =
    &["caller", "callernumber", "callerid", "fromnumber", "from", "callingnumber", "ani", "callfrom"];
/// Dialed number.
pub(super) const DIALED: &[&str] =
    &["called", "callednumber", "callee", "calleenumber", "tonumber", "to", "dialednumber", "dnis", "callto"];
/// The customer's number, whoever called.
pub(super) const THEIR_NUMBER: &[&str] = &["customerphone", "customernumber"];
/// The center's number, whoever called.
pub(super) const OUR_NUMBER: &[&str] = &["displaynumber", "calleddisplay", "spnumber", "relaynumber"];
/// `workflow`: `in`, `out_callback`, `out_direct`, `out_auto`.
pub(super) const DIRECTION: &[&str] = &["direction", "calldirection", "workflow", "calltype"];

/// `State` of Udesk 25.
pub(super) const AGENT_STATE: &[&str] = &["state", "agentstate", "status", "agentstatus"];
/// `StateDes` of Udesk 25.
pub(super) const AGENT_STATE_TEXT: &[&str] = &["statedes", "statedesc", "statename", "agentstatedes"];
/// `ReasonCode` of Udesk 25.
pub(super) const STATE_REASON: &[&str] = &["reasoncode", "reason"];
/// `ReasonCodeDes` of Udesk 25.
pub(super) const STATE_REASON_TEXT: &[&str] = &["reasoncodedes", "reasondes", "reasondesc"];

/// `ExtState` of Udesk 25.
pub(super) const EXTENSION_STATE: &[&str] = &["extstate", "extensionstate", "state", "status"];
/// What `ExtState` means.
pub(super) const EXTENSION_STATE_TEXT: &[&str] = &["extstatedes", "extensionstatedes", "statedes", "statedesc"];

/// `SignalType` of Udesk 10: 0 is SIP, 1 is WebRTC.
pub(super) const SIGNAL_TYPE: &[&str] = &["signaltype"];
/// The mode that an agent takes calls in.
pub(super) const CALL_MODE: &[&str] = &["signaltype", "callmode", "agentcallmode", "mode"];
/// What the mode means.
pub(super) const CALL_MODE_TEXT: &[&str] = &["signaltypedes", "callmodedes", "agentcallmodedes", "modedes"];

/// Why a call ended; of `drop_side` and `hangupBy`, by whom.
pub(super) const HANGUP_CAUSE: &[&str] = &[
    "hangupcause",
    "hangupcausecode",
    "hangupreason",
    "cause",
    "causecode",
    "reasoncode",
    "reason",
    "outcalldefeatcause",
    "dropside",
    "hangupby",
];
/// What the cause means.
pub(super) const HANGUP_CAUSE_TEXT: &[&str] =
    &["hangupcausedes", "hangupcausedesc", "hangupreasondes", "causedes", "causedesc", "reasoncodedes", "reasondes"];
/// Why a call left its queue; `queue_statue` is Udesk's spelling.
pub(super) const DEQUEUE_REASON: &[&str] =
    &["dequeuereason", "dequeuecause", "reasoncode", "reason", "queueresult", "queuestatue", "queuestatus", "result"];
/// What the reason means.
pub(super) const DEQUEUE_REASON_TEXT: &[&str] = &["dequeuereasondes", "reasoncodedes", "reasondes", "reasondesc"];

/// `record_url`, `talkRecord`.
pub(super) const RECORDING: &[&str] =
    &["recordurl", "recorduri", "recordingurl", "recordinguri", "talkrecord", "recordfile", "fileurl", "url"];
/// A voicemail's recording.
pub(super) const VOICEMAIL: &[&str] =
    &["voicemailurl", "voicemailuri", "recordurl", "recordingurl", "talkrecord", "recordfile", "fileurl", "url"];
/// `dtmf`.
pub(super) const DIGITS: &[&str] = &["dtmf", "dtmfs", "digits", "digit", "keys", "input"];
/// What was said.
pub(super) const TRANSCRIPT: &[&str] = &["asrtext", "asrresult", "transcript", "text", "speech", "content", "result"];
/// Who is consulted.
pub(super) const CONSULT_TARGET: &[&str] =
    &["consulttarget", "consultnumber", "consultagentid", "consultagent", "targetnumber", "target"];
/// Where a call went outside.
pub(super) const TRANSFER_TARGET: &[&str] =
    &["externnumber", "externalnumber", "extern", "transfernumber", "transferto", "targetnumber", "target"];
/// Who took a call over.
pub(super) const INTERCEPTOR: &[&str] =
    &["interceptor", "interceptorid", "substituteagentid", "substituteagent", "substitute"];
/// Who listens.
pub(super) const MONITOR: &[&str] = &["monitor", "monitorid", "eavesdropagentid", "eavesdropagent", "eavesdropper"];
