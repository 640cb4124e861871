//! The page that a person sees who opens the port in a browser, and the numbers it asks for.
//!
//! Plain HTML, CSS and JavaScript modules, as they are in this folder, in the binary: nothing is built, and nothing comes
//! from another host. [`asset`] gives the files, [`families_json`] the numbers, and [`HEADERS`] what must be sent with
//! both. The page asks for what it shows by relative links, so it works under any prefix; whoever serves it under `/x`
//! sends a browser that asks for `/x` to `/x/`. It sets no cookies, and
//! keeps a token only until it is closed.
//!
//! Nothing here knows requests, sockets, stores or groups.

mod json;
mod native;

pub use json::families_json;

/// Headers for every file of the page: it runs its own scripts and styles, and talks to where it came from, only.
pub const HEADERS: [(&str, &str); 4] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    // Asked for anew each time, by its tag: a newer server has a newer page.
    ("cache-control", "no-cache"),
];

/// A file of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// The file.
    pub body: &'static [u8],
    /// The value of `ETag`, quotes included: another one for other bytes.
    pub etag: &'static str,
}

/// The file of the page at `path`, which is what follows the server's prefix and starts with a slash.
///
/// ```
/// use tallymark_transport::page::asset;
/// assert_eq!(asset("/").unwrap().content_type, "text/html; charset=utf-8");
/// assert!(asset("/page/main.js").is_some());
/// assert!(asset("/metrics").is_none());
/// ```
pub fn asset(path: &str) -> Option<Asset> {
    ASSETS.iter().find(|(known, _)| *known == path).map(|(_, asset)| *asset)
}

macro_rules! file {
    ($name:literal, $content_type:literal) => {{
        const BODY: &[u8] = include_bytes!($name);
        const TAG: [u8; 18] = tag(BODY);
        Asset {
            content_type: $content_type,
            body: BODY,
            etag: match std::str::from_utf8(&TAG) {
                Ok(etag) => etag,
                Err(_) => panic!("a tag is hexadecimal digits in quotes"),
            },
        }
    }};
}

const ASSETS: [(&str, Asset); 15] = [
    ("/", file!("index.html", "text/html; charset=utf-8")),
    ("/page/page.css", file!("page.css", "text/css; charset=utf-8")),
    ("/page/icon.svg", file!("icon.svg", "image/svg+xml")),
    ("/page/main.js", file!("main.js", "text/javascript; charset=utf-8")),
    ("/page/feed.js", file!("feed.js", "text/javascript; charset=utf-8")),
    ("/page/history.js", file!("history.js", "text/javascript; charset=utf-8")),
    ("/page/format.js", file!("format.js", "text/javascript; charset=utf-8")),
    ("/page/dom.js", file!("dom.js", "text/javascript; charset=utf-8")),
    ("/page/chart.js", file!("chart.js", "text/javascript; charset=utf-8")),
    ("/page/table.js", file!("table.js", "text/javascript; charset=utf-8")),
    ("/page/metrics.js", file!("metrics.js", "text/javascript; charset=utf-8")),
    ("/page/family.js", file!("family.js", "text/javascript; charset=utf-8")),
    ("/page/series.js", file!("series.js", "text/javascript; charset=utf-8")),
    ("/page/groups.js", file!("groups.js", "text/javascript; charset=utf-8")),
    ("/page/health.js", file!("health.js", "text/javascript; charset=utf-8")),
];

/// 64 bits of FNV-1a in hexadecimal digits, in quotes: enough to tell one build's file from another's.
const fn tag(body: &[u8]) -> [u8; 18] {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < body.len() {
        hash = (hash ^ body[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    let mut tag = [b'"'; 18];
    let mut digit = 1;
    while digit < 17 {
        // CAST: four bits.
        tag[digit] = b"0123456789abcdef"[(hash >> (64 - 4 * digit)) as usize & 15];
        digit += 1;
    }
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_names_is_there() {
        for (path, asset) in ASSETS {
            let text = std::str::from_utf8(asset.body).unwrap();
            let folder = if path == "/" { "/" } else { "/page/" };
            let quoted = text.split('"').skip(1).step_by(2);
            let named = quoted.filter(|word| word.starts_with("page/") || word.starts_with("./"));
            for name in named.filter(|word| *word != "./") {
                let name = format!("{folder}{}", name.trim_start_matches("./"));

                assert!(super::asset(&name).is_some(), "{path} names {name}");
            }
        }
    }

    #[test]
    fn no_file_names_another_host_or_a_path_from_the_root() {
        for (path, asset) in ASSETS {
            let text = std::str::from_utf8(asset.body).unwrap().replace("http://www.w3.org/2000/svg", "");

            assert!(!text.contains("http:") && !text.contains("https:"), "{path}");
            for word in text.split('"') {
                let rooted = word.strip_prefix('/').is_some_and(|rest| rest.starts_with(char::is_alphanumeric));

                assert!(!rooted, "{path} names {word}");
            }
        }
    }

    #[test]
    fn nothing_in_the_html_is_run_or_styled_in_place() {
        let html = std::str::from_utf8(asset("/").unwrap().body).unwrap();

        assert!(!html.contains("<style") && !html.contains("style=") && !html.contains("onclick"));
        assert_eq!(html.matches("<script").count(), html.matches("<script type=\"module\" src=").count());
    }

    #[test]
    fn a_tag_is_of_the_bytes() {
        // The hash of no bytes, and of "a", as the algorithm's authors publish them.
        assert_eq!(*b"\"cbf29ce484222325\"", tag(b""));
        assert_eq!(*b"\"af63dc4c8601ec8c\"", tag(b"a"));
    }
}
