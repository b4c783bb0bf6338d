//! Softphones: their passwords.

use async_trait::async_trait;

use super::{Udesk, softphone_credentials};
use crate::{
    adapter::Softphones,
    context::Context,
    error::Result,
    name::{AgentName, CenterName},
    page::Page,
    proto::v1,
};

#[async_trait]
impl Softphones for Udesk {
    async fn access_softphone_credentials(
        &self,
        cx: &Context,
        center: CenterName,
        agent: Option<AgentName>,
        page: Page,
    ) -> Result<v1::AccessSoftphoneCredentialsResponse> {
        softphone_credentials::access(self, cx, center, agent, page).await
    }
}
