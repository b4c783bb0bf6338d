//! Why no connection to a vendor was established.

use std::{
    error::Error as StdError,
    io::{Error, ErrorKind},
};

use rustls::pki_types::InvalidDnsNameError;

const UNRESOLVED: &str = "the host name does not resolve";

/// The cause of a failed connection, in words that contain no address: it is among the sources of the error, of which
/// every HTTP client has its own.
pub(super) fn cause(error: &(dyn StdError + 'static)) -> &'static str {
    let mut next = Some(error);
    while let Some(error) = next {
        next = match error.downcast_ref::<Error>() {
            Some(io) => match io_cause(io) {
                Some(cause) => return cause,
                // Its source is that of the error it contains.
                None => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
            },
            None if error.is::<InvalidDnsNameError>() => return "the host name is not valid",
            // The resolver of hyper-util's connector: its source may be any error of the system.
            None if error.to_string().starts_with("dns error") => return UNRESOLVED,
            None => error.source(),
        };
    }
    "connection failed"
}

fn io_cause(error: &Error) -> Option<&'static str> {
    Some(match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused",
        ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => "network unreachable",
        ErrorKind::HostUnreachable => "host unreachable",
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => "the connection was closed during the handshake",
        ErrorKind::TimedOut => "no response to the connection request",
        ErrorKind::PermissionDenied => "the gateway's system does not permit the connection",
        ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse => "the gateway's system has no free port",
        _ if is_out_of_files(error) => "the gateway has no free file descriptor",
        _ if is_resolver(error) => UNRESOLVED,
        _ => return None,
    })
}

/// EMFILE and ENFILE, which have no kind.
fn is_out_of_files(error: &Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}

/// An error of getaddrinfo has neither a kind nor a code, only the standard library's text before the system's.
fn is_resolver(error: &Error) -> bool {
    error.raw_os_error().is_none() && error.to_string().starts_with("failed to lookup address information")
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    /// An error of a client around its source.
    #[derive(Debug)]
    struct Wrapper(&'static str, Box<dyn StdError + Send + Sync>);

    impl fmt::Display for Wrapper {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl StdError for Wrapper {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&*self.1)
        }
    }

    /// The cause of this error, alone and within others.
    #[track_caller]
    fn assert_cause(error: impl Fn() -> Error, expected: &str) {
        assert_eq!(cause(&error()), expected);
        assert_eq!(cause(&Wrapper("client error (Connect)", error().into())), expected);
        assert_eq!(cause(&Wrapper("outer", Wrapper("inner", error().into()).into())), expected);
        // As a connector of TLS reports it.
        assert_eq!(cause(&Error::other(error())), expected);
        assert_eq!(cause(&Wrapper("outer", Error::other(Wrapper("inner", error().into())).into())), expected);
    }

    #[test]
    fn each_way_to_fail_has_words_of_its_own() {
        let closed = "the connection was closed during the handshake";
        for (kind, expected) in [
            (ErrorKind::ConnectionRefused, "connection refused"),
            (ErrorKind::NetworkUnreachable, "network unreachable"),
            (ErrorKind::NetworkDown, "network unreachable"),
            (ErrorKind::HostUnreachable, "host unreachable"),
            (ErrorKind::ConnectionReset, closed),
            (ErrorKind::UnexpectedEof, closed),
            (ErrorKind::TimedOut, "no response to the connection request"),
            (ErrorKind::PermissionDenied, "the gateway's system does not permit the connection"),
            (ErrorKind::AddrNotAvailable, "the gateway's system has no free port"),
            (ErrorKind::Other, "connection failed"),
        ] {
            assert_cause(|| kind.into(), expected);
            assert_cause(|| Error::new(kind, "text of 192.0.2.1"), expected);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn codes_of_the_system_are_read() {
        for (code, expected) in [
            (111, "connection refused"),
            (101, "network unreachable"),
            (113, "host unreachable"),
            (104, "the connection was closed during the handshake"),
            (110, "no response to the connection request"),
            (24, "the gateway has no free file descriptor"),
            (23, "the gateway has no free file descriptor"),
            (22, "connection failed"),
        ] {
            assert_cause(|| Error::from_raw_os_error(code), expected);
        }
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_recognized() {
        // A label of 64 characters is no name, so no server is asked.
        let name = format!("{}.example:443", "a".repeat(64));
        let error = tokio::net::lookup_host(name).await.map(drop).unwrap_err();
        assert_eq!(cause(&error), UNRESOLVED);
        assert_eq!(cause(&Wrapper("dns error", Error::from_raw_os_error(11).into())), UNRESOLVED);
    }
}
