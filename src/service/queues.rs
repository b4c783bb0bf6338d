//! Queues.

use super::mask::{self, Path};
use crate::{
    center::Centers,
    check::Check,
    context::Context,
    error::Result,
    name::{AgentName, CenterName, QueueName},
    page::Page,
    proto::v1::{
        AddQueueAgentsRequest, AddQueueAgentsResponse, CreateQueueRequest, DeleteQueueRequest, GetQueueRequest,
        ListQueuesRequest, ListQueuesResponse, Queue, QueueStrategy, UpdateQueueRequest, View,
    },
};

pub(super) async fn list_queues(
    centers: &Centers,
    cx: &Context,
    mut request: ListQueuesRequest,
) -> Result<ListQueuesResponse> {
    let ListQueuesRequest { parent, page_size, page_token: _, view } = &request; // Page::take reads the token
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", parent);
    check.page_size(*page_size);
    check.known::<View>("view", *view);
    check.hand_over(cx)?;
    let adapter = &centers.get(cx, &parent)?.adapter;
    let page = Page::take(cx.method(), &mut request)?;
    adapter.list_queues(cx, parent, page, request).await
}

pub(super) async fn get_queue(centers: &Centers, cx: &Context, request: GetQueueRequest) -> Result<Queue> {
    let GetQueueRequest { name, view } = &request;
    let mut check = Check::new();
    let name: QueueName = check.name("name", name);
    check.known::<View>("view", *view);
    check.hand_over(cx)?;
    centers.get(cx, &name)?.adapter.get_queue(cx, name, request).await
}

pub(super) async fn create_queue(centers: &Centers, cx: &Context, mut request: CreateQueueRequest) -> Result<Queue> {
    let CreateQueueRequest { parent, queue_id, queue, request_id } = &request;
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", parent);
    if !queue_id.is_empty() {
        check.id::<QueueName>("queue_id", queue_id);
    }
    match queue {
        Some(queue) => {
            queue_fields(&mut check, queue);
        }
        None => check.invalid("queue", "required"),
    }
    check.request_id(request_id);
    check.hand_over(cx)?;
    let request_id = std::mem::take(&mut request.request_id);
    let center = centers.get(cx, &parent)?;
    center
        .write_idempotent(cx, &request_id, request, async |adapter, cx, request| {
            adapter.create_queue(&cx, parent, request).await
        })
        .await
}

pub(super) async fn update_queue(centers: &Centers, cx: &Context, request: UpdateQueueRequest) -> Result<Queue> {
    let UpdateQueueRequest { queue, update_mask } = request;
    let mut check = Check::new();
    let queue = check.message("queue", queue);
    let name: QueueName = check.name("queue.name", &queue.name);
    let paths = queue_fields(&mut check, &queue);
    let mask = mask::paths(&mut check, "queue", update_mask.as_ref(), &paths);
    check.hand_over(cx)?;
    centers.get(cx, &name)?.write(cx, async move |adapter, cx| adapter.update_queue(&cx, name, queue, mask).await).await
}

pub(super) async fn delete_queue(centers: &Centers, cx: &Context, request: DeleteQueueRequest) -> Result<()> {
    let DeleteQueueRequest { name } = request;
    let mut check = Check::new();
    let name: QueueName = check.name("name", &name);
    check.hand_over(cx)?;
    centers.get(cx, &name)?.write(cx, async move |adapter, cx| adapter.delete_queue(&cx, name).await).await
}

pub(super) async fn add_queue_agents(
    centers: &Centers,
    cx: &Context,
    request: AddQueueAgentsRequest,
) -> Result<AddQueueAgentsResponse> {
    let AddQueueAgentsRequest { queue, agents } = request;
    let mut check = Check::new();
    let queue: QueueName = check.name("queue", &queue);
    let agents: Vec<AgentName> = check.names("agents", &agents, (1, 500));
    check.hand_over(cx)?;
    centers
        .get(cx, &queue)?
        .write(cx, async move |adapter, cx| adapter.add_queue_agents(&cx, queue, agents).await)
        .await?;
    Ok(AddQueueAgentsResponse {})
}

/// Validates the fields of a new or changed queue and returns the paths that `UpdateQueue` can change.
fn queue_fields(check: &mut Check, queue: &Queue) -> [Path; 5] {
    let Queue {
        name: _, // UpdateQueue reads it, CreateQueue ignores it
        display_name,
        strategy,
        wait_timeout,
        wait_music,
        vendor_data, // the vendor validates its keys
    } = queue;
    check.at_most("queue.display_name", display_name, 128);
    check.known::<QueueStrategy>("queue.strategy", *strategy);
    check.whole_seconds("queue.wait_timeout", wait_timeout.as_ref());
    check.at_most("queue.wait_music", wait_music, 255);
    [
        Path::clearing("display_name", !display_name.is_empty()),
        Path::needed("strategy", *strategy != 0),
        Path::needed("wait_timeout", wait_timeout.is_some()),
        Path::clearing("wait_music", !wait_music.is_empty()),
        Path::needed("vendor_data", vendor_data.is_some()),
    ]
}
