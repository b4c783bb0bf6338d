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

pub async fn list_queues(
    centers: &Centers,
    cx: &Context,
    mut request: ListQueuesRequest,
) -> Result<ListQueuesResponse> {
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", &request.parent);
    check.page_size(request.page_size);
    check.known::<View>("view", request.view);
    check.done()?;
    let adapter = &centers.get(cx, &parent)?.adapter;
    let page = Page::take(cx.method(), &mut request)?;
    adapter.list_queues(cx, parent, page, request).await
}

pub async fn get_queue(centers: &Centers, cx: &Context, request: GetQueueRequest) -> Result<Queue> {
    let mut check = Check::new();
    let name: QueueName = check.name("name", &request.name);
    check.known::<View>("view", request.view);
    check.done()?;
    centers.get(cx, &name)?.adapter.get_queue(cx, name, request).await
}

pub async fn create_queue(centers: &Centers, cx: &Context, mut request: CreateQueueRequest) -> Result<Queue> {
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", &request.parent);
    if !request.queue_id.is_empty() {
        check.id::<QueueName>("queue_id", &request.queue_id);
    }
    match &request.queue {
        Some(queue) => queue_fields(&mut check, queue),
        None => check.invalid("queue", "required"),
    }
    check.request_id(&request.request_id);
    check.done()?;
    let request_id = std::mem::take(&mut request.request_id);
    let center = centers.get(cx, &parent)?;
    center
        .once(cx, &request_id, request, async |adapter, cx, request| adapter.create_queue(&cx, parent, request).await)
        .await
}

pub async fn update_queue(centers: &Centers, cx: &Context, request: UpdateQueueRequest) -> Result<Queue> {
    let UpdateQueueRequest { queue, update_mask } = request;
    let mut check = Check::new();
    let queue = check.message("queue", queue);
    let name: QueueName = check.name("queue.name", &queue.name);
    queue_fields(&mut check, &queue);
    let paths = [
        Path::clearing("display_name", !queue.display_name.is_empty()),
        Path::needed("strategy", queue.strategy != 0),
        Path::needed("wait_timeout", queue.wait_timeout.is_some()),
        Path::clearing("wait_music", !queue.wait_music.is_empty()),
        Path::needed("vendor_data", queue.vendor_data.is_some()),
    ];
    let mask = mask::paths(&mut check, "queue", update_mask.as_ref(), &paths);
    check.done()?;
    centers.get(cx, &name)?.write(cx, async move |adapter, cx| adapter.update_queue(&cx, name, queue, mask).await).await
}

pub async fn delete_queue(centers: &Centers, cx: &Context, request: DeleteQueueRequest) -> Result<()> {
    let mut check = Check::new();
    let name: QueueName = check.name("name", &request.name);
    check.done()?;
    centers.get(cx, &name)?.write(cx, async move |adapter, cx| adapter.delete_queue(&cx, name).await).await
}

pub async fn add_queue_agents(
    centers: &Centers,
    cx: &Context,
    request: AddQueueAgentsRequest,
) -> Result<AddQueueAgentsResponse> {
    let mut check = Check::new();
    let queue: QueueName = check.name("queue", &request.queue);
    let agents: Vec<AgentName> = check.names("agents", &request.agents, (1, 500));
    check.done()?;
    centers
        .get(cx, &queue)?
        .write(cx, async move |adapter, cx| adapter.add_queue_agents(&cx, queue, agents).await)
        .await?;
    Ok(AddQueueAgentsResponse {})
}

fn queue_fields(check: &mut Check, queue: &Queue) {
    check.at_most("queue.display_name", &queue.display_name, 128);
    check.known::<QueueStrategy>("queue.strategy", queue.strategy);
    check.whole_seconds("queue.wait_timeout", queue.wait_timeout.as_ref());
    check.at_most("queue.wait_music", &queue.wait_music, 255);
}
