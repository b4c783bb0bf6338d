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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_reads_why_a_handshake_always_fails() {
        use AlertDescription as Alert;
        for (error, cause) in [
            (Error::InvalidCertificate(CertificateError::Expired), "the vendor's TLS certificate has expired"),
            (
                Error::InvalidCertificate(CertificateError::NotValidYet),
                "the vendor's TLS certificate is not valid yet, by the gateway's clock",
            ),
            (
                Error::InvalidCertificate(CertificateError::NotValidForName),
                "the vendor's TLS certificate is for another host",
            ),
            (
                Error::InvalidCertificate(CertificateError::UnknownIssuer),
                "the vendor's TLS certificate is from an unknown authority",
            ),
            (Error::InvalidCertificate(CertificateError::Revoked), "the vendor's TLS certificate is revoked"),
            (Error::InvalidCertificate(CertificateError::BadSignature), "the vendor's TLS certificate is invalid"),
            (
                Error::AlertReceived(Alert::ProtocolVersion),
                "the vendor's server supports neither TLS 1.2 nor TLS 1.3 with a secure cipher",
            ),
            (
                Error::AlertReceived(Alert::UnrecognisedName),
                "the vendor's server does not serve the configured host name",
            ),
            (Error::AlertReceived(Alert::CertificateRequired), "the vendor's server requires a client certificate"),
            (
                Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
                "the server at the vendor's address does not speak TLS",
            ),
        ] {
            assert_eq!(failure(&error), Failure::Misconfigured(cause));
        }
    }

    #[test]
    fn a_handshake_that_fails_for_another_reason_may_be_tried_again() {
        for error in [Error::AlertReceived(AlertDescription::InternalError), Error::DecryptError] {
            assert_eq!(failure(&error), Failure::NotSent("the TLS handshake failed"));
        }
    }

    #[test]
    fn only_one_alert_asks_for_a_client_certificate() {
        let asks = |alert| requires_client_certificate(&Error::AlertReceived(alert));
        assert!(asks(AlertDescription::CertificateRequired));
        assert!(!asks(AlertDescription::BadCertificate));
    }
}
