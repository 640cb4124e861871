//! Certificates that clients show: whether they must, who must have signed them, and whom they must name.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use webpki::EndEntityCert;

use super::file::TlsFile;
use super::tls::certificates;

/// What clients must show: `client_auth_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    Nothing,
    Ask,
    Any,
    VerifyIfGiven,
    Verified,
}

impl Demand {
    /// # Errors
    /// The names that there are.
    pub(super) fn parse(name: Option<&str>) -> Result<Demand, String> {
        match name.unwrap_or_default() {
            "" | "NoClientCert" => Ok(Demand::Nothing),
            "RequestClientCert" => Ok(Demand::Ask),
            "RequireAnyClientCert" => Ok(Demand::Any),
            "VerifyClientCertIfGiven" => Ok(Demand::VerifyIfGiven),
            "RequireAndVerifyClientCert" => Ok(Demand::Verified),
            other => Err(format!(
                "client_auth_type: {other:?}; there are NoClientCert, RequestClientCert, RequireAnyClientCert, \
                 VerifyClientCertIfGiven and RequireAndVerifyClientCert"
            )),
        }
    }

    fn verifies(self) -> bool {
        matches!(self, Demand::VerifyIfGiven | Demand::Verified)
    }

    fn requires(self) -> bool {
        matches!(self, Demand::Any | Demand::Verified)
    }
}

/// What a file asks of clients' certificates: that there is one, that it is verified, that it has an allowed name.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked([bool; 3]);

impl Asked {
    /// # Errors
    /// As [`Demand::parse`].
    pub(super) fn of(file: &TlsFile) -> Result<Asked, String> {
        let demand = Demand::parse(file.client_auth_type.as_deref())?;
        Ok(Asked([demand.requires(), demand.verifies(), !file.client_allowed_sans.is_empty()]))
    }

    /// Whether something is not asked that `last` asked.
    pub(super) fn is_less_than(self, last: Asked) -> bool {
        last.0.into_iter().zip(self.0).any(|(last, now)| last && !now)
    }
}

/// Who checks clients' certificates; `None` if nobody asks for any.
///
/// # Errors
/// Keys that do not go together, and what would.
pub(super) fn verifier(
    demand: Demand,
    authorities: Option<&[u8]>,
    allowed: &[String],
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    if demand == Demand::Nothing && authorities.is_some() {
        return Err("client_ca needs a client_auth_type, such as RequireAndVerifyClientCert".to_owned());
    }
    if demand.verifies() && authorities.is_none() {
        return Err("this client_auth_type needs client_ca_file, or client_ca".to_owned());
    }
    if !allowed.is_empty() && !demand.verifies() {
        return Err(
            "client_allowed_sans needs client_auth_type RequireAndVerifyClientCert, or anyone could write the name"
                .to_owned(),
        );
    }
    if let Some(email) = allowed.iter().find(|name| name.contains('@') && !name.contains("://")) {
        return Err(format!(
            "client_allowed_sans: {email:?}: names in mail addresses are not read; give a DNS name, an IP address or a URI"
        ));
    }
    if demand == Demand::Nothing {
        return Ok(None);
    }
    let inner = match authorities {
        Some(pem) if demand.verifies() => Some(trusting(pem, demand, provider)?),
        _ => None,
    };
    Ok(Some(Arc::new(Clients { demand, inner, allowed: allowed.to_vec(), provider: provider.clone() })))
}

fn trusting(pem: &[u8], demand: Demand, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("client_ca", pem)? {
        roots.add(certificate).map_err(|error| format!("client_ca: a certificate cannot be used: {error}"))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let builder = if demand.requires() { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| format!("client_ca: {error}"))
}

/// Checks what a client shows. That it has the key of its certificate is checked whatever is demanded.
#[derive(Debug)]
struct Clients {
    demand: Demand,
    /// Who checks the signatures of authorities, if that is demanded.
    inner: Option<Arc<dyn ClientCertVerifier>>,
    allowed: Vec<String>,
    provider: Arc<CryptoProvider>,
}

impl Clients {
    fn names_somebody_allowed(&self, certificate: &CertificateDer<'_>) -> bool {
        let Ok(certificate) = EndEntityCert::try_from(certificate) else { return false };
        let is = |allowed: &&String| match ServerName::try_from(allowed.as_str()) {
            Ok(ip @ ServerName::IpAddress(_)) => certificate.verify_is_valid_for_subject_name(&ip).is_ok(),
            // Letter by letter: a name with a star is not one for everybody below it.
            _ => {
                certificate.valid_dns_names().any(|name| name.eq_ignore_ascii_case(allowed))
                    || certificate.valid_uri_names().any(|name| name == allowed.as_str())
            }
        };
        self.allowed.iter().any(|allowed| is(&allowed))
    }
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.demand.requires()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.as_ref().map_or(&[], |inner| inner.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(inner) = &self.inner {
            inner.verify_client_cert(end_entity, intermediates, now)?;
        }
        if !self.allowed.is_empty() && !self.names_somebody_allowed(end_entity) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
