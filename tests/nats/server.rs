//! A real nats-server with JetStream, on a free port, with its store in a temporary folder.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Timeout of a server's start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A server, which is killed on drop.
pub struct Server {
    folder: TempDir,
    settings: String,
    running: Option<Child>,
    /// Assigned by the system at the first start; the same from then on.
    port: u16,
}

impl Server {
    /// A server that accepts the gateway's largest message and acknowledges after an fsync.
    pub async fn start() -> Self {
        Self::start_with("max_payload: 2MB\njetstream { store_dir: STORE, sync_interval: always }").await
    }

    /// The same without an fsync per write, for tests with many writes on a slow disk.
    pub async fn start_quick() -> Self {
        Self::start_with("max_payload: 2MB\njetstream { store_dir: STORE }").await
    }

    /// A server with these settings, in which `STORE` stands for its folder.
    pub async fn start_with(settings: &str) -> Self {
        let mut server = Self::with(settings);
        server.restart().await;
        server
    }

    fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, settings: settings.to_owned(), running: None, port: 0 }
    }

    /// A cluster of three servers with an elected leader.
    pub async fn cluster() -> [Self; 3] {
        let deadline = Instant::now() + START_TIMEOUT;
        let servers = loop {
            let [mut a, mut b, mut c] = Self::members();
            // Another process may have taken a port in the meantime.
            if let (true, true, true) = tokio::join!(a.try_start(), b.try_start(), c.try_start()) {
                break [a, b, c];
            }
            assert!(Instant::now() < deadline, "nats-server did not start:\n{}{}{}", a.log(), b.log(), c.log());
        };
        // They elect a metadata leader.
        while !servers.iter().any(|server| server.log().contains("JetStream cluster new metadata leader")) {
            assert!(Instant::now() < deadline, "no leader:\n{}", servers[0].log());
            sleep(Duration::from_millis(20)).await;
        }
        servers
    }

    /// Three servers that are not started. Their settings contain each other's ports.
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

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill().unwrap();
            running.wait().unwrap();
        }
    }

    /// Starts it again, on the same port and with the same store.
    pub async fn restart(&mut self) {
        let deadline = Instant::now() + START_TIMEOUT;
        // Another process may hold the port for a moment.
        while !self.try_start().await {
            assert!(Instant::now() < deadline, "nats-server did not start:\n{}", self.log());
        }
    }

    /// Suspends it with SIGSTOP: its connections stay open and it does not respond.
    pub async fn stop(&self) {
        self.signal("STOP");
        let about = format!("/proc/{}/stat", self.running.as_ref().unwrap().id());
        // The state follows the name, which is in parentheses.
        while !fs::read_to_string(&about).unwrap().rsplit_once(')').unwrap().1.starts_with(" T") {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Resumes it with SIGCONT.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    async fn try_start(&mut self) -> bool {
        let folder = self.folder.path();
        let port = if self.port == 0 { -1 } else { i32::from(self.port) };
        let store = folder.display();
        let settings = self.settings.replace("STORE", &format!("\"{store}/store\""));
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\nports_file_dir: \"{store}\"\nlog_file: \"{store}/log\"\n{settings}\n"
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
        let deadline = Instant::now() + START_TIMEOUT;
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

/// The server's client port. The file is complete once it parses as JSON.
fn port_of(file: &Path) -> Option<u16> {
    let ports: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    ports["nats"][0].as_str()?.rsplit_once(':')?.1.parse().ok()
}

/// `NATS_SERVER`, or the binary in the path, or the one that `.ci/run nats` installed.
fn binary() -> PathBuf {
    let named = env::var_os("NATS_SERVER").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let mut candidates = env::split_paths(&path).map(|folder| folder.join("nats-server"));
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/ci/go/nats-server");
    named
        .or_else(|| candidates.find(|path| path.is_file()))
        .or_else(|| Some(installed).filter(|path| path.is_file()))
        .expect("nats-server is missing: name it in NATS_SERVER, or let `.ci/run nats` install it")
}
