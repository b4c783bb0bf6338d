//! Writes queues: Udesk 12 to 14.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Api, Udesk, VendorId, about, about_new, agent_records,
    ccapi::Ccapi,
    codes, done_without_id,
    formats::Formats as _,
    is_vague,
    operations::{READ, WRITE},
    or_empty, queues,
};
use crate::{
    check::Check,
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result},
    http::Endpoint as _,
    name::{CenterName, QueueName, ResourceName as _},
    proto::{enum_value, v1},
    vendor::{
        de::{Anything, List, Object, Text},
        refuse_other_paths,
        written_back::WrittenBack,
    },
};

/// `POST /queues` (Udesk 12). The response's ID overrides the requested one (C21).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CreateQueue<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    queue_id: &'a str,
    queue_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    wait_music: &'a str,
}

endpoint!(Ccapi: CreateQueue<'_>, POST "/queues", write, WRITE => QueueCreated);

/// Response of Udesk 12: an object in the example, a text in the table (C21, C38).
#[derive(Deserialize)]
#[serde(untagged)]
enum QueueCreated {
    Object {
        #[serde(rename = "QueueId")]
        queue_id: VendorId,
    },
    Text(VendorId),
}

/// `GET /queues` (Udesk 11), unchanged, to be written back.
#[derive(Serialize)]
struct ReadQueues {}

endpoint!(Ccapi: ReadQueues, GET "/queues", read, READ => Object<RawQueues>);

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawQueues {
    queues: List<Map<String, Value>>,
}

/// `PUT /queues` (Udesk 13), the whole queue: whether omitted fields stay or are reset is not documented (C15).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateQueue {
    queue_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_name: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strategy: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_music: Option<Value>,
}

endpoint!(Ccapi: UpdateQueue, PUT "/queues", write, WRITE => Anything);

/// `DELETE /queues` (Udesk 14), with a body (C7).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteQueue<'a> {
    queue_id: &'a str,
}

endpoint!(Ccapi: DeleteQueue<'_>, DELETE "/queues", write, WRITE => Anything);

/// The changes of a queue, in Udesk's values.
struct Change {
    name: Option<String>,
    strategy: Option<i64>,
    timeout: Option<i64>,
    wait_music: Option<String>,
}

/// Creates a queue.
pub(super) async fn create(
    ccapi: &Api,
    cx: &Context,
    center: &CenterName,
    request: v1::CreateQueueRequest,
) -> Result<v1::Queue> {
    let v1::CreateQueueRequest { parent: _, queue_id, queue, request_id: _ } = request;
    let v1::Queue { name: _, display_name, strategy, wait_timeout, wait_music, vendor_data } =
        queue.unwrap_or_default();
    let mut check = Check::of(cx);
    if !queue_id.is_empty() {
        check.chosen_queue_id("queue_id", &queue_id);
    }
    // C39: Udesk requires no name, but a queue without one cannot be identified.
    check.required("queue.display_name", &display_name);
    check.unsupported_if(strategy != 0, "queue.strategy", "only UpdateQueue can set it on Udesk");
    check.unsupported_if(wait_timeout.is_some(), "queue.wait_timeout", "only UpdateQueue can set it on Udesk");
    check.unsupported_if(vendor_data.is_some(), "queue.vendor_data", NO_FURTHER_FIELDS);
    check.done()?;
    let create = CreateQueue { queue_id: &queue_id, queue_name: &display_name, wait_music: &wait_music };
    let created = ccapi.call(cx, &create).await.map_err(|error| match queue_id.as_str() {
        "" => about_new(of_music(error), "Queue", center),
        id => about_new(of_music(error), "Queue", &QueueName::new(center.center(), id)),
    })?;
    let id = match created {
        QueueCreated::Object { queue_id: id } | QueueCreated::Text(id) if QueueName::identifies(&id.0) => id.0,
        _ => id_of_new(ccapi, cx, &display_name).await?,
    };
    let name = QueueName::new(center.center(), id).to_string();
    Ok(v1::Queue { name, display_name, wait_music, ..v1::Queue::default() })
}

/// The ID of a new queue, where the response omits it: names are unique (code 100006).
async fn id_of_new(ccapi: &Api, cx: &Context, name: &str) -> Result<String> {
    let mut named: Vec<queues::Queue> = match queues::all(ccapi, cx).await {
        Ok(list) => list.queues.into_iter().filter(|queue| queue.name() == name).collect(),
        Err(_) => Vec::new(),
    };
    match (named.pop(), named.is_empty()) {
        (Some(only), true) => Ok(only.id().to_owned()),
        _ => Err(done_without_id(
            CreateQueue::operation().name,
            "Udesk created the queue and did not return its ID; do not repeat the request, find the queue with ListQueues",
        )),
    }
}

const NO_FURTHER_FIELDS: &str = "Udesk has no further fields for queues";

/// Validates and returns what `mask` changes of a queue.
fn checked(cx: &Context, name: &QueueName, queue: v1::Queue, mask: &[String]) -> Result<Change> {
    let is_masked = |path: &str| mask.iter().any(|masked| masked == path);
    // The mask decides about vendor_data.
    let v1::Queue { name: _, display_name, strategy, wait_timeout, wait_music, vendor_data: _ } = queue;
    let mut check = Check::of(cx);
    check.digits("queue.name", name.id());
    refuse_other_paths(
        &mut check,
        "queue",
        mask,
        &["display_name", "strategy", "wait_timeout", "wait_music", "vendor_data"],
    );
    if is_masked("display_name") {
        check.required("queue.display_name", &display_name);
    }
    check.unsupported_if(is_masked("vendor_data"), "queue.vendor_data", NO_FURTHER_FIELDS);
    check.done()?;
    let strategy = match enum_value(strategy) {
        v1::QueueStrategy::Unspecified => None,
        v1::QueueStrategy::RoundRobin => Some(0),
        v1::QueueStrategy::FewestCalls => Some(1),
        v1::QueueStrategy::LongestIdle => Some(2),
    };
    Ok(Change {
        name: is_masked("display_name").then_some(display_name),
        strategy: strategy.filter(|_| is_masked("strategy")),
        timeout: wait_timeout.filter(|_| is_masked("wait_timeout")).map(|timeout| timeout.seconds),
        wait_music: is_masked("wait_music").then_some(wait_music),
    })
}

/// Changes the fields that `mask` names of a queue: read, merged, written whole, read back.
pub(super) async fn update(
    udesk: &Udesk,
    cx: &Context,
    name: &QueueName,
    queue: v1::Queue,
    mask: &[String],
) -> Result<v1::Queue> {
    let change = checked(cx, name, queue, mask)?;
    let _guard = udesk.queue_locks.lock(name.id().to_owned(), cx.deadline()).await?;
    let ccapi = &udesk.ccapi;
    let Object(RawQueues { queues }) = or_empty(ccapi.call(cx, &ReadQueues {}).await)?;
    let queue = queues
        .into_iter()
        .find(|queue| {
            text(queue, "QueueId").is_some_and(|id| id.rsplit_once('@').map_or(&*id, |(id, _)| id) == name.id())
        })
        .ok_or_else(|| Error::not_found("Queue", name))?;
    let update = change.merged(name, queue)?;
    let Anything = ccapi.call(cx, &update).await.map_err(|error| about(of_music(error), "Queue", name))?;
    let queue = match queues::find(ccapi, cx, name).await {
        Ok(queue) => queue,
        Err(_) => update.as_read()?,
    };
    Ok(queue.into_queue(&CenterName::new(name.center()), v1::View::Full))
}

/// Adds the field to a refusal of a voice file.
fn of_music(error: Error) -> Error {
    if error.reason() == ErrorReason::VendorRejected && codes::is_about_voice(error.vendor_code()) {
        return error.violating("queue.wait_music", "Udesk rejects this voice file");
    }
    error
}

/// Deletes a queue.
pub(super) async fn delete(ccapi: &Api, cx: &Context, name: &QueueName) -> Result<()> {
    let mut check = Check::of(cx);
    check.digits("name", name.id());
    check.done()?;
    let Err(error) = ccapi.call(cx, &DeleteQueue { queue_id: name.id() }).await else { return Ok(()) };
    let error = about(error, "Queue", name);
    if !is_vague(&error) {
        return Err(error);
    }
    // "Queues with agents in them cannot be deleted"; the document does not name the code (C62).
    match agent_records::of_queue(ccapi, cx, name, |page| Ok(!page.is_empty())).await {
        Ok(true) => Err(error
            .explained(ErrorReason::ResourceInUse, "a queue that has agents cannot be deleted")
            .about("Queue", name)),
        _ => Err(error),
    }
}

// === impl Change ===

impl Change {
    /// The whole queue after the change: unchanged members are the vendor's own JSON, so that a strategy without a
    /// contract value survives.
    ///
    /// # Errors
    /// As for [`WrittenBack::done`].
    fn merged(self, name: &QueueName, queue: Map<String, Value>) -> Result<UpdateQueue> {
        let mut kept = WrittenBack::default();
        let old_name = text(&queue, "Name").or_else(|| text(&queue, "QueueName")).filter(|name| !name.is_empty());
        let mut keep = |field: &str, old: Option<Value>| old.inspect(|old| kept.value(field, old));
        let update = UpdateQueue {
            queue_id: name.id().to_owned(),
            queue_name: self.name.map(Value::from).or_else(|| keep("queue.display_name", old_name.map(Value::from))),
            strategy: self.strategy.map(Value::from).or_else(|| keep("queue.strategy", number(&queue, "Strategy"))),
            timeout: self.timeout.map(Value::from).or_else(|| keep("queue.wait_timeout", number(&queue, "Timeout"))),
            wait_music: (self.wait_music.map(Value::from))
                .or_else(|| keep("queue.wait_music", text(&queue, "WaitMusic").map(Value::from))),
        };
        kept.done()?;
        Ok(update)
    }
}

/// A field as text; `None` for null and an absent field.
fn text(queue: &Map<String, Value>, field: &str) -> Option<String> {
    let value = queue.get(field).filter(|value| !value.is_null())?;
    Text::deserialize(value).ok().map(Text::into_string)
}

/// A field as the number that Udesk 13 requires, or unchanged; `None` for an absent or empty value.
fn number(queue: &Map<String, Value>, field: &str) -> Option<Value> {
    let value = queue.get(field).filter(|value| !value.is_null())?;
    match value.as_str().map(str::trim) {
        Some("") => None,
        Some(text) => Some(text.parse::<i64>().map_or_else(|_| value.clone(), Value::from)),
        None => Some(value.clone()),
    }
}

// === impl UpdateQueue ===

impl UpdateQueue {
    /// The written queue, as if it were read.
    fn as_read(&self) -> Result<queues::Queue> {
        let written = serde_json::to_value(self).and_then(serde_json::from_value);
        written.map_err(|_| Error::internal("a written queue cannot be read back"))
    }
}
