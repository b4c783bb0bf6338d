//! Why a TLS handshake with a vendor failed.

use std::{error::Error as StdError, io};

use rustls::{AlertDescription, CertificateError, Error};

use super::Failure;

/// The TLS error among the sources of an error.
pub(super) fn error_in<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        next = match error.downcast_ref::<io::Error>() {
            // Its source is that of the error it contains.
            Some(io) => io.get_ref().map(|inner| inner as &(dyn StdError + 'static)),
            None => error.source(),
        };
    }
    None
}

/// Whether the vendor requires a client certificate.
pub(super) fn requires_client_certificate(error: &Error) -> bool {
    matches!(error, Error::AlertReceived(AlertDescription::CertificateRequired))
}

/// The failure of a request whose handshake failed.
pub(super) fn failure(error: &Error) -> Failure {
    Failure::Misconfigured(match error {
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the vendor's TLS certificate has expired"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the vendor's TLS certificate is not valid yet, by the gateway's clock"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the vendor's TLS certificate is for another host"
            }
            CertificateError::UnknownIssuer => "the vendor's TLS certificate is from an unknown authority",
            CertificateError::Revoked => "the vendor's TLS certificate is revoked",
            _ => "the vendor's TLS certificate is invalid",
        },
        Error::PeerIncompatible(_)
        | Error::AlertReceived(
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity,
        ) => "the vendor's server supports neither TLS 1.2 nor TLS 1.3 with a secure cipher",
        Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            "the vendor's server does not serve the configured host name"
        }
        error if requires_client_certificate(error) => "the vendor's server requires a client certificate",
        Error::InvalidMessage(_) => "the server at the vendor's address does not speak TLS",
        _ => return Failure::NotSent("the TLS handshake failed"),
    })
}
