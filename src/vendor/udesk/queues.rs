//! Queues: Udesk 11, which lists them, and 12 to 15.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{
    Api, Udesk, VendorId, ccapi::Ccapi, count, formats::Formats as _, incomplete_reason, memberships, operations::READ,
    or_empty, queue_changes,
};
use crate::{
    adapter::Queues,
    check::Check,
    context::Context,
    endpoint,
    error::{Error, Result},
    lists::{Listed, WholeList},
    name::{AgentName, CenterName, QueueName, ResourceName as _},
    page::Page,
    proto::{enum_value, v1},
    vendor::{
        de::{Integer, List, Object, Text},
        nameless,
    },
    vendor_data::VendorData,
};

/// `GET /queues` (Udesk 11).
#[derive(Serialize)]
struct ListQueues {}

endpoint!(Ccapi: ListQueues, GET "/queues", read, READ => Object<QueueList>);

/// Response of Udesk 11.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct QueueList {
    // Not documented; other lists have them (C35).
    curr_page: Integer,
    total: Integer,
    total_page: Integer,
    /// The queues.
    pub(super) queues: List<Queue>,
    /// How many queues no name identifies.
    #[serde(skip)]
    nameless: usize,
}

/// A queue in Udesk 11. Both spellings of the name are read (C37).
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Queue {
    queue_id: VendorId,
    name: Text,
    queue_name: Text,
    strategy: Text,
    timeout: Integer,
    wait_music: Text,
}

/// Every queue.
pub(super) async fn all(ccapi: &Api, cx: &Context) -> Result<QueueList> {
    let Object(mut list) = or_empty(ccapi.call(cx, &ListQueues {}).await)?;
    list.nameless = nameless::remove::<QueueName, _>(&mut list.queues.0, Queue::id);
    Ok(list)
}

/// One queue, from the list: Udesk has no operation for one.
pub(super) async fn find(ccapi: &Api, cx: &Context, name: &QueueName) -> Result<Queue> {
    let list = all(ccapi, cx).await?;
    let incomplete_reason = list.incomplete_reason();
    match list.queues.into_iter().find(|queue| queue.id() == name.id()) {
        Some(queue) => Ok(queue),
        None if incomplete_reason.is_empty() => Err(Error::not_found("Queue", name)),
        None => Err(Error::not_found("Queue", name).with("cause", incomplete_reason)),
    }
}

// === impl QueueList ===

impl QueueList {
    /// Why queues are missing; empty when none is.
    pub(super) fn incomplete_reason(&self) -> String {
        let pages = [self.curr_page, self.total_page, self.total];
        incomplete_reason(pages, self.queues.0.len(), self.nameless, "queues")
    }
}

// === impl Queue ===

impl Queue {
    /// Its ID.
    pub(super) fn id(&self) -> &str {
        &self.queue_id.0
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        if self.name.is_empty() { &self.queue_name } else { &self.name }
    }

    /// The queue as the contract shows it.
    pub(super) fn into_queue(self, center: &CenterName, view: v1::View) -> v1::Queue {
        let strategy = strategy(&self.strategy);
        let display_name = self.name().to_owned();
        // A code without a contract value stays visible.
        let vendor_data = match view {
            v1::View::Full => VendorData::new().text("Strategy", self.strategy.0).build(),
            v1::View::Basic | v1::View::Unspecified => None,
        };
        v1::Queue {
            name: QueueName::new(center.center(), self.queue_id.0).to_string(),
            display_name,
            strategy: strategy.into(),
            wait_timeout: self.timeout.seconds(),
            wait_music: self.wait_music.into_string(),
            vendor_data,
        }
    }
}

fn strategy(code: &str) -> v1::QueueStrategy {
    match code {
        "0" => v1::QueueStrategy::RoundRobin,
        "1" => v1::QueueStrategy::FewestCalls,
        "2" => v1::QueueStrategy::LongestIdle,
        _ => v1::QueueStrategy::Unspecified,
    }
}

#[async_trait]
impl Queues for Udesk {
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
        get(&self.ccapi, cx, name, request).await
    }

    async fn create_queue(
        &self,
        cx: &Context,
        center: CenterName,
        request: v1::CreateQueueRequest,
    ) -> Result<v1::Queue> {
        queue_changes::create(&self.ccapi, cx, &center, request).await
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
        queue_changes::delete(&self.ccapi, cx, &name).await
    }

    async fn add_queue_agents(&self, cx: &Context, queue: QueueName, agents: Vec<AgentName>) -> Result<()> {
        memberships::add_agents(&self.ccapi, cx, &queue, &agents).await
    }
}

/// Lists queues.
async fn list(
    udesk: &Udesk,
    cx: &Context,
    center: CenterName,
    page: Page,
    request: v1::ListQueuesRequest,
) -> Result<v1::ListQueuesResponse> {
    let v1::ListQueuesRequest { parent: _, page_size: _, page_token: _, view } = request;
    let view = enum_value(view);
    let read = async {
        let list = all(&udesk.ccapi, cx).await?;
        let (total_size, incomplete_reason) = (count(list.queues.0.len() + list.nameless), list.incomplete_reason());
        let queue = |queue: Queue| Listed::new(queue.id().to_owned(), queue.into_queue(&center, view));
        Ok(WholeList::new(list.queues.into_iter().map(queue).collect(), total_size, incomplete_reason))
    };
    let page = udesk.lists.page(cx, &page, read).await?;
    Ok(v1::ListQueuesResponse {
        queues: page.resources(),
        total_size: page.total_size(),
        incomplete_reason: page.incomplete_reason(),
        next_page_token: page.next_page_token,
    })
}

/// Gets a queue.
async fn get(ccapi: &Api, cx: &Context, name: QueueName, request: v1::GetQueueRequest) -> Result<v1::Queue> {
    let v1::GetQueueRequest { name: _, view } = request;
    let view = enum_value(view);
    let mut check = Check::of(cx);
    check.digits("name", name.id());
    check.done()?;
    let queue = find(ccapi, cx, &name).await?;
    Ok(queue.into_queue(&CenterName::new(name.center()), view))
}
