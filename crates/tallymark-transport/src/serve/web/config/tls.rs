//! TLS as the configuration file asks for it, by rustls.
//!
//! Names are Go's, as in the files of all Prometheus tools. What rustls does not have (TLS 1.0 and 1.1, suites without
//! forward secrecy, a few curves) is refused when the file is read, never left out in silence.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, SupportedCipherSuite, SupportedProtocolVersion, version};

use super::ConfigError;
use super::clients::{self, Demand};
use super::file::TlsFile;
use super::files::Files;

/// The configuration of every connection.
///
/// `path` is the configuration file; what it names is relative to its directory.
///
/// # Errors
/// The key that is wrong, or the file that it names, and what would do.
pub(super) fn server_config(path: &Path, file: &TlsFile, files: &mut Files) -> Result<Arc<ServerConfig>, ConfigError> {
    let refuse = |problem: String| ConfigError::new(path, format_args!("tls_server_config: {problem}"));
    let provider = Arc::new(provider(file).map_err(refuse)?);
    let versions = versions(file).map_err(refuse)?;
    let demand = Demand::parse(file.client_auth_type.as_deref()).map_err(refuse)?;

    let mut pem = |keys: [&str; 2], text: &Option<String>, from: &Option<_>| read(path, files, keys, text, from);
    let certificate = pem(["cert", "cert_file"], &file.cert, &file.cert_file)?;
    let key = pem(["key", "key_file"], &file.key, &file.key_file)?;
    let authorities = pem(["client_ca", "client_ca_file"], &file.client_ca, &file.client_ca_file)?;
    let (Some(certificate), Some(key)) = (certificate, key) else {
        return Err(refuse(
            "a certificate and its key are both needed: cert_file and key_file, or cert and key".to_owned(),
        ));
    };

    let clients =
        clients::verifier(demand, authorities.as_deref(), &file.client_allowed_sans, &provider).map_err(refuse)?;
    let chain = certificates("cert", &certificate).map_err(refuse)?;
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|error| refuse(format!("key: no private key in PEM: {error}; give one without a passphrase")))?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| refuse(format!("cipher_suites, min_version and max_version leave nothing: {error}")))?;
    let mut config = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    }
    .with_single_cert(chain, key)
    .map_err(|error| refuse(format!("the certificate and the key do not go together: {error}")))?;
    config.ignore_client_order = file.prefer_server_cipher_suites.unwrap_or(true);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The certificates in a PEM text; at least one.
pub(super) fn certificates(key: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(format!("{key}: no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----"))
        }
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{key}: not PEM: {error}")),
    }
}

/// A text that is in the file itself, or in one that it names; `None` if neither is there.
fn read(
    path: &Path,
    files: &mut Files,
    [key, key_file]: [&str; 2],
    text: &Option<String>,
    from: &Option<PathBuf>,
) -> Result<Option<Vec<u8>>, ConfigError> {
    match (text, from) {
        (Some(_), Some(_)) => {
            Err(ConfigError::new(path, format_args!("tls_server_config: {key} and {key_file}; give one of them")))
        }
        (Some(text), None) => Ok(Some(text.clone().into_bytes())),
        (None, Some(from)) => files.read(&path.parent().unwrap_or(Path::new("")).join(from)).map(Some),
        (None, None) => Ok(None),
    }
}

fn versions(file: &TlsFile) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let rank = |key: &str, name: Option<&str>, default| match name {
        None => Ok(default),
        Some("TLS12") => Ok(2),
        Some("TLS13") => Ok(3),
        Some("TLS10" | "TLS11") if key == "min_version" => {
            Err("min_version: TLS 1.0 and 1.1 are not spoken, being broken; give TLS12 or TLS13".to_owned())
        }
        Some(other) => Err(format!("{key}: {other:?}; give TLS12 or TLS13")),
    };
    let least = rank("min_version", file.min_version.as_deref(), 2)?;
    let most = rank("max_version", file.max_version.as_deref(), 3)?;
    if least > most {
        return Err("min_version is above max_version".to_owned());
    }
    let all = [(2, &version::TLS12), (3, &version::TLS13)];
    Ok(all.into_iter().filter(|(rank, _)| (least..=most).contains(rank)).map(|(_, version)| version).collect())
}

/// The cryptography, narrowed to what the file lists. As in Go, suites are those of TLS 1.2; 1.3 keeps all of its own.
fn provider(file: &TlsFile) -> Result<CryptoProvider, String> {
    let mut provider = ring::default_provider();
    if !file.cipher_suites.is_empty() {
        let asked = file.cipher_suites.iter().map(|name| suite(&provider.cipher_suites, name));
        let asked: Vec<SupportedCipherSuite> = asked.collect::<Result<_, _>>()?;
        let (modern, _) = provider.cipher_suites.iter().partition::<Vec<_>, _>(|suite| suite.tls13().is_some());
        let rest = asked.into_iter().filter(|suite| suite.tls13().is_none());
        provider.cipher_suites = modern.into_iter().chain(rest).collect();
    }
    if !file.curve_preferences.is_empty() {
        let curve = |name: &String| match &**name {
            "X25519" => Ok(ring::kx_group::X25519),
            "CurveP256" => Ok(ring::kx_group::SECP256R1),
            "CurveP384" => Ok(ring::kx_group::SECP384R1),
            _ => Err(format!("curve_preferences: {name:?} is not spoken; there are X25519, CurveP256 and CurveP384")),
        };
        provider.kx_groups = file.curve_preferences.iter().map(curve).collect::<Result<_, _>>()?;
    }
    Ok(provider)
}

fn suite(known: &[SupportedCipherSuite], name: &str) -> Result<SupportedCipherSuite, String> {
    // Go has two names for some.
    let wanted = name.strip_suffix("_POLY1305").map_or(name.to_owned(), |stem| format!("{stem}_POLY1305_SHA256"));
    let find = known.iter().find(|suite| go_name(suite) == wanted);
    find.copied().ok_or_else(|| {
        let names: Vec<String> = known.iter().map(go_name).collect();
        format!("cipher_suites: {name:?} is not spoken; there are {}", names.join(", "))
    })
}

fn go_name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(file: TlsFile) -> String {
        server_config(Path::new("/etc/web.yml"), &file, &mut Files::default()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_spoken_is_refused_by_its_key() {
        let some = |text: &str| Some(text.to_owned());
        let list = |text: &str| vec![text.to_owned()];
        for (file, words) in [
            (TlsFile { min_version: some("TLS10"), ..TlsFile::default() }, ["min_version", "TLS12"]),
            (TlsFile { max_version: some("SSL30"), ..TlsFile::default() }, ["max_version", "SSL30"]),
            (
                TlsFile { min_version: some("TLS13"), max_version: some("TLS12"), ..TlsFile::default() },
                ["min_version", "above"],
            ),
            (
                TlsFile { cipher_suites: list("TLS_RSA_WITH_RC4_128_SHA"), ..TlsFile::default() },
                ["RC4", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],
            ),
            (TlsFile { curve_preferences: list("CurveP521"), ..TlsFile::default() }, ["CurveP521", "X25519"]),
            (
                TlsFile { client_auth_type: some("Maybe"), ..TlsFile::default() },
                ["client_auth_type", "RequireAndVerifyClientCert"],
            ),
            (
                TlsFile { cert: some("x"), cert_file: Some("x".into()), ..TlsFile::default() },
                ["cert_file", "one of them"],
            ),
            (TlsFile { cert: some("x"), ..TlsFile::default() }, ["key_file", "both"]),
            (TlsFile { cert: some("x"), key: some("y"), ..TlsFile::default() }, ["cert:", "BEGIN CERTIFICATE"]),
            (
                TlsFile { cert_file: Some("/nowhere/cert".into()), ..TlsFile::default() },
                ["/nowhere/cert", "cannot be read"],
            ),
        ] {
            let error = refused(file);

            assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
        }
    }

    #[test]
    fn suites_have_the_names_that_go_gives_them_and_leave_tls_1_3_alone() {
        let named = |names: &[&str]| {
            let cipher_suites = names.iter().map(|&name| name.to_owned()).collect();
            let provider = provider(&TlsFile { cipher_suites, ..TlsFile::default() }).unwrap();
            provider.cipher_suites.iter().map(go_name).collect::<Vec<_>>()
        };
        let modern = named(&["TLS_AES_128_GCM_SHA256"]);
        assert_eq!(3, modern.len());
        assert!(modern.iter().all(|name| !name.contains("WITH")), "{modern:?}");

        let both = named(&["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]);

        assert_eq!(
            ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"],
            both[3..]
        );
    }
}
