//! The credentials of simulated tenants.

use secrecy::SecretString;
use switchboard_simulators::{huawei, udesk};
use uuid::Uuid;

/// The credentials of a simulated tenant of each vendor.
pub struct Credentials {
    /// Udesk's application ID.
    pub app_id: String,
    /// Udesk's account.
    pub sid: String,
    /// Udesk's secret.
    pub auth_token: SecretString,
    /// Huawei's key.
    pub app_key: String,
    /// Huawei's secret.
    pub app_secret: SecretString,
}

// === impl Credentials ===

impl Credentials {
    /// Random credentials.
    pub fn random() -> Self {
        let random = || Uuid::new_v4().simple().to_string();
        Self {
            app_id: Uuid::new_v4().to_string(),
            sid: random(),
            auth_token: random().into(),
            app_key: random(),
            app_secret: random().into(),
        }
    }

    /// A simulated Udesk tenant with these credentials, filled with data.
    pub fn udesk(&self) -> udesk::Options {
        udesk::Options::new(self.app_id.as_str(), self.sid.as_str(), self.auth_token.clone())
    }

    /// A simulated Huawei tenant with these credentials, filled with data.
    pub fn huawei(&self) -> huawei::Options {
        huawei::Options::new(self.app_key.as_str(), self.app_secret.clone())
    }
}
