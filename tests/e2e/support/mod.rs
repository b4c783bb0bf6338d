//! What every end-to-end test stands on: a gateway of its own on free ports, a client that speaks the contract as JSON,
//! and vendors that respond by a script.

pub(crate) mod client;
pub(crate) mod events;
pub(crate) mod vendor;
pub(crate) mod vendors;

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Once,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use switchboard::{
    clock::{Clock, Source},
    config::Config,
    gateway,
    server::ServerError,
    store::Stores,
};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

use self::client::Client;

/// Secrets of the simulated and scripted tenants, so that tests can search for them.
pub(crate) const AUTH_TOKEN: &str = "udesk-auth-token-7c1e";
pub(crate) const APP_SECRET: &str = "huawei-app-secret-52fa";
/// The other credentials. The application ID is the one of the Udesk document's examples.
pub(crate) const APP_ID: &str = "4b8dc715-05e0-4340-6cae-a6e3c39a6012";
pub(crate) const SID: &str = "sid-of-the-tests";
pub(crate) const APP_KEY: &str = "app-key-of-the-tests";

/// A running gateway.
pub(crate) struct Gateway {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    pub admin: SocketAddr,
    pub client: Client,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), ServerError>>,
    stores: Stores,
    /// Held as long as the gateway runs.
    folder: Option<TempDir>,
}

impl Gateway {
    /// A gateway with these centers, by the machine's clock. `centers` are lines of a configuration.
    pub(crate) async fn start(centers: &str) -> Self {
        Self::start_with(centers, "", Clock::system()).await
    }

    /// A gateway with these centers, these further lines of `[listen]`, by this clock.
    pub(crate) async fn start_with(centers: &str, listen: &str, clock: Clock) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let gateway = Self::start_in(folder.path(), centers, listen, clock).await;
        Self { folder: Some(folder), ..gateway }
    }

    /// The same with its storage in this folder.
    pub(crate) async fn start_in(folder: &Path, centers: &str, listen: &str, clock: Clock) -> Self {
        install_cryptography();
        let storage = folder.join("switchboard.db");
        let text = format!(
            "[listen]\ngrpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n{listen}\n\
             [storage]\npath = {:?}\n{centers}",
            storage.to_str().unwrap()
        );
        let config = match Config::parse(&text, "test", &|_| None) {
            Ok(config) => config,
            Err(errors) => panic!("{errors}"),
        };
        let stores = Stores::open(&config, &clock).await.unwrap();
        let gateway = gateway::bind(config, clock, stores.clone()).await.unwrap();
        let (grpc, http, admin) =
            (gateway.grpc_address().unwrap(), gateway.http_address().unwrap(), gateway.admin_address().unwrap());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(gateway.run(async {
            let _ = stopped.await;
        }));
        let client = Client::connect(grpc).await;
        Self { grpc, http, admin, client, stop: Some(stop), running, stores, folder: None }
    }

    /// Begins to drain.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits for the end.
    pub(crate) async fn ended(self) -> Result<(), ServerError> {
        let ended = self.running.await.unwrap();
        // The gateway does so, too, but waits for a slow disk only so long.
        self.stores.close().await;
        drop(self.folder);
        ended
    }

    /// A page of the admin address.
    pub(crate) async fn admin(&self, path: &str) -> (u16, String) {
        let response = http_client().get(format!("http://{}{path}", self.admin)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

/// Lines of a configuration: center `acme`, a Udesk tenant at this address.
pub(crate) fn acme(address: SocketAddr) -> String {
    udesk("acme", address)
}

/// Lines of a configuration: a Udesk tenant at this address.
pub(crate) fn udesk(id: &str, address: SocketAddr) -> String {
    format!(
        "[centers.{id}]\nvendor = \"udesk\"\nbase_url = \"http://{address}\"\nallow_plaintext = true\n\
         app_id = \"{APP_ID}\"\nsid = \"{SID}\"\nauth_token = \"{AUTH_TOKEN}\"\nexpose_credentials = true\n"
    )
}

/// Lines of a configuration: center `beta`, a Huawei tenant at this address.
pub(crate) fn beta(address: SocketAddr) -> String {
    huawei("beta", address)
}

/// Lines of a configuration: a Huawei tenant at this address.
pub(crate) fn huawei(id: &str, address: SocketAddr) -> String {
    format!(
        "[centers.{id}]\nvendor = \"huawei\"\nbase_url = \"http://{address}\"\nallow_plaintext = true\n\
         app_key = \"{APP_KEY}\"\napp_secret = \"{APP_SECRET}\"\nexpose_credentials = true\n"
    )
}

/// A time of day that passes as the test says: microseconds since a day in 2027.
#[derive(Clone, Default)]
pub(crate) struct Day(Arc<AtomicU64>);

impl Day {
    pub(crate) fn pass(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_micros()).unwrap(), Ordering::AcqRel);
    }
}

impl Source for Day {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000) + Duration::from_micros(self.0.load(Ordering::Acquire))
    }

    fn steady(&self) -> Duration {
        Duration::ZERO
    }
}

/// A client without a proxy.
pub(crate) fn http_client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The HTTP client needs a provider of cryptography, also where it only speaks plain HTTP.
pub(crate) fn install_cryptography() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// A time in whole seconds: timers fire up to a millisecond late.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    u64::try_from((time.as_millis() + 500) / 1000).unwrap()
}
