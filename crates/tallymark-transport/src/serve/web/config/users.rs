//! Users and their passwords, which the file has as bcrypt hashes only.
//!
//! Bcrypt is slow on purpose, so it runs on a thread that may block, one password at a time; what was right once is
//! remembered by a hash that is fast, under a key that nobody knows. A user who does not exist takes as long as one who
//! does.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bcrypt::HashParts;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::Semaphore;

use super::super::refusal::Refusal;

/// How many passwords may wait for their turn; each takes some 50 ms.
const WAITING: usize = 64;

/// How many right passwords are remembered.
const REMEMBERED: usize = 1000;

/// The users of a configuration file.
pub(in super::super) struct Users {
    hashes: BTreeMap<String, String>,
    /// What a user who does not exist is compared with.
    other: String,
    key: hmac::Key,
    right: Mutex<HashSet<[u8; 32]>>,
    waiting: Arc<Semaphore>,
    turn: Arc<Semaphore>,
}

impl Users {
    /// `None` if there are none.
    ///
    /// # Errors
    /// The user whose hash is none that bcrypt can check.
    pub(super) fn new(hashes: BTreeMap<String, String>) -> Result<Option<Users>, String> {
        for (user, hash) in &hashes {
            let known = ["$2a$", "$2b$", "$2y$"].iter().any(|kind| hash.starts_with(kind));
            if !known || hash.parse::<HashParts>().is_err() {
                return Err(format!(
                    "basic_auth_users: the password of {user:?} is not a bcrypt hash ($2a$, $2b$ or $2y$); \
                     htpasswd -nBC 10 \"\" makes one"
                ));
            }
        }
        let Some(other) = hashes.values().next().cloned() else { return Ok(None) };
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| "this system gives no random numbers".to_owned())?;
        let (right, waiting, turn) = (Mutex::default(), Arc::new(Semaphore::new(WAITING)), Arc::new(Semaphore::new(1)));
        Ok(Some(Users { hashes, other, key, right, waiting, turn }))
    }

    /// Whether there is such a user with this password.
    ///
    /// # Errors
    /// [`Refusal::Busy`] if too many wait to be checked.
    pub(in super::super) async fn check(&self, user: &str, password: &str) -> Result<bool, Refusal> {
        let known = self.hashes.get(user);
        let digest = self.digest(user, password);
        if known.is_some() && digest.is_some_and(|digest| self.right().contains(&digest)) {
            return Ok(true);
        }
        let waiting = self.waiting.clone().try_acquire_owned().map_err(|_| Refusal::Busy("passwords"))?;
        let turn = self.turn.clone().acquire_owned().await.map_err(|_| Refusal::Busy("passwords"))?;
        let (password, hash) = (password.to_owned(), known.unwrap_or(&self.other).clone());
        let check = move || {
            // Held until it is done, also when the client has left.
            let _places = (waiting, turn);
            bcrypt::verify(password, &hash).unwrap_or(false)
        };
        let checked = tokio::task::spawn_blocking(check).await;
        let right = known.is_some() && checked.unwrap_or(false);
        if let (true, Some(digest)) = (right, digest) {
            let mut remembered = self.right();
            if remembered.len() >= REMEMBERED {
                remembered.clear();
            }
            remembered.insert(digest);
        }
        Ok(right)
    }

    /// What stands for a user and a password in memory.
    fn digest(&self, user: &str, password: &str) -> Option<[u8; 32]> {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&user.len().to_le_bytes());
        context.update(user.as_bytes());
        context.update(password.as_bytes());
        context.sign().as_ref().try_into().ok()
    }

    fn right(&self) -> MutexGuard<'_, HashSet<[u8; 32]>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The cheapest that bcrypt has.
    fn users(passwords: &[(&str, &str)]) -> Users {
        let hashed = passwords.iter().map(|(user, password)| ((*user).to_owned(), bcrypt::hash(password, 4).unwrap()));
        Users::new(hashed.collect()).unwrap().unwrap()
    }

    #[tokio::test]
    async fn a_user_has_one_password() {
        let users = users(&[("anna", "secret"), ("bert", "other")]);
        for _ in 0..2 {
            for (user, password, right) in
                [("anna", "secret", true), ("anna", "other", false), ("bert", "other", true), ("eve", "secret", false)]
            {
                assert_eq!(Ok(right), users.check(user, password).await, "{user}");
            }
        }
        assert_eq!(2, users.right().len(), "only what was right is remembered");
    }

    #[tokio::test]
    async fn who_leaves_meanwhile_keeps_the_turn_until_the_password_is_checked() {
        let hash = bcrypt::hash("secret", 12).unwrap();
        let users = Users::new(BTreeMap::from([("anna".to_owned(), hash)])).unwrap().unwrap();
        let left = tokio::time::timeout(Duration::from_millis(1), users.check("anna", "other")).await;

        assert!(left.is_err(), "a password takes longer");
        assert_eq!(0, users.turn.available_permits());
        assert_eq!(Ok(true), users.check("anna", "secret").await);
    }

    #[tokio::test]
    async fn every_kind_of_bcrypt_is_understood() {
        let hash = bcrypt::hash("secret", 4).unwrap();
        for kind in ["$2a$", "$2b$", "$2y$"] {
            let hash = hash.replacen("$2b$", kind, 1);
            let users = Users::new(BTreeMap::from([("anna".to_owned(), hash)])).unwrap().unwrap();

            assert_eq!(Ok(true), users.check("anna", "secret").await, "{kind}");
        }
    }

    #[test]
    fn what_is_no_bcrypt_is_named_by_its_user_and_not_shown() {
        for hash in ["", "secret", "$1$abc$def", "$2y$10$short"] {
            let error = Users::new(BTreeMap::from([("anna".to_owned(), hash.to_owned())])).err().unwrap();

            assert!(error.contains("anna") && error.contains("htpasswd"), "{error}");
            assert!(hash.is_empty() || !error.contains(hash), "{error}");
        }
        assert!(Users::new(BTreeMap::new()).unwrap().is_none());
    }
}
