//! The tables of the gateway itself: `[listen]`, `[deadline]`, `[storage]` and `[events]`.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use secrecy::SecretString;
use url::Url;

use super::{
    key::table,
    measure::{ANY, POSITIVE, duration, size},
    origin::base_url,
    secret::{SECRET, env, secret, unguessable},
    table::{Recorded, Table},
    value::{MOST, address, boolean, path, whole},
};

/// The default of `listen.http`.
const HTTP: &str = "127.0.0.1:8080";

table! {
    /// The addresses that the gateway serves, and the limits of their connections. No two addresses have the same port,
    /// unless both name different interfaces, or the port is 0: then the system chooses one.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Listen {
        /// `contactcenter.v1.ContactCenter`, `grpc.health.v1` and reflection, for callers. An address outside loopback
        /// requires `allow_unauthenticated`.
        grpc: SocketAddr = address().default("127.0.0.1:50051");
        /// Vendor callbacks: the only address that vendors must reach.
        http: SocketAddr = address().default(HTTP);
        /// `/metrics`, `/healthz` and `/readyz`, for operators: never publish it.
        admin: SocketAddr = address().default("127.0.0.1:9090");
        /// Serve callers at a `grpc` address outside loopback, although the gateway does not authenticate them.
        allow_unauthenticated: bool = boolean().default(false);
        /// Connections open at once, at `grpc` and at `http` each: at most half of them from one address, and at most
        /// three eighths of the process's file descriptors. The next one waits.
        max_connections: usize = whole(1..=MOST).default(10_000);
        /// HTTP/2 streams, which are calls, open at once on one connection.
        max_streams_per_connection: u32 = whole(1..=MOST).default(200);
        /// The largest gRPC request.
        max_request_size: usize = size().default("256KiB");
        /// How long a shutdown waits for running calls.
        drain_timeout: Duration = duration(ANY).default("10s");
    }
    check |table| {
        if let (Ok(grpc), Ok(false)) = (grpc, allow_unauthenticated)
            && !grpc.ip().to_canonical().is_loopback()
        {
            let message = "expected a loopback address: callers are not authenticated; another address needs \
                           allow_unauthenticated = true";
            table.refuse("grpc", message);
        }
        refuse_overlapping(table, &[("grpc", grpc), ("http", http), ("admin", admin)]);
    }
}

table! {
    /// How long a call may run.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Deadline {
        /// The deadline of a call that has none, at most `max`.
        default: Duration = duration(POSITIVE).default("10s");
        /// The longest deadline. A call with a longer one gets this one.
        max: Duration = duration(POSITIVE).default("60s");
    }
    check |table| {
        table.in_order(("default", default), ("max", max));
    }
}

table! {
    /// Where the gateway keeps events, outcomes of `request_id`s and subscription IDs over a restart.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Storage {
        /// The embedded database, which one process opens at a time. A relative path is relative to the working
        /// directory.
        path: PathBuf = path().default("switchboard.db");
    }
}

table! {
    /// Vendor callbacks and the event log.
    #[derive(Debug, Clone)]
    pub struct Events {
        /// How vendors reach `listen.http`: the base of callback addresses.
        callback_base_url: Url =
            base_url().or("127.0.0.1 and the port of `listen.http`", local_base_url, "http://127.0.0.1:8080");
        /// The HMAC key of callback addresses. `[nats]` requires it: gateways that share a store share the key.
        callback_key: Option<SecretString> =
            unguessable(secret()).optional("generated and stored", env("CALLBACK_KEY"));
        /// How long the log retains an event.
        retention: Duration = duration(POSITIVE).default("72h");
        /// How many bytes of events the log of one center retains.
        retention_size: u64 = size().default("1GiB");
        /// How long the log recognizes an event that the vendor posts again. It records such an event once.
        duplicate_window: Duration = duration(ANY).default("10m");
    }
    check |table| {
        if matches!(callback_key, Ok(None)) && table.document().root.contains_key("nats") {
            let message = format!("missing: expected {SECRET}; gateways that share [nats] need the same one");
            table.refuse("callback_key", message);
        }
    }
}

/// Refuses an address that cannot be bound beside the one of a key before it.
fn refuse_overlapping(table: &Table<'_>, addresses: &[(&str, Result<SocketAddr, Recorded>)]) {
    for (index, (key, address)) in addresses.iter().enumerate() {
        let Ok(address) = address else { continue };
        for (earlier, other) in &addresses[..index] {
            let Ok(other) = other else { continue };
            if overlap(*address, *other) {
                let message = if address.ip().to_canonical() == other.ip().to_canonical() {
                    format!("the same address as listen.{earlier}")
                } else {
                    format!("the same port as listen.{earlier}, and one of the two is of all interfaces")
                };
                table.refuse(key, message);
                break;
            }
        }
    }
}

/// Whether the system refuses to bind both. `0.0.0.0` is every IPv4 address, and `[::]` every address; the system
/// chooses another port for port 0.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    // Mapped addresses are IPv4 to the system, too.
    let (one_ip, other_ip) = (one.ip().to_canonical(), other.ip().to_canonical());
    let covers = |all: IpAddr, ip: IpAddr| match all {
        IpAddr::V4(all) => all.is_unspecified() && ip.is_ipv4(),
        IpAddr::V6(all) => all.is_unspecified(),
    };
    one.port() == other.port()
        && one.port() != 0
        && (one_ip == other_ip || covers(one_ip, other_ip) || covers(other_ip, one_ip))
}

/// Reaches `listen.http` from this machine. Port 0 stands for the port that the system chooses.
fn local_base_url(table: &Table<'_>) -> Option<Url> {
    let listen = table.document().root.get("listen").and_then(|listen| listen.get_ref().get("http"));
    let http: SocketAddr = listen.map_or(Some(HTTP), |http| http.get_ref().as_str())?.parse().ok()?;
    Url::parse(&format!("http://127.0.0.1:{}/", http.port())).ok()
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{ACME, parse, refusal};

    #[test]
    fn unknown_keys_and_tables_are_refused() {
        refused("[listn]", "listn: unknown key; did you mean `listen`?");
        let known = "cache: unknown key; known keys: centers, deadline, events, listen, nats, storage";
        refused("[cache]", known);
        refused("[cache]\n[events]\ncallback_key = 'key-of-all-gateways'\n[nats]\nurl = 'nats://a'", known);
        refused("[storage]\nfile = 'x'", "storage.file: unknown key; known keys: path");
        refused("storage = 'x'", "storage: expected a table, found a string");
        refused("[[storage]]", "storage: expected a table, found an array");
    }

    #[test]
    fn a_key_that_does_not_look_like_one_is_not_repeated() {
        refused("[storage]\n'a b' = 'x'", "storage.\"…\": unknown key; known keys: path (line 2, column 1)");
    }

    #[test]
    fn an_open_address_requires_allow_unauthenticated() {
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
        let overlap = |admin: &str, http: &str| format!("[listen]\nhttp = '{http}'\nadmin = '{admin}'");
        let all = "listen.admin: the same port as listen.http, and one of the two is of all interfaces";
        for (one, other) in [
            ("0.0.0.0:7070", "127.0.0.1:7070"),
            ("[::]:7070", "127.0.0.1:7070"),
            ("[::]:7070", "0.0.0.0:7070"),
            ("[::]:7070", "[::1]:7070"),
            ("[::]:7070", "192.0.2.7:7070"),
            ("0.0.0.0:7070", "[::ffff:127.0.0.1]:7070"),
            ("[::ffff:0.0.0.0]:7070", "127.0.0.1:7070"),
        ] {
            refused(&overlap(one, other), all);
            refused(&overlap(other, one), all);
        }
        refused(&overlap("[::ffff:127.0.0.1]:7070", "127.0.0.1:7070"), "listen.admin: the same address as listen.http");
        for (one, other) in [
            ("0.0.0.0:7070", "127.0.0.1:7071"),
            ("0.0.0.0:7070", "[::1]:7070"),
            ("127.0.0.2:7070", "127.0.0.1:7070"),
            ("[::]:0", "127.0.0.1:0"),
        ] {
            assert!(parse(&format!("{}\n{ACME}", overlap(one, other))).is_ok(), "{one} {other}");
        }
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
        // One cause is one error, even where the default of `max` would be too short.
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
