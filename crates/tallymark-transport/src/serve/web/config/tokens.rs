//! Tokens: words that programs send, and what each may do.
//!
//! A token is compared by its SHA-256, all of them each time, and each in the same time whatever it is.

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;

use super::file::TokenFile;

/// The shortest token. One of 16 random characters is beyond guessing; a word of a language is not.
const SHORTEST: usize = 16;

/// What somebody may do. None includes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Scope {
    /// Pushing to groups and deleting them.
    Push,
    /// Reading metrics and groups.
    Scrape,
    /// Deleting all groups, and ending the server.
    Admin,
}

impl Scope {
    const ALL: [(&'static str, Scope); 3] = [("push", Scope::Push), ("scrape", Scope::Scrape), ("admin", Scope::Admin)];

    /// Its name in the file.
    pub(in super::super) fn as_str(self) -> &'static str {
        match self {
            Scope::Push => "push",
            Scope::Scrape => "scrape",
            Scope::Admin => "admin",
        }
    }
}

/// What one token may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Rights {
    scopes: Vec<Scope>,
    /// The only job whose groups it may push to, if it is bound to one.
    pub(in super::super) job: Option<String>,
}

impl Rights {
    pub(in super::super) fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Whether it may push to groups of any job.
    fn is_free(&self) -> bool {
        self.has(Scope::Push) && self.job.is_none()
    }
}

/// The tokens of a file.
pub(in super::super) struct Tokens(Vec<([u8; 32], Rights)>);

impl Tokens {
    /// # Errors
    /// Which entry is wrong, and how.
    pub(super) fn new(entries: Vec<TokenFile>) -> Result<Tokens, String> {
        if entries.is_empty() {
            return Err("no tokens; write a list such as - {token: <openssl rand -hex 32>, scopes: [push]}".to_owned());
        }
        let read = |(index, entry)| one(entry).map_err(|problem| format!("token {}: {problem}", index + 1));
        entries.into_iter().enumerate().map(read).collect::<Result<_, _>>().map(Tokens)
    }

    /// What a token may do; `None` if it is none of them.
    pub(in super::super) fn find(&self, token: &str) -> Option<&Rights> {
        let presented = sha256(token)?;
        let mut found = None;
        for (digest, rights) in &self.0 {
            if bool::from(digest.ct_eq(&presented)) {
                found = Some(rights);
            }
        }
        found
    }

    /// Whether a token that `last` bound to a job may push to any.
    pub(super) fn unbind(&self, last: &Tokens) -> bool {
        let bound = last.0.iter().filter(|(_, rights)| rights.job.is_some());
        let free = |digest: &[u8; 32]| self.0.iter().any(|(other, rights)| other == digest && rights.is_free());
        bound.into_iter().any(|(digest, _)| free(digest))
    }
}

fn one(entry: TokenFile) -> Result<([u8; 32], Rights), String> {
    let digest = match (entry.token, entry.sha256) {
        (Some(token), None) if token.len() < SHORTEST => {
            return Err(format!("shorter than {SHORTEST} characters; openssl rand -hex 32 makes one"));
        }
        (Some(token), None) => sha256(&token),
        (None, Some(hex)) => from_hex(&hex),
        _ => return Err("give either token or sha256".to_owned()),
    };
    let digest = digest.ok_or("sha256 is not 64 hexadecimal digits; printf %s \"$TOKEN\" | sha256sum prints them")?;
    let scope = |name: &String| {
        let found = Scope::ALL.iter().find(|(known, _)| known == name).map(|(_, scope)| *scope);
        found.ok_or_else(|| format!("scope {name:?}; there are push, scrape and admin"))
    };
    let scopes: Vec<Scope> = entry.scopes.iter().map(scope).collect::<Result<_, _>>()?;
    if scopes.is_empty() {
        return Err("no scopes; there are push, scrape and admin".to_owned());
    }
    if entry.job.is_some() && !scopes.contains(&Scope::Push) {
        return Err("job bounds pushes, but push is not among the scopes".to_owned());
    }
    Ok((digest, Rights { scopes, job: entry.job }))
}

fn sha256(token: &str) -> Option<[u8; 32]> {
    digest(&SHA256, token.as_bytes()).as_ref().try_into().ok()
}

fn from_hex(hex: &str) -> Option<[u8; 32]> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.iter().map(byte).collect::<Option<Vec<u8>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::super::file::parse;
    use super::*;

    fn tokens(yaml: &str) -> Result<Tokens, String> {
        parse(yaml.as_bytes()).and_then(Tokens::new)
    }

    #[test]
    fn a_token_may_do_what_its_entry_says() {
        let yaml = "[{token: pushing-and-scraping, scopes: [push, scrape], job: backup}]";
        let tokens = tokens(yaml).unwrap();

        let found = tokens.find("pushing-and-scraping").unwrap();
        assert!(found.has(Scope::Push) && found.has(Scope::Scrape) && !found.has(Scope::Admin));
        assert_eq!(Some("backup"), found.job.as_deref());
        assert_eq!(None, tokens.find("pushing-and-scrapinG"));
    }

    #[test]
    fn a_hash_stands_for_its_token() {
        let hash: String = sha256("correct-horse-battery").unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        for hash in [hash.clone(), hash.to_uppercase()] {
            let tokens = tokens(&format!("[{{sha256: {hash}, scopes: [admin]}}]")).unwrap();

            assert!(tokens.find("correct-horse-battery").unwrap().has(Scope::Admin));
            assert_eq!(None, tokens.find(&hash), "the hash is not the token");
        }
    }

    #[test]
    fn an_entry_that_is_wrong_is_named_by_its_number() {
        for (yaml, words) in [
            ("[]", "no tokens"),
            ("", "no tokens"),
            ("[{token: short, scopes: [push]}]", "token 1: shorter"),
            ("[{scopes: [push]}]", "either token or sha256"),
            ("[{sha256: abc, scopes: [push]}]", "64 hexadecimal"),
            ("[{token: long-enough-to-be-one, scopes: []}]", "no scopes"),
            ("[{token: long-enough-to-be-one, scopes: [write]}]", "\"write\""),
            ("[{token: long-enough-to-be-one, scopes: [scrape], job: a}]", "push is not among"),
            ("[{token: long-enough-to-be-one, scope: [push]}]", "scope"),
        ] {
            let error = tokens(yaml).err().unwrap();

            assert!(error.contains(words), "{yaml}: {error}");
            assert!(!error.contains("long-enough"), "{error}");
        }
    }
}
