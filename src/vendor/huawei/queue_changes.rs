//! Creates, changes and deletes queues: skill/createSkill, modifySkill, deleteSkill (B3.13 to B3.15).

use prost_types::{Duration, Struct};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Huawei,
    api_fabric::ApiFabric,
    formats::Formats as _,
    is_refused, memberships,
    operations::{CREATE_SKILL, DELETE_SKILL, MODIFY_SKILL},
    queues,
    queues::Skill,
};
use crate::{
    check::Check,
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result},
    name::{CenterName, QueueName, ResourceName as _},
    proto::v1,
    vendor::{
        de::{Anything, Integer, Object, Text},
        nameless,
        vendor_data_reader::VendorDataReader,
        written_back::WrittenBack,
    },
};

/// `POST skill/createSkill`. Every field is mandatory.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreateSkill<'a> {
    media_type_id: u32,
    description: String,
    name: &'a str,
    max_wait_time: i64,
    max_wait_num: u32,
    max_agent_wrapup_time: u32,
    skill_param: Map<String, Value>,
}

/// `POST skill/modifySkill`. Omitted fields stay unchanged.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModifySkill {
    skill_id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_wait_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_wait_num: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_agent_wrapup_time: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skill_param: Option<Map<String, Value>>,
}

/// `POST skill/deleteSkill`. The IDs are one text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeleteSkill<'a> {
    skill_ids: &'a str,
}

endpoint!(ApiFabric: CreateSkill<'_>, POST "skill/createSkill", write, CREATE_SKILL.of_caller() => SkillCreated);
endpoint!(ApiFabric: ModifySkill, POST "skill/modifySkill", write, MODIFY_SKILL.of_caller() => Anything);
endpoint!(ApiFabric: DeleteSkill<'_>, POST "skill/deleteSkill", write, DELETE_SKILL.of_caller() => Anything);

/// Response of skill/createSkill, of which the documentation shows only the beginning: the new queue's number may be a
/// top-level member, in `data`, or absent.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SkillCreated {
    skill_id: Text,
    data: Object<CreatedData>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CreatedData {
    skill_id: Text,
}

/// The keys of `queue.vendor_data`.
struct Parameters {
    media_type_id: Option<u32>,
    max_wait_num: Option<u32>,
    max_agent_wrapup_time: Option<u32>,
    description: Option<String>,
    skill_param: Option<Map<String, Value>>,
}

/// Voice; the others are click to dial, video to dial, video and multimedia (B3.13).
const VOICE: u32 = 5;
const MEDIA_TYPES: &[u32] = &[2, 5, 18, 19, 53];
/// Voice and video queues require all five parts of `skillParam`, the others three (B3.13).
const WITH_VOICE: [u32; 2] = [5, 19];
/// Defaults of a new queue.
const WAIT_TIME: i64 = 60;
const WAIT_NUM: u32 = 100;
const WRAP_UP_TIME: u32 = 5;
/// Longest `description`, in letters and digits.
const DESCRIPTION: usize = 50;

/// Why fields of the contract are rejected.
const NO_STRATEGY: &str = "Huawei's interfaces have no queue strategy";
const NO_MUSIC: &str = "set vendor_data.skillParam.waitVoice instead";
const CREATE_ACCEPTS: &str =
    "Huawei accepts only mediaTypeId, maxWaitNum, maxAgentWrapupTime, description and skillParam";
const UPDATE_ACCEPTS: &str = "Huawei can change only maxWaitNum, maxAgentWrapupTime, description and skillParam";

/// Creates a queue.
pub(super) async fn create(
    huawei: &Huawei,
    cx: &Context,
    center: &CenterName,
    request: v1::CreateQueueRequest,
) -> Result<v1::Queue> {
    let v1::CreateQueueRequest { parent: _, queue_id, queue, request_id: _ } = request;
    let v1::Queue { name: _, display_name, strategy, wait_timeout, wait_music, vendor_data } =
        queue.unwrap_or_default();
    let mut check = Check::of(cx);
    check.unsupported_if(
        !queue_id.is_empty(),
        "queue_id",
        "Huawei assigns the number of a queue; leave this field empty",
    );
    check.skill_name("queue.display_name", &display_name);
    check.unsupported_if(strategy != 0, "queue.strategy", NO_STRATEGY);
    check.unsupported_if(!wait_music.is_empty(), "queue.wait_music", NO_MUSIC);
    let max_wait_time = wait_time(&mut check, wait_timeout);
    let parameters = Parameters::read(&mut check, vendor_data, true);
    check.done()?;
    let create = CreateSkill::new(&display_name, max_wait_time, parameters);
    let created = match huawei.api_fabric.call(cx, &create).await {
        Ok(created) => created,
        Err(error) => return Err(explain_name(huawei, cx, error, center, &display_name).await),
    };
    let skill = match created.into_id() {
        Some(id) => queues::find(huawei, cx, &QueueName::new(center.center(), id.as_str()))
            .await
            .map_or_else(|_| create.as_skill(&id), |found| found.unwrap_or_else(|| create.as_skill(&id))),
        None => {
            queues::find_named(huawei, cx, &display_name).await.ok().flatten().ok_or_else(created_without_number)?
        }
    };
    Ok(skill.into_queue(center.center(), v1::View::Full))
}

/// Changes the fields in `mask`.
pub(super) async fn update(
    huawei: &Huawei,
    cx: &Context,
    name: &QueueName,
    queue: v1::Queue,
    mask: &[String],
) -> Result<v1::Queue> {
    let mut modify = ModifySkill::checked(cx, name, queue, mask)?;
    let _guard = huawei.locks.lock(name.to_string(), cx.deadline()).await?;
    if let Some(given) = modify.skill_param.take() {
        // The vendor requires all parts of it or none.
        let skill = queues::find(huawei, cx, name).await?.ok_or_else(|| Error::not_found(QueueName::KIND, name))?;
        let Object(mut skill_param) = skill.skill_param;
        let mut kept = WrittenBack::default();
        for (part, value) in skill_param.iter().filter(|(part, _)| !given.contains_key(*part)) {
            kept.value(format!("queue.vendor_data.skillParam.{part}"), value);
        }
        kept.done()?;
        skill_param.extend(given);
        modify.skill_param = Some(skill_param);
    }
    if let Err(error) = huawei.api_fabric.call(cx, &modify).await {
        return Err(queues::explain(huawei, cx, error, name).await);
    }
    let skill = match queues::find(huawei, cx, name).await {
        Ok(Some(skill)) => skill,
        Ok(None) | Err(_) => modify.as_skill(name),
    };
    Ok(skill.into_queue(name.center(), v1::View::Full))
}

/// Deletes a queue.
pub(super) async fn delete(huawei: &Huawei, cx: &Context, name: &QueueName) -> Result<()> {
    let mut check = Check::of(cx);
    check.queue_id("name", name.id());
    check.done()?;
    let Err(error) = huawei.api_fabric.call(cx, &DeleteSkill { skill_ids: name.id() }).await else { return Ok(()) };
    let error = match error.vendor_http_status() {
        // Of this operation alone the document says that a 404 means a missing queue; a wrong path responds so, too.
        Some(404) => queues::explain_missing(huawei, cx, error, name).await,
        _ => queues::explain(huawei, cx, error, name).await,
    };
    if !is_refused(&error) {
        return Err(error);
    }
    // The vendor's refusal does not say that the queue has agents.
    Err(match memberships::members(huawei, cx, name).await {
        Ok(members) if !members.accounts.is_empty() => error
            .explained(ErrorReason::ResourceInUse, format!("{name} has agents; remove them first"))
            .about(QueueName::KIND, name),
        _ => error,
    })
}

/// The vendor does not distinguish a taken name from other refusals, so one read decides.
async fn explain_name(huawei: &Huawei, cx: &Context, error: Error, center: &CenterName, display_name: &str) -> Error {
    if !is_refused(&error) {
        return error;
    }
    match queues::find_named(huawei, cx, display_name).await {
        Ok(Some(skill)) => {
            let name = QueueName::new(center.center(), skill.skill_id.0);
            let message = format!("{name} already has this display_name");
            error.explained(ErrorReason::ResourceExists, message).about(QueueName::KIND, name)
        }
        Ok(None) | Err(_) => error,
    }
}

fn created_without_number() -> Error {
    nameless::written(
        "Huawei created the queue and did not return its number; do not repeat the request, find it with ListQueues",
    )
}

/// `maxWaitTime`; zero and an absent value mean the default.
fn wait_time(check: &mut Check, wait_timeout: Option<Duration>) -> i64 {
    let seconds = wait_timeout.map_or(0, |timeout| timeout.seconds);
    check.wait_time("queue.wait_timeout", seconds);
    if seconds == 0 { WAIT_TIME } else { seconds }
}

/// The `skillParam` that releases calls that cannot be served.
fn release(media_type_id: u32) -> Map<String, Value> {
    let release = json!({ "transferType": "Release" });
    let mut param = Map::new();
    for part in ["noAgents", "busy", "timeOut"] {
        param.insert(part.to_owned(), release.clone());
    }
    if WITH_VOICE.contains(&media_type_id) {
        param.insert("answerFunction".to_owned(), "0".into());
        param.insert("waitVoice".to_owned(), json!({ "parameterType": "Voice" }));
    }
    param
}

// === impl Parameters ===

impl Parameters {
    fn read(check: &mut Check, vendor_data: Option<Struct>, create: bool) -> Self {
        let mut reader = VendorDataReader::new(check, "queue.vendor_data", vendor_data);
        let parameters = Self {
            media_type_id: if create { reader.one_of("mediaTypeId", MEDIA_TYPES) } else { None },
            max_wait_num: reader.number("maxWaitNum", 0..=10_000),
            max_agent_wrapup_time: reader.number("maxAgentWrapupTime", 0..=3_600),
            description: reader.letters_and_digits("description", DESCRIPTION),
            skill_param: reader.object("skillParam"),
        };
        reader.refuse_others(if create { CREATE_ACCEPTS } else { UPDATE_ACCEPTS });
        parameters
    }
}

// === impl CreateSkill ===

impl<'a> CreateSkill<'a> {
    fn new(name: &'a str, max_wait_time: i64, parameters: Parameters) -> Self {
        let media_type_id = parameters.media_type_id.unwrap_or(VOICE);
        let mut skill_param = release(media_type_id);
        skill_param.extend(parameters.skill_param.unwrap_or_default());
        // The description accepts only letters and digits, so the name's other characters are removed.
        let description = || name.chars().filter(|char| char.is_alphanumeric()).take(DESCRIPTION).collect();
        Self {
            media_type_id,
            description: parameters.description.unwrap_or_else(description),
            name,
            max_wait_time,
            max_wait_num: parameters.max_wait_num.unwrap_or(WAIT_NUM),
            max_agent_wrapup_time: parameters.max_agent_wrapup_time.unwrap_or(WRAP_UP_TIME),
            skill_param,
        }
    }

    /// The queue as requested.
    fn as_skill(&self, id: &str) -> Skill {
        Skill {
            skill_id: Text(id.to_owned()),
            name: Text(self.name.to_owned()),
            description: self.description.as_str().into(),
            media_type_id: self.media_type_id.into(),
            max_wait_time: Integer(Some(self.max_wait_time)),
            max_wait_num: self.max_wait_num.into(),
            max_agent_wrapup_time: self.max_agent_wrapup_time.into(),
            skill_param: Object(self.skill_param.clone()),
        }
    }
}

// === impl ModifySkill ===

impl ModifySkill {
    fn checked(cx: &Context, name: &QueueName, queue: v1::Queue, mask: &[String]) -> Result<Self> {
        // The mask rejects the fields that are `_` here.
        let v1::Queue { name: _, display_name: _, strategy: _, wait_timeout, wait_music: _, vendor_data } = queue;
        let mut check = Check::of(cx);
        check.queue_id("queue.name", name.id());
        let (mut max_wait_time, mut masked_data) = (None, None);
        for path in mask {
            match path.as_str() {
                "wait_timeout" => max_wait_time = Some(wait_time(&mut check, wait_timeout)),
                "vendor_data" => masked_data.clone_from(&vendor_data),
                "display_name" => check.unsupported("queue.display_name", "Huawei cannot rename a queue"),
                "strategy" => check.unsupported("queue.strategy", NO_STRATEGY),
                "wait_music" => check.unsupported("queue.wait_music", NO_MUSIC),
                _ => check.unsupported(format!("queue.{path}"), "Huawei cannot change it"),
            }
        }
        let given = Parameters::read(&mut check, masked_data, false);
        check.done()?;
        Ok(Self {
            skill_id: name.id().parse().map_err(|_| Error::internal("a checked queue number is not a number"))?,
            description: given.description,
            max_wait_time,
            max_wait_num: given.max_wait_num,
            max_agent_wrapup_time: given.max_agent_wrapup_time,
            skill_param: given.skill_param,
        })
    }

    /// The known part of the queue after the change, when reading it back fails.
    fn as_skill(&self, name: &QueueName) -> Skill {
        Skill {
            skill_id: Text(name.id().to_owned()),
            description: self.description.as_deref().into(),
            max_wait_time: Integer(self.max_wait_time),
            max_wait_num: self.max_wait_num.into(),
            max_agent_wrapup_time: self.max_agent_wrapup_time.into(),
            ..Skill::default()
        }
    }
}

// === impl SkillCreated ===

impl SkillCreated {
    fn into_id(self) -> Option<String> {
        let Object(CreatedData { skill_id }) = self.data;
        [self.skill_id, skill_id].into_iter().map(Text::into_string).find(|id| QueueName::identifies(id))
    }
}
