//! TLS by rustls: trusted roots, client certificates, and how far the server's certificate is checked.

use std::{path::Path, sync::Arc};

use tokio_rustls::{
    TlsConnector,
    rustls::{
        CertificateError, ClientConfig, DigitallySignedStruct, Error as RustlsError, RootCertStore,
        SignatureScheme,
        client::{
            WebPkiServerVerifier,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::{CryptoProvider, ring},
        pki_types::{
            CertificateDer, PrivateKeyDer, ServerName, UnixTime,
            pem::{self, PemObject},
        },
    },
};

use super::{
    error::WireError,
    options::{TlsMode, TlsOptions},
};

/// Makes the connector for these options; reads the PEM files.
pub(crate) fn connector(options: &TlsOptions) -> Result<TlsConnector, WireError> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match options.mode {
        TlsMode::Disabled | TlsMode::Preferred | TlsMode::Required => {
            Arc::new(Unverified(Arc::clone(&provider)))
        }
        TlsMode::VerifyCa => Arc::new(AnyName(chain_verifier(options, &provider)?)),
        TlsMode::VerifyFull => chain_verifier(options, &provider)?,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| WireError::Tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => {
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unreadable("tls.key", key, &error))?;
            builder
                .with_client_auth_cert(certificates("tls.cert", cert)?, key)
                .map_err(|error| WireError::Tls(format!("`tls.cert` and `tls.key`: {error}")))?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The name the certificate is held against, also sent as SNI.
pub(crate) fn server_name(host: &str, mode: TlsMode) -> Result<ServerName<'static>, WireError> {
    match ServerName::try_from(host.to_owned()) {
        Ok(name) => Ok(name),
        // A name that no certificate can have is still fine where none is checked.
        Err(_) if mode != TlsMode::VerifyFull => {
            ServerName::try_from("localhost").map_err(|error| WireError::Tls(error.to_string()))
        }
        Err(error) => Err(WireError::Tls(format!("host \"{host}\": {error}"))),
    }
}

fn chain_verifier(
    options: &TlsOptions,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, WireError> {
    let mut roots = RootCertStore::empty();
    match &options.ca {
        Some(path) => {
            for certificate in certificates("tls.ca", path)? {
                roots
                    .add(certificate)
                    .map_err(|error| WireError::Tls(format!("`tls.ca`: {error}")))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(WireError::Tls(
            "no trusted authority: name one by `tls.ca`, or install the package ca-certificates"
                .into(),
        ));
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| WireError::Tls(error.to_string()))
}

fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, WireError> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(option, path, &error))?;
    if found.is_empty() {
        return Err(WireError::Tls(format!("`{option}`: no certificate in {}", path.display())));
    }
    Ok(found)
}

fn unreadable(option: &str, path: &Path, error: &pem::Error) -> WireError {
    WireError::Tls(format!("`{option}`: {}: {error}", path.display()))
}

/// Checks the chain, not the name.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        // The chain is checked before the name, so a complaint about the name says that the chain holds.
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        {
            Err(RustlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Checks nothing: modes preferred and required encrypt against listeners, not against impostors. Signatures are not
/// checked either, since webpki cannot read every certificate that servers make for themselves.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_cannot_be_read_are_named_with_their_option() {
        let options = TlsOptions {
            mode: TlsMode::VerifyFull,
            ca: Some("no/such/ca.pem".into()),
            ..TlsOptions::default()
        };
        let error = connector(&options).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("`tls.ca`: no/such/ca.pem"), "{error}");
    }

    #[test]
    fn an_authority_file_without_a_certificate_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let options = TlsOptions {
            mode: TlsMode::VerifyCa,
            ca: Some(file.path().to_owned()),
            ..TlsOptions::default()
        };
        assert!(matches!(connector(&options), Err(WireError::Tls(_))));
    }

    #[test]
    fn a_host_name_that_no_certificate_can_have_is_refused_only_where_names_count() {
        assert!(server_name("not a name", TlsMode::VerifyFull).is_err());
        assert!(server_name("not a name", TlsMode::Required).is_ok());
        assert!(server_name("::1", TlsMode::VerifyFull).is_ok());
    }
}
