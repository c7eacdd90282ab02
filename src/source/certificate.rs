//! Advice for certificates that are not trusted and for servers that do not speak TLS: what is wrong, and what
//! to change. Such a failure is permanent, so the request is not retried.

use std::error::Error;
use std::io;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error as TlsError, InvalidMessage};

/// What to change if a connection failed because of TLS; `None` if it failed for another reason. `ca_file`
/// tells whether a private authority is already trusted.
pub(super) fn advice(error: &(dyn Error + 'static), ca_file: bool) -> Option<&'static str> {
    match tls_error(error)? {
        TlsError::InvalidCertificate(wrong) => Some(advice_on(wrong, ca_file)),
        // The answer is not a TLS record.
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => Some(
            "the server seems not to speak TLS there: write http:// in place of https://, or the port of its TLS",
        ),
        TlsError::InvalidCertRevocationList(_) | TlsError::NoCertificatesPresented => Some(REPLACE),
        TlsError::AlertReceived(AlertDescription::CertificateRequired) => Some(
            "the server requires a client certificate, which is not supported: ask its operator for other access, \
             then run again",
        ),
        _ => None,
    }
}

const REPLACE: &str = "the operator of the server must replace its certificate; then run again";

fn advice_on(wrong: &CertificateError, ca_file: bool) -> &'static str {
    match wrong {
        // A bad signature comes from another authority with the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature if ca_file => {
            "the server's certificate was not signed by an authority of this machine or one in --ca-file: give the \
             right authority with --ca-file, and have the server send the intermediate certificates; then run \
             again"
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "for a private authority, give its certificate with --ca-file, then run again"
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "check the clock of this machine; if it is right, the operator of the server must renew its \
             certificate; then run again"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "write the URL with a name that the certificate is for, or have the server use one for this name; then \
             run again"
        }
        // The library has no variant for this case.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "the server shows an authority's certificate (CA:TRUE) as its own: have it use one with CA:FALSE that \
             is signed by that authority, and give the authority's certificate with --ca-file; then run again"
        }
        _ => REPLACE,
    }
}

/// The TLS error among the causes of `error`.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<TlsError>() {
            return Some(found);
        }
        // `source()` of an `io::Error` skips the error inside it, so look at that error first.
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inside {
            Some(inside) => Some(inside as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_tls_error_is_found() {
        let wrong = TlsError::InvalidCertificate(CertificateError::UnknownIssuer);
        let deep = io::Error::other(io::Error::other(wrong.clone()));
        for error in [&wrong as &(dyn Error + 'static), &deep] {
            assert!(advice(error, false).is_some_and(|advice| advice.contains("give its certificate")));
            assert!(advice(error, true).is_some_and(|advice| !advice.contains("private authority")));
        }
        for other in [TlsError::DecryptError, TlsError::AlertReceived(AlertDescription::InternalError)] {
            assert_eq!(advice(&io::Error::other(other), false), None);
        }
        assert_eq!(advice(&io::Error::from(io::ErrorKind::ConnectionRefused), false), None);
    }

    #[test]
    fn advice_names_the_remedy() {
        for (wrong, part) in [
            (CertificateError::Expired, "clock"),
            (CertificateError::NotValidYet, "clock"),
            (CertificateError::NotValidForName, "name"),
            (CertificateError::BadEncoding, "replace"),
            (CertificateError::Revoked, "replace"),
        ] {
            let error = TlsError::InvalidCertificate(wrong);
            assert!(advice(&error, true).is_some_and(|advice| advice.contains(part)), "{error}");
        }
    }
}
