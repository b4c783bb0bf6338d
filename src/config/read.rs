//! From each table to its struct: the keys, their defaults, and what they demand of each other.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::center::centers;
use super::measure::{ANY, POSITIVE, duration, size};
use super::nats::nats;
use super::origin::base_url;
use super::secret::secret;
use super::table::Table;
use super::value::{MOST, address, boolean, path, some, whole};
use super::{Config, Deadline, Events, Listen, Storage};

const SHARED_KEY: &str =
    r#"a secret: a string, { env = "NAME" } or { file = "PATH" }; gateways that share [nats] need the same one"#;

pub(super) fn config(mut root: Table<'_>) -> Option<Config> {
    let listen = root.table("listen").and_then(listen);
    let deadline = root.table("deadline").and_then(deadline);
    let storage = root.table("storage").and_then(storage);
    let callback_port = listen.as_ref().map_or(0, |listen| listen.http.port());
    let is_shared = root.keys().any(|key| key == "nats");
    let events = root.table("events").and_then(|table| events(table, callback_port, is_shared));
    let nats = root.table("nats").and_then(|table| if is_shared { nats(table).map(Some) } else { Some(None) });
    let centers = root.table("centers").and_then(centers);
    root.finish();
    Some(Config {
        listen: listen?,
        deadline: deadline?,
        storage: storage?,
        events: events?,
        nats: nats?,
        centers: centers?,
    })
}

fn listen(mut table: Table<'_>) -> Option<Listen> {
    let grpc = table.or("grpc", loopback(50051), address);
    let http = table.or("http", loopback(8080), address);
    let admin = table.or("admin", loopback(9090), address);
    let allow_unauthenticated = table.or("allow_unauthenticated", false, boolean);
    let max_connections = table.or("max_connections", 10_000, whole(1..=MOST as usize));
    let max_streams_per_connection = table.or("max_streams_per_connection", 200, whole(1..=MOST));
    let max_request_size = table.or("max_request_size", 4 << 20, size);
    let drain_timeout = table.or("drain_timeout", Duration::from_secs(10), duration(ANY));

    if let (Some(grpc), Some(false)) = (grpc, allow_unauthenticated)
        && !grpc.ip().to_canonical().is_loopback()
    {
        let message = "expected a loopback address: callers are not authenticated; another address needs \
                       allow_unauthenticated = true";
        table.refuse("grpc", message);
    }
    let addresses = [("grpc", grpc), ("http", http), ("admin", admin)];
    for (index, (key, address)) in addresses.iter().enumerate() {
        let same = |(_, earlier): &&(&str, Option<SocketAddr>)| earlier == address;
        if address.is_some_and(|address| address.port() != 0)
            && let Some((earlier, _)) = addresses[..index].iter().find(same)
        {
            table.refuse(key, format!("the same address as listen.{earlier}"));
        }
    }
    table.finish();
    Some(Listen {
        grpc: grpc?,
        http: http?,
        admin: admin?,
        allow_unauthenticated: allow_unauthenticated?,
        max_connections: max_connections?,
        max_streams_per_connection: max_streams_per_connection?,
        max_request_size: max_request_size?,
        drain_timeout: drain_timeout?,
    })
}

fn deadline(mut table: Table<'_>) -> Option<Deadline> {
    let default = table.or("default", Duration::from_secs(10), duration(POSITIVE));
    let max = table.or("max", Duration::from_mins(1), duration(POSITIVE));
    table.in_order(("default", default), ("max", max));
    table.finish();
    Some(Deadline { default: default?, max: max? })
}

fn storage(mut table: Table<'_>) -> Option<Storage> {
    let path = table.or("path", PathBuf::from("switchboard.db"), path);
    table.finish();
    Some(Storage { path: path? })
}

fn events(mut table: Table<'_>, callback_port: u16, is_shared: bool) -> Option<Events> {
    let callback_base_url = table.or("callback_base_url", None, some(base_url));
    let secret = some(secret(table.document()));
    let callback_key = if is_shared {
        table.required("callback_key", SHARED_KEY, secret)
    } else {
        table.or("callback_key", None, secret)
    };
    let retention = table.or("retention", Duration::from_hours(72), duration(POSITIVE));
    let retention_size = table.or("retention_size", 1 << 30, size);
    let duplicate_window = table.or("duplicate_window", Duration::from_mins(10), duration(ANY));
    table.finish();
    Some(Events {
        callback_base_url: callback_base_url?.unwrap_or_else(|| default_callback_base_url(callback_port)),
        callback_key: callback_key?,
        retention: retention?,
        retention_size: retention_size?,
        duplicate_window: duplicate_window?,
    })
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// For vendors on this machine. Port 0 stands for the port that is given out.
fn default_callback_base_url(port: u16) -> Url {
    #[expect(clippy::expect_used, reason = "an address and a number make a URL; a test reads it")]
    Url::parse(&format!("http://127.0.0.1:{port}/")).expect("a URL")
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{ACME, parse, refusal};

    #[test]
    fn unknown_keys_and_tables_are_refused() {
        refused("[listn]", "listn: unknown key; did you mean `listen`?");
        refused("[cache]", "cache: unknown key; known keys: centers, deadline, events, listen, nats, storage");
        refused("[storage]\nfile = 'x'", "storage.file: unknown key; known keys: path");
        refused("storage = 'x'", "storage: expected a table, found a string");
        refused("[[storage]]", "storage: expected a table, found an array");
    }

    #[test]
    fn a_key_that_does_not_look_like_one_is_not_repeated() {
        refused("[storage]\n'a b' = 'x'", "storage.\"…\": unknown key; known keys: path (line 2, column 1)");
    }

    #[test]
    fn an_open_address_needs_the_operators_word() {
        let text = "[listen]\ngrpc = '0.0.0.0:50051'";
        refused(
            text,
            "listen.grpc: expected a loopback address: callers are not authenticated; another address needs \
             allow_unauthenticated = true",
        );
        assert!(parse(&format!("{text}\nallow_unauthenticated = true\n{ACME}")).is_ok());
        assert!(parse(&format!("[listen]\ngrpc = '[::ffff:127.0.0.1]:1'\n{ACME}")).is_ok());
        assert!(parse(&format!("[listen]\nhttp = '0.0.0.0:1'\nadmin = '0.0.0.0:2'\n{ACME}")).is_ok());
    }

    #[test]
    fn two_listeners_cannot_share_an_address() {
        refused("[listen]\nadmin = '127.0.0.1:8080'", "listen.admin: the same address as listen.http");
        refused("[listen]\ngrpc = '127.0.0.1:8080'", "listen.http: the same address as listen.grpc");
        let any_port = "[listen]\ngrpc = '127.0.0.1:0'\nhttp = '127.0.0.1:0'\nadmin = '127.0.0.1:0'";
        assert!(parse(&format!("{any_port}\n{ACME}")).is_ok());
    }

    #[test]
    fn limits_have_their_ranges() {
        let counts = "expected a whole number from 1 to 1000000";
        refused("[listen]\nmax_connections = 0", &format!("listen.max_connections: {counts}"));
        refused("[listen]\nmax_streams_per_connection = 0", &format!("listen.max_streams_per_connection: {counts}"));
        let sizes = r#"expected a size from "1KiB" to "1048576GiB""#;
        refused("[listen]\nmax_request_size = '1023'", &format!("listen.max_request_size: {sizes}"));
        refused("[events]\nretention_size = '0'", &format!("events.retention_size: {sizes}"));
        let positive = r#"expected a duration from "1ms" to "87600h""#;
        refused("[events]\nretention = '0s'", &format!("events.retention: {positive}"));
        refused("[deadline]\ndefault = '0s'", &format!("deadline.default: {positive}"));
        assert!(parse(&format!("[listen]\ndrain_timeout = '0s'\n{ACME}")).is_ok());
    }

    #[test]
    fn the_default_deadline_is_at_most_the_longest() {
        refused("[deadline]\ndefault = '61s'", "deadline.default: expected a duration that is at most `max`");
        assert!(parse(&format!("[deadline]\ndefault = '60s'\n{ACME}")).is_ok());
        // One mistake is one error, even where the default of `max` would be too short.
        refused(
            "[deadline]\ndefault = '90s'\nmax = 90",
            r#"deadline.max: expected a duration such as "250ms", "10s", "5m" or "72h", found an integer"#,
        );
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        assert_eq!(refusal(&format!("{text}\n{ACME}")), format!("gateway.toml: {expected}"));
    }
}
