//! Which path is what: a pure function of a method and a path.
//!
//! Paths are compared as they were sent. What a push's path says (which group) the gateway reads.

use hyper::Method;

use super::WebOptions;
use super::config::Scope;
use super::refusal::Refusal;

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Metrics,
    Push,
    Delete,
    /// What the gateway answers without changing anything.
    Groups,
    Families,
    Wipe,
    Healthy,
    Ready,
    Quit,
    Page,
    /// Above the prefix: the page is elsewhere.
    Root,
    /// Where the metrics would be, and where the page looks for them: they have another path.
    Moved,
}

/// The paths of a server.
#[derive(Debug)]
pub(super) struct Routes {
    prefix: String,
    telemetry_path: String,
    lifecycle: bool,
    admin_api: bool,
}

const READ: &str = "GET,HEAD,OPTIONS";

impl Routes {
    pub(super) fn new(options: &WebOptions) -> Routes {
        Routes {
            prefix: options.route_prefix.trim_end_matches('/').to_owned(),
            telemetry_path: options.telemetry_path.clone(),
            lifecycle: options.lifecycle,
            admin_api: options.admin_api,
        }
    }

    /// What stands before every path; empty, or with a slash at its beginning and none at its end.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The path without the prefix, `None` if it has another beginning.
    pub(super) fn inside<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&*self.prefix).filter(|rest| rest.starts_with('/'))
    }

    /// What is at a path; `page` says which paths the page's files have.
    pub(super) fn find(&self, method: &Method, path: &str, page: impl Fn(&str) -> bool) -> Option<Route> {
        let Some(inside) = self.inside(path) else {
            return (path == "/" || path == self.prefix).then_some(Route::Root);
        };
        if inside == self.telemetry_path {
            return Some(Route::Metrics);
        }
        match inside {
            "/api/v1/metrics" | "/api/v1/status" => Some(Route::Groups),
            "/api/v1/families" => Some(Route::Families),
            "/api/v1/admin/wipe" => Some(Route::Wipe),
            "/-/healthy" => Some(Route::Healthy),
            "/-/ready" => Some(Route::Ready),
            "/-/quit" => Some(Route::Quit),
            "/metrics" => Some(Route::Moved),
            _ if is_group(inside) => Some(if method == Method::DELETE { Route::Delete } else { Route::Push }),
            _ => page(inside).then_some(Route::Page),
        }
    }

    /// Whether a route is there, with this method.
    ///
    /// # Errors
    /// [`Refusal::Method`], or that something is not enabled.
    pub(super) fn allow(&self, route: Route, method: &Method) -> Result<(), Refusal> {
        match route {
            Route::Quit if !self.lifecycle => return Err(Refusal::NoLifecycle),
            Route::Wipe if !self.admin_api => return Err(Refusal::NoAdmin),
            _ => {}
        }
        let allow = route.methods();
        let allowed = allow.split(',').any(|allowed| allowed == method.as_str());
        if allowed { Ok(()) } else { Err(Refusal::Method { method: method.clone(), allow }) }
    }

    /// Where the metrics are, as seen from `/metrics`: a proxy may have taken a part of the path that the client knows.
    pub(super) fn moved(&self) -> String {
        format!(".{}", self.telemetry_path)
    }

    /// That nothing is at a path.
    pub(super) fn not_found(&self) -> Refusal {
        Refusal::NotFound { telemetry_path: format!("{}{}", self.prefix, self.telemetry_path) }
    }
}

impl Route {
    /// The methods that it has, as `Allow` lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Route::Push | Route::Delete => "PUT,POST,DELETE,OPTIONS",
            Route::Wipe => "PUT,OPTIONS",
            Route::Quit => "PUT,POST,OPTIONS",
            _ => READ,
        }
    }

    /// The name under which requests are counted: the Pushgateway's where it has one.
    pub(super) fn handler(self) -> &'static str {
        match self {
            Route::Metrics => "metrics",
            Route::Push => "push",
            Route::Delete => "delete",
            Route::Groups | Route::Families => "api",
            Route::Wipe => "wipe",
            Route::Healthy => "healthy",
            Route::Ready => "ready",
            Route::Quit => "quit",
            Route::Page | Route::Root | Route::Moved => "static",
        }
    }

    /// What one must be allowed to do for it; `None` for what shows nothing: health, and the page without its data.
    pub(super) fn scope(self) -> Option<Scope> {
        match self {
            Route::Push | Route::Delete => Some(Scope::Push),
            Route::Metrics | Route::Groups | Route::Families => Some(Scope::Scrape),
            Route::Wipe | Route::Quit => Some(Scope::Admin),
            Route::Healthy | Route::Ready | Route::Page | Route::Root | Route::Moved => None,
        }
    }
}

/// Whether a path is one of a group, however broken: the gateway says what is wrong with it.
fn is_group(path: &str) -> bool {
    path.strip_prefix("/metrics/job").is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '@']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(options: &WebOptions, method: Method, path: &str) -> Result<Route, u16> {
        let routes = Routes::new(options);
        let route = routes.find(&method, path, |path| path == "/" || path == "/page.css").ok_or(404_u16)?;
        routes.allow(route, &method).map_err(|refusal| refusal.answer().status().as_u16())?;
        Ok(route)
    }

    #[test]
    fn every_path_has_its_methods() {
        let options = WebOptions::default();
        for (method, path, route) in [
            (Method::GET, "/metrics", Ok(Route::Metrics)),
            (Method::HEAD, "/metrics", Ok(Route::Metrics)),
            (Method::POST, "/metrics", Err(405)),
            (Method::GET, "/metrics/", Err(404)),
            (Method::PUT, "/metrics/job/a", Ok(Route::Push)),
            (Method::POST, "/metrics/job@base64/YQ/b/c", Ok(Route::Push)),
            (Method::DELETE, "/metrics/job/a", Ok(Route::Delete)),
            (Method::GET, "/metrics/job/a", Err(405)),
            (Method::PUT, "/metrics/jobs/a", Err(404)),
            (Method::PUT, "/metrics/job", Ok(Route::Push)),
            (Method::GET, "/api/v1/metrics", Ok(Route::Groups)),
            (Method::GET, "/api/v1/families", Ok(Route::Families)),
            (Method::GET, "/-/healthy", Ok(Route::Healthy)),
            (Method::DELETE, "/-/ready", Err(405)),
            (Method::PUT, "/-/quit", Err(403)),
            (Method::PUT, "/api/v1/admin/wipe", Err(404)),
            (Method::GET, "/", Ok(Route::Page)),
            (Method::GET, "/page.css", Ok(Route::Page)),
            (Method::GET, "/page.css/../../etc/passwd", Err(404)),
            (Method::GET, "//metrics", Err(404)),
        ] {
            assert_eq!(route, found(&options, method.clone(), path), "{method} {path}");
        }
    }

    #[test]
    fn what_changes_the_server_is_there_when_it_is_enabled() {
        let options = WebOptions { lifecycle: true, admin_api: true, ..WebOptions::default() };

        assert_eq!(Ok(Route::Quit), found(&options, Method::PUT, "/-/quit"));
        assert_eq!(Ok(Route::Quit), found(&options, Method::POST, "/-/quit"));
        assert_eq!(Ok(Route::Wipe), found(&options, Method::PUT, "/api/v1/admin/wipe"));
        assert_eq!(Err(405), found(&options, Method::GET, "/-/quit"));
    }

    #[test]
    fn metrics_may_be_where_the_page_would_be() {
        let options = WebOptions { telemetry_path: "/".to_owned(), ..WebOptions::default() };

        assert_eq!(Ok(Route::Metrics), found(&options, Method::GET, "/"));
        assert_eq!(Ok(Route::Moved), found(&options, Method::GET, "/metrics"));
        assert_eq!("./", Routes::new(&options).moved());
        assert_eq!(Ok(Route::Push), found(&options, Method::PUT, "/metrics/job/a"));
    }

    #[test]
    fn a_prefix_stands_before_every_path() {
        let telemetry_path = "/all".to_owned();
        let options = WebOptions { route_prefix: "/push/".to_owned(), telemetry_path, ..WebOptions::default() };
        for (path, route) in [
            ("/push/all", Ok(Route::Metrics)),
            ("/push/metrics", Ok(Route::Moved)),
            ("/all", Err(404)),
            ("/pushall", Err(404)),
            ("/push", Ok(Route::Root)),
            ("/", Ok(Route::Root)),
            ("/push/", Ok(Route::Page)),
        ] {
            assert_eq!(route, found(&options, Method::GET, path), "{path}");
        }
        assert_eq!(Ok(Route::Push), found(&options, Method::PUT, "/push/metrics/job/a"));
    }
}
