//! One HTTP request and its answer: with a password, with a bound on time and on what is read.
//!
//! It retries nothing and follows no redirect: a push that went somewhere else than it was told is no push. Whoever reads
//! metrics from a server asks by it, too, so that what can be pushed to can be read.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use ureq::http::{HeaderMap, Request, Response};
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
    /// A file with a token, sent as `Authorization: Bearer`. It is read for each request, as tokens are replaced.
    pub token: Option<PathBuf>,
}

impl Default for ClientOptions {
    /// Thirty seconds, the system's authorities, no headers, no token.
    fn default() -> ClientOptions {
        ClientOptions { timeout: Duration::from_secs(30), ca: None, headers: Vec::new(), token: None }
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
    token: Option<PathBuf>,
}

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// What was read from a server.
#[derive(Debug)]
pub struct Body {
    /// What it is, if the server says so.
    pub content_type: Option<String>,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Client {
    /// A client of the server at `url`. A user and a password in it become an `Authorization` header.
    ///
    /// # Errors
    /// [`PushError::Address`] if it is no `http://` or `https://` URL, [`PushError::Certificates`] if the authorities'
    /// file cannot be read, [`PushError::Authorizations`] if there is a user as well as a token, or a header that is
    /// one of them.
    pub fn new(url: &str, options: ClientOptions) -> Result<Client, PushError> {
        let ClientOptions { timeout, ca, mut headers, token } = options;
        let (url, user) = without_user(url);
        let refuse = |problem: &str| PushError::Address { url: shown(&url), problem: problem.to_owned() };
        let parsed: ureq::http::Uri = url.parse().map_err(|_| refuse("not a URL, such as http://localhost:9091"))?;
        if !matches!(parsed.scheme_str(), Some("http" | "https")) || parsed.host().is_none_or(str::is_empty) {
            return Err(refuse("not an http:// or https:// URL, such as http://localhost:9091"));
        }
        let given = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("authorization")).count();
        if given + usize::from(user.is_some()) + usize::from(token.is_some()) > 1 {
            return Err(PushError::Authorizations(shown(&url)));
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
        Ok(Client { agent: config.build().new_agent(), url, headers, token })
    }

    /// The server's URL, without user and password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL for messages: also without what may be a password with a slash in it.
    pub fn name(&self) -> String {
        shown(&self.url)
    }

    /// Reads what is at the client's URL, of at most so many bytes.
    ///
    /// # Errors
    /// [`PushError::Refused`] if the server answers no success, [`PushError::Unreachable`] if it answers nothing, or
    /// more than that; [`PushError::Token`] if the token's file cannot be read.
    pub fn get(&self, accept: &str, most: u64) -> Result<Body, PushError> {
        let (parts, mut body) = self.request("GET", "", &[("Accept", accept)], &[])?.into_parts();
        if !parts.status.is_success() {
            let (status, message) = (parts.status.as_u16(), beginning(body));
            return Err(PushError::Refused { url: self.name(), status, message });
        }
        let bytes = body.with_config().limit(most).read_to_vec();
        let bytes = bytes.map_err(|error| PushError::Unreachable { url: self.name(), message: error.to_string() })?;
        let content_type = parts.headers.get("content-type").and_then(|value| value.to_str().ok());
        Ok(Body { content_type: content_type.map(str::to_owned), bytes })
    }

    /// Sends a request to what the path adds to the URL, and reads the answer, whatever its status.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, PushError> {
        let (parts, body) = self.request(method, path, headers, body)?.into_parts();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: beginning(body) })
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response<ureq::Body>, PushError> {
        let base = if path.is_empty() { &*self.url } else { self.url.trim_end_matches('/') };
        let url = format!("{base}{path}");
        let mut request = Request::builder().method(method).uri(&url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(path) = &self.token {
            let token = fs::read_to_string(path)
                .map_err(|source| PushError::Token { path: path.display().to_string(), source })?;
            request = request.header("Authorization", format!("Bearer {}", token.trim()));
        }
        match request.body(body) {
            Ok(request) => self
                .agent
                .run(request)
                .map_err(|error| PushError::Unreachable { url: shown(&url), message: reason(&error) }),
            Err(error) => Err(PushError::Address { url: shown(&url), problem: error.to_string() }),
        }
    }
}

/// What happened, as the kernel says it if it was the kernel.
fn reason(error: &ureq::Error) -> String {
    if let ureq::Error::Io(kernel) = error { kernel.to_string() } else { error.to_string() }
}

/// What a person is to be told of an answer. What cannot be read was only meant to be told.
fn beginning(body: ureq::Body) -> String {
    let mut bytes = Vec::new();
    let _ = body.into_reader().take(ANSWER).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A URL for a message: without what stands before an `@` anywhere, which may be a password with a slash in it. Only that
/// of a gateway's `@base64/` is none.
fn shown(url: &str) -> String {
    let mut parts = url.match_indices('@').filter_map(|(at, _)| url.get(at + 1..));
    let Some(rest) = parts.rfind(|rest| !rest.starts_with("base64/")) else { return url.to_owned() };
    let scheme = url.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
    format!("{scheme}{rest}")
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

    #[test]
    fn a_password_that_reads_like_a_path_is_not_told_but_a_group_is() {
        for (url, expected) in [
            ("http://me:se/cret@host:1", "http://host:1"),
            ("http://me:1/secret@host/x", "http://host/x"),
            ("me:secret@host", "host"),
            ("http:///me:secret@host", "http://host"),
            ("http://host:1/metrics/job@base64/YS9i", "http://host:1/metrics/job@base64/YS9i"),
            ("http://me:1/secret@host/metrics/job@base64/YS9i", "http://host/metrics/job@base64/YS9i"),
        ] {
            // Some of these are URLs, of another host than was meant; the others are refused.
            let name = Client::new(url, ClientOptions::default()).map(|client| client.name());
            let said = name.unwrap_or_else(|refused| refused.to_string());

            assert!(said.starts_with(expected) && !said.contains("se/") && !said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn who_it_is_is_said_once() {
        let headers = vec![("authorization".to_owned(), "Bearer x".to_owned())];
        for (url, options) in [
            ("http://me@host", ClientOptions { token: Some("t".into()), ..ClientOptions::default() }),
            ("http://me@host", ClientOptions { headers, ..ClientOptions::default() }),
        ] {
            assert!(matches!(Client::new(url, options), Err(PushError::Authorizations(_))));
        }
    }
}
