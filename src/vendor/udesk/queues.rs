//! Queues: Udesk 11, 12.

use async_trait::async_trait;
use prost_types::Duration;
use serde::{Deserialize, Serialize};

use super::{
    Udesk, VendorId, about,
    formats::Formats as _,
    or_empty,
    sign::{Ccapi, READ, WRITE},
};
use crate::{
    adapter::Queues,
    check::Check,
    context::Context,
    endpoint,
    error::Result,
    name::{CenterName, QueueName, ResourceName as _},
    page::Page,
    proto::v1,
    vendor::lenient::{Integer, List, Object, Text},
    vendor_data::VendorData,
};

/// `GET /queues` (Udesk 11).
#[derive(Serialize)]
struct ListQueues {}

endpoint!(Ccapi: ListQueues, GET "/queues", read, READ => Object<QueueList>);

/// Answer of Udesk 11.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct QueueList {
    queues: List<Queue>,
}

/// A queue as Udesk 11 gives it. The name is read in either spelling (C37).
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Queue {
    queue_id: VendorId,
    #[serde(alias = "QueueName")]
    name: Text,
    strategy: Text,
    timeout: Integer,
    wait_music: Text,
}

/// `POST /queues` (Udesk 12). The answer's ID wins over the one asked for (C21).
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

/// Answer of Udesk 12: an object in the example, a text in the table (C21, C38).
#[derive(Deserialize)]
#[serde(untagged)]
enum QueueCreated {
    Object {
        #[serde(rename = "QueueId")]
        queue_id: VendorId,
    },
    Text(VendorId),
}

// === impl Queue ===

impl Queue {
    fn into_queue(self, center: &CenterName, view: v1::View) -> v1::Queue {
        let strategy = strategy(&self.strategy);
        // A code the contract has no word for is not lost.
        let vendor_data = match view {
            v1::View::Full => VendorData::new().text("Strategy", self.strategy.0).build(),
            v1::View::Basic | v1::View::Unspecified => None,
        };
        v1::Queue {
            name: QueueName::new(center.center(), self.queue_id.0).to_string(),
            display_name: self.name.into_string(),
            strategy: strategy.into(),
            wait_timeout: self.timeout.0.map(|seconds| Duration { seconds, nanos: 0 }),
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
        let view = request.view();
        let v1::ListQueuesRequest { parent: _, page_size: _, page_token: _, view: _ } = request;
        let Object(QueueList { queues }) = or_empty(self.ccapi.call(cx, &ListQueues {}).await)?;
        let total_size = i32::try_from(queues.0.len()).unwrap_or(i32::MAX);
        let (queues, next_page_token) = page.cut(queues.0, |queue| &queue.queue_id.0);
        let queues = queues.into_iter().map(|queue| queue.into_queue(&center, view)).collect();
        Ok(v1::ListQueuesResponse { queues, next_page_token, total_size, incomplete_reason: String::new() })
    }

    async fn create_queue(
        &self,
        cx: &Context,
        center: CenterName,
        request: v1::CreateQueueRequest,
    ) -> Result<v1::Queue> {
        let v1::CreateQueueRequest { parent: _, queue_id, queue, request_id: _ } = request;
        let v1::Queue { name: _, display_name, strategy, wait_timeout, wait_music, vendor_data } =
            queue.unwrap_or_default();
        let mut check = Check::new();
        if !queue_id.is_empty() {
            check.chosen_queue_id("queue_id", &queue_id);
        }
        // C39: Udesk requires no name, but a queue nobody can tell apart helps nobody.
        check.required("queue.display_name", &display_name);
        check.unsupported_if(strategy != 0, "queue.strategy", "only UpdateQueue can set it on Udesk");
        check.unsupported_if(wait_timeout.is_some(), "queue.wait_timeout", "only UpdateQueue can set it on Udesk");
        check.unsupported_if(vendor_data.is_some(), "queue.vendor_data", "Udesk has no further fields for queues");
        check.done()?;
        let create = CreateQueue { queue_id: &queue_id, queue_name: &display_name, wait_music: &wait_music };
        let created = self.ccapi.call(cx, &create).await.map_err(|error| {
            let name = QueueName::new(center.center(), queue_id.as_str());
            about(error, "Queue", &name)
        })?;
        let (QueueCreated::Object { queue_id: id } | QueueCreated::Text(id)) = created;
        let name = QueueName::new(center.center(), id.0).to_string();
        Ok(v1::Queue { name, display_name, wait_music, ..v1::Queue::default() })
    }
}
