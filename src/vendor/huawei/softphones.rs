//! Softphones: querySysInfo (B3.1) and queryPhone V2 (B3.21).

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Huawei, credentials,
    fabric::{Fabric, Style},
    family::{BARE, MOBILE_AGENT, NO_MOBILE_AGENTS},
    settings,
};
use crate::{
    adapter::{Extensions, Softphones},
    context::Context,
    endpoint,
    error::{Error, Result},
    http::Client,
    name::{AgentName, CallSettingsName, CenterName, ExtensionName, ResourceName as _},
    page::Page,
    proto::v1,
    vendor::lenient::{Integer, List, Object, Text},
    vendor_data::VendorData,
};

/// Most numbers a single queryPhone gives.
const LARGEST_LIMIT: usize = 100;

/// `GET querySysInfo`: everything at once, passwords included.
#[derive(Serialize)]
pub struct QuerySysInfo {}

endpoint!(Fabric: QuerySysInfo, GET "querySysInfo", read, Style {
    operation: "querySysInfo",
    path: "/apiaccess/CC-Management/v1/querySysInfo",
    family: BARE,
    takes_caller_values: false,
} => SysInfo);

/// Answer of querySysInfo. Ports are text in the table and numbers in the example.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SysInfo {
    service_ip: Text,
    service_port: Integer,
    sip_service_ip: Text,
    sip_service_port: Integer,
    pub agents: List<SysAgent>,
}

/// An agent of querySysInfo.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SysAgent {
    pub work_no: Text,
    pub sip_account: Text,
    pub sip_pwd: Text,
    pub password: Text,
}

/// `POST v2/mobileAgent/queryPhone`. Both fields are text in the table, and never left out (its code 4).
#[derive(Serialize)]
struct QueryPhone {
    limit: String,
    offset: String,
}

endpoint!(Fabric: QueryPhone, POST "queryPhone", ask, Style {
    operation: "queryPhone",
    path: "/apiaccess/CC-Management/v2/mobileAgent/queryPhone",
    family: MOBILE_AGENT,
    takes_caller_values: false,
} => Object<Phones>);

/// Answer of queryPhone: nodes alone or in a pool, and the shape of its first version, which the document's example has.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Phones {
    total: Integer,
    single_reg_serv: List<Node>,
    pool_reg_serv: Object<Pool>,
    #[serde(rename = "regIPAddress")]
    reg_ip_address: Text,
    reg_port: Integer,
    pub phone: List<Phone>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pool {
    node1: List<Node>,
    node2: List<Node>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Node {
    #[serde(rename = "regIPAddress")]
    reg_ip_address: Text,
    reg_port: Integer,
    sip_service_ip: Text,
    sip_service_port: Integer,
}

/// A softphone number.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Phone {
    pub phone_num: Text,
    pub password: Text,
    id: Value,
    status: Text,
    remark: Text,
    tenant_id: Text,
    partdb_id: Text,
}

/// Some numbers of the tenant, and how many there are in all.
pub struct PhonePage {
    /// The numbers.
    pub phones: Vec<Phone>,
    /// How many there are in all.
    pub total: usize,
    /// Where the next ones begin, if there are any.
    pub next_offset: Option<usize>,
}

// === impl PhonePage ===

impl PhonePage {
    /// Up to `size` numbers from `offset` on, in as many requests as the vendor's limit needs.
    pub async fn read(fabric: &Arc<Client<Fabric>>, cx: &Context, offset: usize, size: usize) -> Result<Self> {
        let mut phones: Vec<Phone> = Vec::new();
        loop {
            let limit = (size - phones.len()).min(LARGEST_LIMIT);
            let at = offset + phones.len();
            let answer = query_phone(fabric, cx, at, limit).await?;
            let got = answer.phone.0.len();
            phones.extend(answer.phone.into_iter().take(limit));
            let end = offset + phones.len();
            // A vendor that does not count leaves only the length of the answer to go by.
            let total = answer.total.0.and_then(|total| usize::try_from(total).ok());
            let more = got > 0 && total.map_or(got >= limit, |total| end < total);
            if !more || phones.len() >= size {
                let next_offset = more.then_some(end);
                return Ok(Self { phones, total: total.unwrap_or(0), next_offset });
            }
        }
    }
}

async fn query_phone(fabric: &Arc<Client<Fabric>>, cx: &Context, offset: usize, limit: usize) -> Result<Phones> {
    let query = QueryPhone { limit: limit.to_string(), offset: offset.to_string() };
    match fabric.call(cx, &query).await {
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

/// Asks one harmless question.
pub async fn probe(fabric: &Arc<Client<Fabric>>, cx: &Context) -> Result<()> {
    fabric.call(cx, &QuerySysInfo {}).await.map(|_| ())
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
        let view = request.view();
        let v1::ListExtensionsRequest { parent: _, page_size: _, page_token: _, view: _ } = request;
        let PhonePage { phones, total, next_offset } =
            PhonePage::read(&self.fabric, cx, page.offset()?, page.size).await?;
        Ok(v1::ListExtensionsResponse {
            extensions: phones.into_iter().map(|phone| phone.into_extension(&center, view)).collect(),
            next_page_token: next_offset.map(|offset| page.offset_token(offset)).unwrap_or_default(),
            total_size: i32::try_from(total).unwrap_or(i32::MAX),
            incomplete_reason: String::new(),
        })
    }
}

#[async_trait]
impl Softphones for Huawei {
    async fn get_softphone_config(&self, cx: &Context, center: CenterName) -> Result<v1::SoftphoneConfig> {
        let info = self.fabric.call(cx, &QuerySysInfo {}).await?;
        let phones = query_phone(&self.fabric, cx, 0, 1).await?;
        Ok(v1::SoftphoneConfig {
            name: format!("{center}/softphoneConfig"),
            registrars: registrars(&info, phones)?,
            agent_login_address: address(info.service_ip, info.service_port)?,
        })
    }

    async fn access_softphone_credentials(
        &self,
        cx: &Context,
        center: CenterName,
        agent: Option<AgentName>,
        page: Page,
    ) -> Result<v1::AccessSoftphoneCredentialsResponse> {
        credentials::access(&self.fabric, cx, &center, agent, &page).await
    }

    async fn get_user_call_settings(
        &self,
        cx: &Context,
        name: CallSettingsName,
        request: v1::GetUserCallSettingsRequest,
    ) -> Result<v1::UserCallSettings> {
        settings::get(&self.fabric, cx, &name, request).await
    }
}

/// Nodes of queryPhone, in whichever of its three shapes; where it names none, the node of querySysInfo alone.
fn registrars(info: &SysInfo, phones: Phones) -> Result<Vec<v1::SoftphoneRegistrar>> {
    let Phones { single_reg_serv, pool_reg_serv: Object(Pool { node1, node2 }), reg_ip_address, reg_port, .. } = phones;
    let sys_info = || address(info.sip_service_ip.clone(), info.sip_service_port);
    let mut registrars = Vec::new();
    for (label, nodes) in [("single", single_reg_serv), ("node1", node1), ("node2", node2)] {
        for node in nodes {
            registrars.push(v1::SoftphoneRegistrar {
                node: label.to_owned(),
                registration_address: address(node.reg_ip_address, node.reg_port)?,
                sip_address: address(node.sip_service_ip, node.sip_service_port)?,
            });
        }
    }
    if registrars.is_empty() {
        let (registration_address, sip_address) = (address(reg_ip_address, reg_port)?, sys_info()?);
        if registration_address.is_some() || sip_address.is_some() {
            registrars.push(v1::SoftphoneRegistrar { node: "single".to_owned(), registration_address, sip_address });
        }
    } else if let [only] = registrars.as_mut_slice()
        && only.sip_address.is_none()
    {
        only.sip_address = sys_info()?;
    }
    Ok(registrars)
}

/// An address; `None` when the vendor names no host.
fn address(host: Text, port: Integer) -> Result<Option<v1::ServiceAddress>> {
    if host.is_empty() {
        return Ok(None);
    }
    let port = match port.0 {
        None => 0,
        Some(port) => i32::try_from(port).ok().filter(|port| (0..=65535).contains(port)).ok_or_else(|| {
            Error::new(crate::error::ErrorReason::VendorResponseInvalid, "the vendor's answer holds a port above 65535")
        })?,
    };
    Ok(Some(v1::ServiceAddress { host: host.into_string(), port }))
}
