//! A real nats-server with JetStream, on a free port, with its store in a folder of its own.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Longest that a server may take to start.
const START: Duration = Duration::from_secs(60);

/// A server that is killed with the value.
pub struct Server {
    folder: TempDir,
    settings: String,
    running: Option<Child>,
    /// Chosen by the system at the first start, and kept from then on.
    port: u16,
}

impl Server {
    /// A server that takes all that the gateway may send, and acknowledges what is on its disk.
    pub async fn start() -> Self {
        Self::start_with("max_payload: 2MB\njetstream { store_dir: STORE, sync_interval: always }").await
    }

    /// The same, but for its disk, which is not waited for: a disk may be slow, and many writes are made.
    pub async fn start_quick() -> Self {
        Self::start_with("max_payload: 2MB\njetstream { store_dir: STORE }").await
    }

    /// A server with these settings; `STORE` in them is its folder.
    pub async fn start_with(settings: &str) -> Self {
        let mut server = Self::with(settings);
        server.start_again().await;
        server
    }

    fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, settings: settings.to_owned(), running: None, port: 0 }
    }

    /// Three servers that keep everything together, ready to do so.
    pub async fn cluster() -> [Self; 3] {
        let deadline = Instant::now() + START;
        let servers = loop {
            let [mut a, mut b, mut c] = Self::members();
            // Another process may have taken a port meanwhile.
            if let (true, true, true) = tokio::join!(a.launched(), b.launched(), c.launched()) {
                break [a, b, c];
            }
            assert!(Instant::now() < deadline, "nats-server did not start:\n{}{}{}", a.log(), b.log(), c.log());
        };
        // They elect one that leads them.
        while !servers.iter().any(|server| server.log().contains("JetStream cluster new metadata leader")) {
            assert!(Instant::now() < deadline, "no leader:\n{}", servers[0].log());
            sleep(Duration::from_millis(20)).await;
        }
        servers
    }

    /// Three servers that are not started yet. Each must know the others' ports before.
    fn members() -> [Self; 3] {
        let ports = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = ports.map(|listener| listener.local_addr().unwrap().port());
        let routes = ports.map(|port| format!("nats-route://127.0.0.1:{port}")).join(", ");
        [("a", ports[0]), ("b", ports[1]), ("c", ports[2])].map(|(name, port)| {
            Self::with(&format!(
                "server_name: {name}\nmax_payload: 2MB\njetstream {{ store_dir: STORE, sync_interval: always }}\n\
                 cluster {{ name: c, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}"
            ))
        })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends it as a power cut does.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill().unwrap();
            running.wait().unwrap();
        }
    }

    /// Starts it once more, on the same port and with the same store.
    pub async fn start_again(&mut self) {
        let deadline = Instant::now() + START;
        // Another process may hold the port for a moment.
        while !self.launched().await {
            assert!(Instant::now() < deadline, "nats-server did not start:\n{}", self.log());
        }
    }

    /// Lets it hang: its connections stay open and nothing is answered.
    pub async fn stop(&self) {
        self.signal("STOP");
        let about = format!("/proc/{}/stat", self.running.as_ref().unwrap().id());
        // The state stands behind the name, which is in brackets.
        while !fs::read_to_string(&about).unwrap().rsplit_once(')').unwrap().1.starts_with(" T") {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    async fn launched(&mut self) -> bool {
        let folder = self.folder.path();
        let port = if self.port == 0 { -1 } else { i32::from(self.port) };
        let place = folder.display();
        let settings = self.settings.replace("STORE", &format!("\"{place}/store\""));
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\nports_file_dir: \"{place}\"\nlog_file: \"{place}/log\"\n{settings}\n"
        );
        let path = folder.join("config");
        fs::write(&path, config).unwrap();
        let mut child = Command::new(binary())
            .arg("-c")
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ports = folder.join(format!("nats-server_{}.ports", child.id()));
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if let Some(port) = port_of(&ports) {
                self.port = port;
                self.running = Some(child);
                return true;
            }
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            sleep(Duration::from_millis(10)).await;
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    }

    fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.running.as_ref().unwrap().id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where the server tells its clients to come: the file is complete once it can be read as JSON.
fn port_of(file: &Path) -> Option<u16> {
    let ports: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    ports["nats"][0].as_str()?.rsplit_once(':')?.1.parse().ok()
}

/// `NATS_SERVER`, or the one in the path, or the one that `.ci/run nats` has installed.
fn binary() -> PathBuf {
    let named = env::var_os("NATS_SERVER").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path).map(|folder| folder.join("nats-server"));
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ci/go/nats-server");
    named
        .or_else(|| places.find(|place| place.is_file()))
        .or_else(|| Some(installed).filter(|place| place.is_file()))
        .expect("nats-server is missing: name it in NATS_SERVER, or let `.ci/run nats` install it")
}
