//! Softphone numbers, which the contract calls extensions: queryPhone V2 (document 001, B3.21).

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Api, Huawei,
    api_fabric::ApiFabric,
    codes::NO_MOBILE_AGENTS,
    operations::QUERY_PHONE,
    paging::{OFFSETS, not_found, reason_with},
};
use crate::{
    adapter::Extensions,
    context::Context,
    endpoint,
    error::Result,
    lists::Weigh,
    name::{CenterName, ExtensionName, ResourceName as _},
    page::Page,
    proto::{enum_value, v1},
    vendor::{
        de::{Integer, List, Object, Text, weight_of_value},
        nameless,
        slices::{Batch, Item, Position, Slice},
    },
    vendor_data::VendorData,
};

/// `POST v2/mobileAgent/queryPhone`. Both fields are text in the table and required (code 4).
#[derive(Serialize)]
struct QueryPhone {
    limit: String,
    offset: String,
}

endpoint!(ApiFabric: QueryPhone, POST "queryPhone", ask, QUERY_PHONE => Object<Phones>);

/// Response of queryPhone: single nodes or a pool, and the structure of its first version, which the document's example
/// has.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Phones {
    total: Integer,
    pub(super) single_reg_serv: List<Node>,
    pub(super) pool_reg_serv: Object<Pool>,
    #[serde(rename = "regIPAddress")]
    pub(super) reg_ip_address: Text,
    pub(super) reg_port: Integer,
    pub(super) phone: List<Phone>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Pool {
    pub node1: List<Node>,
    pub node2: List<Node>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Node {
    #[serde(rename = "regIPAddress")]
    pub(super) reg_ip_address: Text,
    pub(super) reg_port: Integer,
    pub(super) sip_service_ip: Text,
    pub(super) sip_service_port: Integer,
}

/// One response of queryPhone, without passwords.
struct RecentPhones {
    phones: Vec<Phone>,
    total: Integer,
}

/// A softphone number.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Phone {
    pub(super) phone_num: Text,
    pub(super) password: Text,
    id: Value,
    status: Text,
    remark: Text,
    tenant_id: Text,
    partdb_id: Text,
}

/// Up to `size` numbers from a position on.
pub(super) async fn phones(api_fabric: &Api, cx: &Context, position: Position, size: usize) -> Result<Slice<Phone>> {
    Slice::read(OFFSETS, position, size, async |at, limit| batch(api_fabric, cx, at, limit).await).await
}

async fn batch(api_fabric: &Api, cx: &Context, at: usize, limit: usize) -> Result<Batch<Phone>> {
    let response = query_phone(api_fabric, cx, at, limit).await?;
    Ok(Batch { items: response.phone, total: response.total })
}

/// One response of queryPhone; empty when the tenant has no softphone numbers.
pub(super) async fn query_phone(api_fabric: &Api, cx: &Context, offset: usize, limit: usize) -> Result<Phones> {
    let query = QueryPhone { limit: limit.to_string(), offset: offset.to_string() };
    match api_fabric.call(cx, &query).await {
        Ok(Object(phones)) => Ok(phones),
        Err(error) if error.vendor_code() == NO_MOBILE_AGENTS => Ok(Phones::default()),
        Err(error) => Err(error),
    }
}

// === impl Phone ===

impl Phone {
    fn into_extension(self, center: &CenterName, view: v1::View) -> v1::Extension {
        let vendor_data = match view {
            v1::View::Full => VendorData::new()
                .json("id", &self.id)
                .text("tenantId", self.tenant_id.0)
                .text("partdbId", self.partdb_id.0)
                .build(),
            v1::View::Basic | v1::View::Unspecified => None,
        };
        let state = match &*self.status {
            "0" => v1::ExtensionState::Active,
            "1" => v1::ExtensionState::Suspended,
            _ => v1::ExtensionState::Unspecified,
        };
        v1::Extension {
            name: ExtensionName::new(center.center(), self.phone_num.0.as_str()).to_string(),
            account: self.phone_num.into_string(),
            state: state.into(),
            description: self.remark.into_string(),
            vendor_data,
            ..v1::Extension::default()
        }
    }
}

impl Item for Phone {
    fn key(&self) -> String {
        self.phone_num.0.clone()
    }
}

impl Weigh for RecentPhones {
    fn weight(&self) -> usize {
        let weight = |phone: &Phone| {
            let Phone { phone_num, password, id, status, remark, tenant_id, partdb_id } = phone;
            let texts = [phone_num, password, status, remark, tenant_id, partdb_id].map(|text| text.len());
            size_of::<Phone>() + weight_of_value(id) + texts.iter().sum::<usize>()
        };
        self.phones.iter().map(weight).sum()
    }
}

#[async_trait]
impl Extensions for Huawei {
    async fn list_extensions(
        &self,
        cx: &Context,
        center: CenterName,
        page: Page,
        request: v1::ListExtensionsRequest,
    ) -> Result<v1::ListExtensionsResponse> {
        list(self, cx, center, page, request).await
    }

    async fn get_extension(
        &self,
        cx: &Context,
        name: ExtensionName,
        request: v1::GetExtensionRequest,
    ) -> Result<v1::Extension> {
        get(self, cx, name, request).await
    }
}

/// Lists extensions.
async fn list(
    huawei: &Huawei,
    cx: &Context,
    center: CenterName,
    page: Page,
    request: v1::ListExtensionsRequest,
) -> Result<v1::ListExtensionsResponse> {
    let v1::ListExtensionsRequest { parent: _, page_size: _, page_token: _, view } = request;
    let view = enum_value(view);
    let mut slice = phones(&huawei.api_fabric, cx, page.position()?, page.size).await?;
    let nameless = nameless::remove::<ExtensionName, _>(&mut slice.items, |phone: &Phone| &phone.phone_num);
    Ok(v1::ListExtensionsResponse {
        total_size: slice.total_size(),
        next_page_token: slice.next.map(|next| page.token(&next.to_string())).unwrap_or_default(),
        extensions: slice.items.into_iter().map(|phone| phone.into_extension(&center, view)).collect(),
        incomplete_reason: reason_with(nameless, "softphones", slice.incomplete),
    })
}

/// Gets an extension.
async fn get(
    huawei: &Huawei,
    cx: &Context,
    name: ExtensionName,
    request: v1::GetExtensionRequest,
) -> Result<v1::Extension> {
    let v1::GetExtensionRequest { name: _, view } = request;
    let view = enum_value(view);
    let is_it = |phone: &Phone| *phone.phone_num == *name.id();
    // One read of each page serves the calls of a second.
    let found = Slice::find(OFFSETS, is_it, async |at, limit| {
        let read = async {
            let Batch { items: List(mut phones), total } = batch(&huawei.api_fabric, cx, at, limit).await?;
            for phone in &mut phones {
                phone.password = Text::default();
            }
            Ok(RecentPhones { phones, total })
        };
        let changes = || huawei.api_fabric.changes();
        let recent = huawei.lists.recent(cx, "queryPhone", [at, limit], changes, read).await?;
        Ok(Batch { items: List(recent.phones.clone()), total: recent.total })
    });
    match found.await? {
        (Some(phone), _) => Ok(phone.into_extension(&CenterName::new(name.center()), view)),
        (None, incomplete) => Err(not_found(&name, "softphones", incomplete)),
    }
}
