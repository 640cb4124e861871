//! Who asks, and whether they may: a user with a password may do everything, a token what its entry says.
//!
//! Where there are neither users nor tokens, everybody may do everything.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

use super::config::{Config, Scope};
use super::refusal::Refusal;
use super::route::Route;

/// Lets a request pass.
///
/// `job` gives the job that a push's path names. A path without anything is as secret as the metrics.
///
/// # Errors
/// [`Refusal::Credentials`] for who is nobody, [`Refusal::Scope`] for who may not.
pub(super) async fn admit(
    config: &Config,
    route: Option<Route>,
    headers: &HeaderMap,
    job: impl FnOnce() -> Option<String>,
) -> Result<(), Refusal> {
    let scope = route.map_or(Some(Scope::Scrape), Route::scope);
    match (&config.users, &config.tokens, scope) {
        (None, None, _) => return Ok(()),
        // A load balancer has no token, and a browser none yet when it loads the page that asks for one.
        (_, Some(_), None) => return Ok(()),
        _ => {}
    }
    let basic = config.users.is_some();
    let nobody = || Refusal::Credentials { basic };
    let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(nobody)?;
    let (scheme, word) = value.split_once(' ').ok_or_else(nobody)?;
    match (&config.users, &config.tokens) {
        (Some(users), _) if scheme.eq_ignore_ascii_case("basic") => {
            let (user, password) = user_and_password(word).ok_or_else(nobody)?;
            if users.check(&user, &password).await? { Ok(()) } else { Err(nobody()) }
        }
        (_, Some(tokens)) if scheme.eq_ignore_ascii_case("bearer") => {
            let rights = tokens.find(word.trim()).ok_or_else(nobody)?;
            if let Some(scope) = scope.filter(|scope| !rights.has(*scope)) {
                return Err(Refusal::Scope(scope.as_str().to_owned()));
            }
            match &rights.job {
                Some(bound) if scope == Some(Scope::Push) && job().as_ref() != Some(bound) => {
                    Err(Refusal::Scope(format!("push to a job other than {bound:?}")))
                }
                _ => Ok(()),
            }
        }
        _ => Err(nobody()),
    }
}

fn user_and_password(word: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(word.trim()).ok()?).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}
