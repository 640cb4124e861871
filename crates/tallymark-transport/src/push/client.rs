//! One HTTP request and its answer, as pushing needs them: with a password, with a bound on time and on what is read.
//!
//! It retries nothing and follows no redirect: a push that went somewhere else than it was told is no push.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use ureq::http::{HeaderMap, Request};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::PushError;

/// How much of an answer is read: enough for what a person is to be told.
const ANSWER: u64 = 8192;

/// How to speak to a server.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// How long a request may take, with everything.
    pub timeout: Duration,
    /// A file with the authorities that the server's certificate is checked by, in place of the system's.
    pub ca: Option<PathBuf>,
    /// Headers for every request, such as `Authorization`.
    pub headers: Vec<(String, String)>,
}

impl Default for ClientOptions {
    /// Thirty seconds, the system's authorities, no headers.
    fn default() -> ClientOptions {
        ClientOptions { timeout: Duration::from_secs(30), ca: None, headers: Vec::new() }
    }
}

/// A client of one server, which it speaks to over one connection as long as that holds.
///
/// ```
/// use tallymark_transport::push::{Client, ClientOptions};
/// let client = Client::new("https://user:secret@metrics.internal:9091", ClientOptions::default())?;
/// assert_eq!(client.url(), "https://metrics.internal:9091");
/// assert!(Client::new("metrics.internal", ClientOptions::default()).is_err());
/// # Ok::<(), tallymark_transport::push::PushError>(())
/// ```
pub struct Client {
    agent: ureq::Agent,
    url: String,
    headers: Vec<(String, String)>,
}

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Client {
    /// A client of the server at `url`. A user and a password in it become an `Authorization` header.
    ///
    /// # Errors
    /// [`PushError::Address`] if it is no `http://` or `https://` URL, [`PushError::Certificates`] if the authorities'
    /// file cannot be read.
    pub fn new(url: &str, options: ClientOptions) -> Result<Client, PushError> {
        let ClientOptions { timeout, ca, mut headers } = options;
        let (url, user) = without_user(url);
        let refuse = |problem: &str| PushError::Address { url: url.clone(), problem: problem.to_owned() };
        let parsed: ureq::http::Uri = url.parse().map_err(|_| refuse("not a URL, such as http://localhost:9091"))?;
        if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.host().is_none_or(str::is_empty) {
            return Err(refuse("not an http:// or https:// URL, such as http://localhost:9091"));
        }
        if let Some(user) = user {
            let user = if user.contains(':') { user } else { user + ":" };
            let user: Vec<u8> = percent_decode_str(&user).collect();
            headers.push(("Authorization".to_owned(), format!("Basic {}", STANDARD.encode(user))));
        }
        let roots = match ca {
            Some(path) => RootCerts::from(authorities(&path)?),
            None => RootCerts::PlatformVerifier,
        };
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(timeout))
            .user_agent(concat!("tallymark/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build());
        Ok(Client { agent: config.build().new_agent(), url, headers })
    }

    /// The server's URL, without user and password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends a request to what the path adds to the URL, and reads the answer, whatever its status.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, PushError> {
        let base = if path.is_empty() { &*self.url } else { self.url.trim_end_matches('/') };
        let url = format!("{base}{path}");
        let unreachable = |error: ureq::Error| {
            let message = if let ureq::Error::Io(error) = &error { error.to_string() } else { error.to_string() };
            PushError::Unreachable { url: url.clone(), message }
        };
        let mut request = Request::builder().method(method).uri(&url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let sent = match request.body(body) {
            Ok(request) => self.agent.run(request),
            Err(error) => return Err(PushError::Address { url, problem: error.to_string() }),
        };
        let (parts, mut answer) = sent.map_err(unreachable)?.into_parts();
        // What cannot be read was only meant to be told.
        let body = answer.with_config().limit(ANSWER).lossy_utf8(true).read_to_string().unwrap_or_default();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

/// The URL without `user:password@`, and that.
fn without_user(url: &str) -> (String, Option<String>) {
    let Some((scheme, rest)) = url.split_once("://") else { return (url.to_owned(), None) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((user, host)) => (format!("{scheme}://{host}{path}"), Some(user.to_owned())),
        None => (url.to_owned(), None),
    }
}

fn authorities(path: &std::path::Path) -> Result<Vec<Certificate<'static>>, PushError> {
    let refuse = |problem: String| PushError::Certificates { path: path.display().to_string(), problem };
    let pem = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(one) = item.map_err(|error| refuse(error.to_string()))? {
            certificates.push(one);
        }
    }
    if certificates.is_empty() {
        return Err(refuse("no certificate in it; a CA file has -----BEGIN CERTIFICATE-----".to_owned()));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_leaves_the_url() {
        for (url, clean, user) in [
            ("http://a:b%40c@host:1/x", "http://host:1/x", Some("a:b%40c")),
            ("http://host/x@y", "http://host/x@y", None),
            ("http://a@b@host", "http://host", Some("a@b")),
            ("nonsense", "nonsense", None),
        ] {
            assert_eq!(without_user(url), (clean.to_owned(), user.map(str::to_owned)));
        }
    }
}
