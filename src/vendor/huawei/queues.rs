//! Reads queues: skill/querySkills (B3.16).

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Huawei,
    api_fabric::ApiFabric,
    formats::Formats as _,
    is_refused, memberships,
    operations::QUERY_SKILLS,
    paging::{OFFSETS, not_found, reason_with},
    queue_changes,
};
use crate::{
    adapter::Queues,
    check::Check,
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result},
    name::{AgentName, CenterName, QueueName, ResourceName as _},
    page::Page,
    proto::{enum_value, v1},
    vendor::{
        de::{Integer, List, Object, Text},
        nameless,
        slices::{Batch, Incomplete, Item, Slice},
    },
    vendor_data::VendorData,
};

/// `POST skill/querySkills` for one page of all queues. Both fields are text in the table.
#[derive(Serialize)]
struct ListSkills {
    limit: String,
    offset: String,
}

/// `POST skill/querySkills` by number or name.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct FindSkills<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    skill_ids: Vec<&'a str>,
    limit: String,
    offset: String,
}

endpoint!(ApiFabric: ListSkills, POST "skill/querySkills", ask, QUERY_SKILLS => Skills);
endpoint!(ApiFabric: FindSkills<'_>, POST "skill/querySkills", ask, QUERY_SKILLS.of_caller() => Skills);

/// Response of skill/querySkills.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Skills {
    data: List<Skill>,
    total: Integer,
}

/// A queue.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Skill {
    pub(super) skill_id: Text,
    pub(super) name: Text,
    pub(super) description: Value,
    pub(super) media_type_id: Value,
    pub(super) max_wait_time: Integer,
    pub(super) max_wait_num: Value,
    pub(super) max_agent_wrapup_time: Value,
    /// The handling of calls that cannot be served, unchanged for partial updates.
    pub(super) skill_param: Object<Map<String, Value>>,
}

// === impl Skill ===

impl Skill {
    /// The queue as the contract shows it.
    pub(super) fn into_queue(self, center: &str, view: v1::View) -> v1::Queue {
        let vendor_data = match view {
            v1::View::Full => VendorData::new()
                .json("mediaTypeId", &self.media_type_id)
                .json("maxWaitNum", &self.max_wait_num)
                .json("maxAgentWrapupTime", &self.max_agent_wrapup_time)
                .json("description", &self.description)
                .build(),
            v1::View::Basic | v1::View::Unspecified => None,
        };
        v1::Queue {
            name: QueueName::new(center, self.skill_id.0).to_string(),
            display_name: self.name.into_string(),
            wait_timeout: self.max_wait_time.seconds(),
            vendor_data,
            ..v1::Queue::default()
        }
    }
}

impl Item for Skill {
    fn key(&self) -> String {
        self.skill_id.0.clone()
    }
}

#[async_trait]
impl Queues for Huawei {
    async fn list_queues(
        &self,
        cx: &Context,
        center: CenterName,
        page: Page,
        request: v1::ListQueuesRequest,
    ) -> Result<v1::ListQueuesResponse> {
        list(self, cx, center, page, request).await
    }

    async fn get_queue(&self, cx: &Context, name: QueueName, request: v1::GetQueueRequest) -> Result<v1::Queue> {
        get(self, cx, name, request).await
    }

    async fn create_queue(
        &self,
        cx: &Context,
        center: CenterName,
        request: v1::CreateQueueRequest,
    ) -> Result<v1::Queue> {
        queue_changes::create(self, cx, &center, request).await
    }

    async fn update_queue(
        &self,
        cx: &Context,
        name: QueueName,
        queue: v1::Queue,
        mask: Vec<String>,
    ) -> Result<v1::Queue> {
        queue_changes::update(self, cx, &name, queue, &mask).await
    }

    async fn delete_queue(&self, cx: &Context, name: QueueName) -> Result<()> {
        queue_changes::delete(self, cx, &name).await
    }

    async fn add_queue_agents(&self, cx: &Context, queue: QueueName, agents: Vec<AgentName>) -> Result<()> {
        memberships::add_agents(self, cx, &queue, &agents).await
    }
}

/// Lists queues.
async fn list(
    huawei: &Huawei,
    cx: &Context,
    center: CenterName,
    page: Page,
    request: v1::ListQueuesRequest,
) -> Result<v1::ListQueuesResponse> {
    let v1::ListQueuesRequest { parent: _, page_size: _, page_token: _, view } = request;
    let view = enum_value(view);
    let mut slice = Slice::read(OFFSETS, page.position()?, page.size, async |offset: usize, limit: usize| {
        let list = ListSkills { limit: limit.to_string(), offset: offset.to_string() };
        let response = huawei.api_fabric.call(cx, &list).await?;
        Ok(Batch { items: response.data, total: response.total })
    })
    .await?;
    let nameless = nameless::remove::<QueueName, _>(&mut slice.items, |skill: &Skill| &skill.skill_id);
    Ok(v1::ListQueuesResponse {
        total_size: slice.total_size(),
        next_page_token: slice.next.map(|next| page.token(&next.to_string())).unwrap_or_default(),
        incomplete_reason: reason_with(nameless, "queues", slice.incomplete),
        queues: slice.items.into_iter().map(|skill| skill.into_queue(center.center(), view)).collect(),
    })
}

/// Gets a queue.
async fn get(huawei: &Huawei, cx: &Context, name: QueueName, request: v1::GetQueueRequest) -> Result<v1::Queue> {
    let v1::GetQueueRequest { name: _, view } = request;
    let view = enum_value(view);
    let mut check = Check::of(cx);
    check.queue_id("name", name.id());
    check.done()?;
    match search(huawei, cx, &name).await? {
        (Some(skill), _) => Ok(skill.into_queue(name.center(), view)),
        (None, incomplete) => Err(not_found(&name, "queues", incomplete)),
    }
}

/// One queue; `None` when no queue has this number.
pub(super) async fn find(huawei: &Huawei, cx: &Context, name: &QueueName) -> Result<Option<Skill>> {
    search(huawei, cx, name).await.map(|(skill, _)| skill)
}

/// One queue, and why others may be missing. A vendor that ignores the number returns all.
async fn search(huawei: &Huawei, cx: &Context, name: &QueueName) -> Result<(Option<Skill>, Option<Incomplete>)> {
    let is_it = |skill: &Skill| *skill.skill_id == *name.id();
    Slice::find(OFFSETS, is_it, async |at: usize, limit: usize| {
        let (skill_ids, limit, offset) = (vec![name.id()], limit.to_string(), at.to_string());
        let response = huawei.api_fabric.call(cx, &FindSkills { skill_ids, limit, offset, name: "" }).await?;
        Ok(Batch { items: response.data, total: response.total })
    })
    .await
}

/// The newest queue of this name.
pub(super) async fn find_named(huawei: &Huawei, cx: &Context, name: &str) -> Result<Option<Skill>> {
    let skills = Slice::all(OFFSETS, async |at: usize, limit: usize| {
        let find = FindSkills { name, limit: limit.to_string(), offset: at.to_string(), ..FindSkills::default() };
        let response = huawei.api_fabric.call(cx, &find).await?;
        Ok(Batch { items: response.data, total: response.total })
    });
    let is_it = |skill: &Skill| *skill.name == *name && QueueName::identifies(&skill.skill_id);
    let named = skills.await?.items.into_iter().filter(is_it);
    Ok(named.max_by_key(|skill| (skill.skill_id.len(), skill.skill_id.0.clone())))
}

/// The vendor does not distinguish a missing queue from other refusals, so one read decides.
pub(super) async fn explain(huawei: &Huawei, cx: &Context, error: Error, name: &QueueName) -> Error {
    if is_refused(&error) { explain_missing(huawei, cx, error, name).await } else { error }
}

/// Reads whether the queue exists.
pub(super) async fn explain_missing(huawei: &Huawei, cx: &Context, error: Error, name: &QueueName) -> Error {
    match search(huawei, cx, name).await {
        Ok((None, None)) => {
            error.explained(ErrorReason::ResourceNotFound, format!("there is no {name}")).about(QueueName::KIND, name)
        }
        _ => error,
    }
}
