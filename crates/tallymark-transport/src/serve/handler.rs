//! One request and its answer: what is asked for, and who is asked.
//!
//! A scrape runs on a thread that may block, since a source may wait (for Python's lock, for a database), and at most so
//! many run at once. Whatever a source does, the answer is a response: an error or a panic is a 500 with its text, one
//! scrape too many a 503. Sockets, timeouts and connections are not known here.

use std::any::Any;
use std::error::Error;
use std::io;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use hyper::http::HeaderValue;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use tallymark_model::Snapshot;
use tallymark_model::encode::Format;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinError;

use super::service::{Answer, Service};
use super::{Exposition, Options, ServeError};

/// Why a source has no snapshot; its text is what the scraper reads.
pub type SourceError = Box<dyn Error + Send + Sync>;

/// Where a server's metrics come from: a store, a registry, or a function.
///
/// ```
/// use tallymark_model::Snapshot;
/// use tallymark_transport::Source;
///
/// let nothing = |_names: &[String]| Ok(Snapshot::default());
/// assert!(nothing.snapshot(&[]).unwrap().families.is_empty());
/// ```
pub trait Source: Send + Sync + 'static {
    /// Takes a snapshot, of the samples called `names` only unless there are none; [`Snapshot::restrict`] does that where
    /// the source knows no shorter way.
    ///
    /// Called on a thread that may block, for several scrapes at once if several clients ask.
    ///
    /// # Errors
    /// Whatever keeps the whole scrape from being answered. The scraper sees its text with status 500.
    fn snapshot(&self, names: &[String]) -> Result<Snapshot, SourceError>;

    /// Says, at little cost, whether a snapshot could be taken now. One that does not know says yes.
    ///
    /// # Errors
    /// What a scrape would be told.
    fn ready(&self) -> Result<(), SourceError> {
        Ok(())
    }
}

impl<F> Source for F
where
    F: Fn(&[String]) -> Result<Snapshot, SourceError> + Send + Sync + 'static,
{
    fn snapshot(&self, names: &[String]) -> Result<Snapshot, SourceError> {
        self(names)
    }
}

/// The names that a query string restricts a scrape to (`name[]=…`, repeated), empty ones left out.
///
/// ```
/// let names = tallymark_transport::serve::requested_names("name[]=up&name%5B%5D=http_requests_total&x=1");
/// assert_eq!(names, ["up", "http_requests_total"]);
/// ```
pub fn requested_names(query: &str) -> Vec<String> {
    form_urlencoded::parse(query.as_bytes())
        .filter(|(key, name)| key == "name[]" && !name.is_empty())
        .map(|(_, name)| name.into_owned())
        .collect()
}

/// The methods that are answered. The official client's server lists `OPTIONS,GET`.
const METHODS: &str = "OPTIONS,GET,HEAD";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// Answers requests from one source.
pub(super) struct Handler {
    source: Arc<dyn Source>,
    compression: bool,
    protobuf: bool,
    limit: usize,
    scrapes: Arc<Semaphore>,
}

/// As many scrapes are running as may.
#[derive(Debug)]
pub(super) struct Busy;

impl Handler {
    pub(super) fn new(source: Arc<dyn Source>, options: &Options) -> Self {
        let limit = options.max_scrapes.clamp(1, Semaphore::MAX_PERMITS);
        let Options { compression, protobuf, .. } = *options;
        Handler { source, compression, protobuf, limit, scrapes: Arc::new(Semaphore::new(limit)) }
    }

    /// The answer to a request, whose body must have been taken off.
    pub(super) async fn answer(&self, request: &Request<()>) -> Answer {
        match *request.method() {
            // The HTTP library sends the head of a HEAD's answer only, with the length of the body that it leaves out.
            Method::GET | Method::HEAD => self.get(request).await,
            Method::OPTIONS => respond(StatusCode::OK, &[(ALLOW, METHODS)], Vec::new()),
            ref other => {
                let text = format!("405 Method Not Allowed: {other}; use GET, HEAD or OPTIONS\n");
                respond(StatusCode::METHOD_NOT_ALLOWED, &[(ALLOW, METHODS), (CONTENT_TYPE, TEXT)], text.into())
            }
        }
    }

    async fn get(&self, request: &Request<()>) -> Answer {
        if request.uri().path() == "/favicon.ico" {
            // Browsers ask for it beside the metrics; without this every look would be a second scrape.
            return respond(StatusCode::OK, &[], Vec::new());
        }
        let scraped = self.scrape(request.uri().query(), request.headers()).await;
        scraped.unwrap_or_else(|Busy| {
            let text = format!("{} scrapes are running already, which is the limit; ask again later\n", self.limit);
            respond(StatusCode::SERVICE_UNAVAILABLE, &[(CONTENT_TYPE, TEXT)], text.into())
        })
    }

    /// The answer to a scrape with this query and these headers, whatever its path.
    pub(super) async fn scrape(&self, query: Option<&str>, headers: &HeaderMap) -> Result<Answer, Busy> {
        let accept = joined(headers, &ACCEPT);
        let accept_encoding = joined(headers, &ACCEPT_ENCODING);
        let compression = self.compression;
        let names = query.map(requested_names).unwrap_or_default();
        let negotiate = if self.protobuf { Format::negotiate_with_protobuf } else { Format::negotiate };
        self.snapshot_as(names, move |snapshot| {
            Exposition::in_format(snapshot, negotiate(accept.as_deref()), accept_encoding.as_deref(), compression)
        })
        .await
    }

    /// A snapshot of these names, as `write` writes it.
    pub(super) async fn snapshot_as(
        &self,
        names: Vec<String>,
        write: impl FnOnce(&Snapshot) -> Result<Exposition, ServeError> + Send + 'static,
    ) -> Result<Answer, Busy> {
        let permit = self.scrapes.clone().try_acquire_owned().map_err(|_| Busy)?;
        let source = self.source.clone();
        let scrape = tokio::task::spawn_blocking(move || -> Result<Exposition, SourceError> {
            // Held until the source is done, also when the client has long left: it is the threads that are counted.
            let _permit = permit;
            Ok(write(&source.snapshot(&names)?)?)
        });
        Ok(match scrape.await {
            Ok(Ok(exposition)) => respond_with(exposition),
            Ok(Err(error)) => failed(&error),
            Err(panic) => failed(&panic_text("the source of the metrics", panic)),
        })
    }
}

impl Service for Handler {
    type Stream = TcpStream;

    fn threads(&self) -> usize {
        self.limit
    }

    async fn open(&self, socket: TcpStream) -> io::Result<TcpStream> {
        Ok(socket)
    }

    async fn call(&self, request: Request<Incoming>) -> Answer {
        // The request's body is dropped unread: no metric depends on it.
        self.answer(&request.map(drop)).await
    }
}

fn respond_with(exposition: Exposition) -> Answer {
    let mut headers = vec![(CONTENT_TYPE, exposition.content_type)];
    headers.extend(exposition.content_encoding.map(|coding| (CONTENT_ENCODING, coding)));
    respond(StatusCode::OK, &headers, exposition.body)
}

pub(super) fn failed(error: &(impl ToString + ?Sized)) -> Answer {
    let text = error.to_string() + "\n";
    respond(StatusCode::INTERNAL_SERVER_ERROR, &[(CONTENT_TYPE, TEXT)], text.into())
}

pub(super) fn respond(status: StatusCode, headers: &[(HeaderName, &str)], body: Vec<u8>) -> Answer {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    for (name, value) in headers {
        // Content types and codings are plain ASCII; one that is not would be a mistake of the model, not worth a 500.
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// A header that may come in several lines, as the one list that they are; lines that are not ASCII are left out.
pub(super) fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let mut lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    let mut list = lines.next()?.to_owned();
    for line in lines {
        list.push(',');
        list.push_str(line);
    }
    Some(list)
}

/// What a panic said, as far as it said it in words.
pub(super) fn panic_text(who: &str, error: JoinError) -> String {
    let said = |panic: Box<dyn Any + Send>| match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().copied().unwrap_or("no reason given").to_owned(),
    };
    match error.try_into_panic() {
        Ok(panic) => format!("{who} panicked: {}", said(panic)),
        Err(_) => "the server is stopping".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn ask(source: impl Source, request: Request<()>) -> (StatusCode, HeaderMap, String) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let response = Handler::new(Arc::new(source), &Options::default()).answer(&request).await;
            let (head, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            (head.status, head.headers, String::from_utf8_lossy(&body).into_owned())
        })
    }

    fn nothing(_: &[String]) -> Result<Snapshot, SourceError> {
        Ok(Snapshot::default())
    }

    #[test]
    fn a_name_is_decoded_wherever_it_stands() {
        for (query, names) in [
            ("", &[][..]),
            ("name[]=a", &["a"]),
            ("name%5B%5D=a&name[]=b", &["a", "b"]),
            ("name[]=", &[]),
            ("name=a&names[]=b", &[]),
            ("name[]=a+b%2Bc", &["a b+c"]),
            ("name[]=%C3%A9%FF", &["é\u{fffd}"]),
            ("name[]=100%", &["100%"]),
        ] {
            assert_eq!(names, requested_names(query), "{query}");
        }
    }

    #[test]
    fn the_names_reach_the_source() {
        let source = |names: &[String]| Err(names.join(" and ").into());
        let request = Request::get("/any/path?name[]=a&name[]=b").body(()).unwrap();

        let (status, headers, text) = ask(source, request);

        assert_eq!((StatusCode::INTERNAL_SERVER_ERROR, "a and b\n"), (status, &*text));
        assert_eq!(TEXT, headers[CONTENT_TYPE]);
    }

    #[test]
    fn a_panic_is_an_answer() {
        for (source, text) in [
            ((|_: &[String]| panic!("no {}", "luck")) as fn(&[String]) -> _, "no luck"),
            (|_| panic!("no luck"), "no luck"),
            (|_| std::panic::panic_any(13), "no reason given"),
        ] {
            let (status, _, body) = ask(source, Request::get("/metrics").body(()).unwrap());

            assert_eq!(StatusCode::INTERNAL_SERVER_ERROR, status);
            assert_eq!(format!("the source of the metrics panicked: {text}\n"), body);
        }
    }

    #[test]
    fn a_method_that_is_not_served_gets_the_list_of_those_that_are() {
        let (status, headers, text) = ask(nothing, Request::delete("/metrics").body(()).unwrap());

        assert_eq!((StatusCode::METHOD_NOT_ALLOWED, METHODS), (status, headers[ALLOW].to_str().unwrap()));
        assert_eq!("405 Method Not Allowed: DELETE; use GET, HEAD or OPTIONS\n", text);
    }

    #[test]
    fn protobuf_is_for_clients_of_servers_that_offer_it() {
        let accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        for (protobuf, media_type) in [(false, "text/plain"), (true, "application/vnd.google.protobuf")] {
            let request = Request::get("/metrics").header(ACCEPT, accept).body(()).unwrap();
            let options = Options { protobuf, ..Options::default() };
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let answer = runtime.block_on(Handler::new(Arc::new(nothing), &options).answer(&request));
            let content_type = answer.headers()[CONTENT_TYPE].to_str().unwrap();

            assert!(content_type.starts_with(media_type), "{content_type}");
        }
    }

    #[test]
    fn a_list_in_several_lines_is_one_list() {
        let mut headers = HeaderMap::new();
        assert_eq!(None, joined(&headers, &ACCEPT));

        headers.append(ACCEPT, HeaderValue::from_static("text/plain"));
        headers.append(ACCEPT, HeaderValue::from_bytes(b"\xff").unwrap());
        headers.append(ACCEPT, HeaderValue::from_static("*/*;q=0.1"));

        assert_eq!(Some("text/plain,*/*;q=0.1"), joined(&headers, &ACCEPT).as_deref());
    }
}
