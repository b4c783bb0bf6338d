//! The addresses of sign-in and registration: querySysInfo (document 000) with the nodes of queryPhone.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Api, Huawei,
    api_fabric::ApiFabric,
    call_settings,
    extensions::{Phones, Pool, query_phone},
    operations::QUERY_SYS_INFO,
    softphone_credentials,
};
use crate::{
    adapter::Softphones,
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result},
    lists::{Kept, Weigh, WholeList},
    name::{AgentName, CallSettingsName, CenterName, ResourceName as _},
    page::Page,
    proto::v1,
    vendor::{
        de::{Integer, Object, RawList, Text, item, weight_of_value},
        nameless,
    },
};

/// `GET querySysInfo`, whose response includes passwords.
#[derive(Serialize)]
pub(super) struct QuerySysInfo {}

endpoint!(ApiFabric: QuerySysInfo, GET "querySysInfo", list, QUERY_SYS_INFO => SysInfo);

/// Response of querySysInfo. Ports are text in the table and numbers in the example.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SysInfo {
    service_ip: Text,
    service_port: Integer,
    sip_service_ip: Text,
    sip_service_port: Integer,
}

/// The agents of querySysInfo.
#[derive(Default, Deserialize)]
#[serde(default)]
struct SysAgents<'a> {
    #[serde(borrow)]
    agents: RawList<'a>,
}

/// An agent of querySysInfo. Only the newest document has type and role.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SysAgent {
    pub(super) work_no: Text,
    pub(super) sip_account: Text,
    pub(super) sip_pwd: Text,
    pub(super) password: Text,
    pub(super) agent_type: Value,
    pub(super) cc_role_id: Value,
}

impl Weigh for SysAgent {
    fn weight(&self) -> usize {
        let Self { work_no, sip_account, sip_pwd, password, agent_type, cc_role_id } = self;
        let texts = [work_no, sip_account, sip_pwd, password].map(|text| text.len());
        let values = [agent_type, cc_role_id].map(weight_of_value);
        size_of::<Self>() + texts.iter().chain(&values).sum::<usize>()
    }
}

impl Kept for SysAgent {
    fn id(&self) -> &str {
        &self.work_no
    }
}

/// Sends a read without side effects.
pub(super) async fn probe(api_fabric: &Api, cx: &Context) -> Result<()> {
    api_fabric.call(cx, &QuerySysInfo {}).await.map(|_| ())
}

/// Sends a small read without side effects, for the circuit breaker: querySysInfo returns all agents of the tenant.
pub(super) async fn small_probe(api_fabric: &Api, cx: &Context) -> Result<()> {
    query_phone(api_fabric, cx, 0, 1).await.map(|_| ())
}

#[async_trait]
impl Softphones for Huawei {
    async fn get_softphone_config(&self, cx: &Context, center: CenterName) -> Result<v1::SoftphoneConfig> {
        get_config(self, cx, center).await
    }

    async fn access_softphone_credentials(
        &self,
        cx: &Context,
        center: CenterName,
        agent: Option<AgentName>,
        page: Page,
    ) -> Result<v1::AccessSoftphoneCredentialsResponse> {
        softphone_credentials::access(self, cx, &center, agent, &page).await
    }

    async fn get_user_call_settings(
        &self,
        cx: &Context,
        name: CallSettingsName,
        request: v1::GetUserCallSettingsRequest,
    ) -> Result<v1::UserCallSettings> {
        call_settings::get(self, cx, &name, request).await
    }

    async fn update_user_call_settings(
        &self,
        cx: &Context,
        name: CallSettingsName,
        settings: v1::UserCallSettings,
        mask: Vec<String>,
        allow_missing: bool,
    ) -> Result<v1::UserCallSettings> {
        call_settings::update(self, cx, &name, &settings, &mask, allow_missing).await
    }
}

/// The agents of the tenant that a name identifies, as `read` returns them one by one.
pub(super) async fn agents<T: Kept>(
    huawei: &Huawei,
    cx: &Context,
    read: impl Fn(SysAgent) -> Option<T> + Send + 'static,
) -> Result<WholeList<T>> {
    let read = move |payload: Bytes| {
        let RawList(agents) = serde_json::from_slice::<SysAgents<'_>>(&payload)?.agents;
        let (mut items, mut nameless) = (Vec::with_capacity(agents.len()), 0);
        for agent in agents {
            let agent: SysAgent = item(agent.get().as_bytes())?;
            if AgentName::identifies(&agent.work_no) {
                items.extend(read(agent));
            } else {
                nameless += 1;
            }
        }
        Ok(WholeList::counted(items, nameless::reason("Huawei", nameless, "agents")))
    };
    huawei.api_fabric.call_with(cx, &QuerySysInfo {}, read).await
}

/// The agents of the tenant as they were at most a second ago, without passwords.
pub(super) async fn recent_agents(huawei: &Huawei, cx: &Context) -> Result<Arc<WholeList<SysAgent>>> {
    let without_passwords = |agent| Some(SysAgent { sip_pwd: Text::default(), password: Text::default(), ..agent });
    let read = agents(huawei, cx, without_passwords);
    huawei.lists.recent(cx, "querySysInfo", [0; 2], || huawei.api_fabric.changes(), read).await
}

/// Gets the addresses.
async fn get_config(huawei: &Huawei, cx: &Context, center: CenterName) -> Result<v1::SoftphoneConfig> {
    let info = huawei.api_fabric.call(cx, &QuerySysInfo {}).await?;
    let phones = query_phone(&huawei.api_fabric, cx, 0, 1).await?;
    Ok(v1::SoftphoneConfig {
        name: format!("{center}/softphoneConfig"),
        registrars: registrars(&info, phones)?,
        agent_login_address: address(info.service_ip, info.service_port)?,
    })
}

/// The nodes of queryPhone, in any of its three structures; without any, the node of querySysInfo.
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

/// An address; `None` without a host.
fn address(host: Text, port: Integer) -> Result<Option<v1::ServiceAddress>> {
    if host.is_empty() {
        return Ok(None);
    }
    let port = match port.0 {
        None => 0,
        Some(port) => i32::try_from(port).ok().filter(|port| (0..=65535).contains(port)).ok_or_else(|| {
            Error::new(ErrorReason::VendorResponseInvalid, "the vendor's response contains a port above 65535")
        })?,
    };
    Ok(Some(v1::ServiceAddress { host: host.into_string(), port }))
}
