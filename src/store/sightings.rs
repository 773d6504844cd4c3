//! What was seen of WeCom: moments worth remembering, and refused callbacks by reason.
//!
//! [`Sightings`] counts in memory, because strangers can send as many callbacks as they like and WeCom must not wait
//! for a second write; now and then what was counted is added to the store, in one transaction.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use rusqlite::params;

use super::{
    Error, Store,
    figures::time,
    setting::{lanes_from, lanes_to},
};
use crate::{clock::Timestamp, model::id::AppKey};

/// WeCom's console verified the callback URL.
const VERIFIED: &str = "callback_verified";
/// When an application's last message was accepted, and when WeCom last took one of its.
const LAST_ACCEPTED_OF: &str =
    "SELECT (SELECT received_at FROM inbox WHERE lane >= ?1 AND lane < ?2 ORDER BY seq DESC LIMIT 1)";
const LAST_SENT_OF: &str =
    "SELECT (SELECT ended_at FROM outbox WHERE state = 'sent' AND lane >= ?1 AND lane < ?2 ORDER BY seq DESC LIMIT 1)";
/// A callback was taken.
const ACCEPTED: &str = "callback_accepted";

/// What was seen of one application since it was last saved. A good callback costs one store to memory.
#[derive(Debug, Default)]
pub struct Sightings {
    /// The application's name; empty: that of `[wecom]`.
    app: String,
    verified: Latest,
    accepted: Latest,
    /// The reasons are our own words, so there are few of them.
    refusals: Mutex<BTreeMap<&'static str, Count>>,
}

/// When something happened last, in epoch milliseconds; zero where it did not.
#[derive(Debug, Default)]
struct Latest(AtomicI64);

impl Latest {
    fn note(&self, at: Timestamp) {
        self.0.fetch_max(at.as_millis(), Ordering::Relaxed);
    }

    fn take(&self) -> Option<Timestamp> {
        Some(self.0.swap(0, Ordering::Relaxed)).filter(|millis| *millis != 0).map(Timestamp::from_millis)
    }
}

#[derive(Clone, Debug, Default)]
struct Seen {
    moments: Vec<(&'static str, Timestamp)>,
    refusals: BTreeMap<&'static str, Count>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    count: u64,
    first_at: Timestamp,
    last_at: Timestamp,
}

impl Sightings {
    /// Nothing was seen of this application yet; `None`: that of `[wecom]`.
    pub fn of(app: Option<&str>) -> Self {
        Self { app: app.unwrap_or_default().to_owned(), ..Self::default() }
    }

    /// WeCom's console verified the callback URL.
    pub fn verified(&self, at: Timestamp) {
        self.verified.note(at);
    }

    /// A callback was taken.
    pub fn accepted(&self, at: Timestamp) {
        self.accepted.note(at);
    }

    /// A callback was refused for `reason`, a word that never changes.
    pub fn refused(&self, reason: &'static str, at: Timestamp) {
        let mut refusals = self.refusals();
        let count = refusals.entry(reason).or_insert(Count { count: 0, first_at: at, last_at: at });
        count.count += 1;
        count.last_at = at;
    }

    /// Adds what was seen to the store; nothing is written where nothing was seen.
    ///
    /// # Errors
    /// [`Error`]: it is kept, and saved the next time.
    pub async fn save(&self, store: &Store) -> Result<(), Error> {
        let taken = self.take();
        if taken.moments.is_empty() && taken.refusals.is_empty() {
            return Ok(());
        }
        let saved = store.add_sightings(self.app.clone(), taken.clone()).await;
        if saved.is_err() {
            self.put_back(taken);
        }
        saved
    }

    fn take(&self) -> Seen {
        let moments = [(VERIFIED, self.verified.take()), (ACCEPTED, self.accepted.take())];
        let moments = moments.into_iter().filter_map(|(name, at)| Some((name, at?))).collect();
        Seen { moments, refusals: mem::take(&mut *self.refusals()) }
    }

    fn put_back(&self, taken: Seen) {
        for (name, at) in taken.moments {
            if name == VERIFIED { self.verified.note(at) } else { self.accepted.note(at) }
        }
        let mut refusals = self.refusals();
        for (reason, old) in taken.refusals {
            refusals
                .entry(reason)
                .and_modify(|new| {
                    new.count += old.count;
                    new.first_at = old.first_at;
                })
                .or_insert(old);
        }
    }

    fn refusals(&self) -> MutexGuard<'_, BTreeMap<&'static str, Count>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything that is remembered of callbacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallbackHistory {
    /// When WeCom's console last verified the URL.
    pub verified_at: Option<Timestamp>,
    /// When a callback was last taken.
    pub accepted_at: Option<Timestamp>,
    /// When WeCom last took a message of ours.
    pub sent_at: Option<Timestamp>,
    /// What was refused, the latest first.
    pub refusals: Vec<Refusals>,
}

/// The callbacks that were refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// The reason's word.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// The last of them.
    pub last_at: Timestamp,
}

impl Store {
    async fn add_sightings(&self, app: String, seen: Seen) -> Result<(), Error> {
        self.db
            .write(move |conn| {
                for (name, at) in &seen.moments {
                    conn.prepare_cached(
                        "INSERT INTO moment (name, at) VALUES (?1, ?2)
                         ON CONFLICT (name) DO UPDATE SET at = MAX(at, excluded.at)",
                    )?
                    .execute(params![moment_of(&app, name), at.as_millis()])?;
                }
                for (reason, Count { count, first_at, last_at }) in &seen.refusals {
                    conn.prepare_cached(
                        "INSERT INTO refusal (app, reason, count, first_at, last_at) VALUES (?5, ?1, ?2, ?3, ?4)
                         ON CONFLICT (app, reason) DO UPDATE SET count = count + excluded.count,
                                                            last_at = MAX(last_at, excluded.last_at)",
                    )?
                    .execute(params![
                        reason,
                        count,
                        first_at.as_millis(),
                        last_at.as_millis(),
                        app
                    ])?;
                }
                Ok(())
            })
            .await
    }

    /// What is remembered of an application's callbacks, by its name (`None`: that of `[wecom]`) and its place. Messages
    /// that came before this was remembered count as well.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read; one that this version has not opened for serving yet, too.
    pub async fn callback_history(&self, name: Option<&str>, app: &AppKey) -> Result<CallbackHistory, Error> {
        let (name, app) = (name.unwrap_or_default().to_owned(), app.clone());
        self.db
            .read(move |conn| {
                let latest =
                    |moment: &str| time(conn, "SELECT MAX(at) FROM moment WHERE name = ?1", [moment_of(&name, moment)]);
                let refusals = conn
                    .prepare_cached(
                        "SELECT reason, count, last_at FROM refusal WHERE app = ?1 ORDER BY last_at DESC, reason",
                    )?
                    .query_map([&name], |row| {
                        Ok(Refusals {
                            reason: row.get(0)?,
                            count: row.get(1)?,
                            last_at: Timestamp::from_millis(row.get(2)?),
                        })
                    })?
                    .collect::<Result<_, _>>()?;
                // Looks back from the newest row: with several applications as far as to the first of this one.
                let of_app = [lanes_from(&app), lanes_to(&app)];
                Ok(CallbackHistory {
                    verified_at: latest(VERIFIED)?,
                    accepted_at: latest(ACCEPTED)?.max(time(conn, LAST_ACCEPTED_OF, of_app.clone())?),
                    sent_at: time(conn, LAST_SENT_OF, of_app)?,
                    refusals,
                })
            })
            .await
    }
}

/// The name of an application's moment.
fn moment_of(app: &str, moment: &str) -> String {
    if app.is_empty() { moment.to_owned() } else { format!("{moment}:{app}") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{self, storage::Synchronous};

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + secs)
    }

    #[tokio::test]
    async fn what_was_seen_adds_up_in_the_store() {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = config::Storage {
            data_dir: dir.path().to_owned(),
            synchronous: Synchronous::Normal,
            max_size_mib: None,
            keep: Duration::from_secs(1),
        };
        let store = Store::open(&settings, at(0)).expect("a store");
        let sightings = Sightings::default();
        let app = AppKey::from_stored("ww1/1");
        assert_eq!(store.callback_history(None, &app).await.expect("readable"), CallbackHistory::default());
        for n in 0..1000 {
            sightings.refused("wrong_signature", at(n));
        }
        sightings.verified(at(5));
        sightings.save(&store).await.expect("saved");
        sightings.refused("wrong_signature", at(2000));
        sightings.refused("missing_parameter", at(2001));
        sightings.accepted(at(7));
        sightings.save(&store).await.expect("saved");

        let history = store.callback_history(None, &app).await.expect("readable");
        assert_eq!((history.verified_at, history.accepted_at, history.sent_at), (Some(at(5)), Some(at(7)), None));
        let refusals: Vec<_> = history.refusals.iter().map(|r| (r.reason.as_str(), r.count, r.last_at)).collect();
        assert_eq!(refusals, [("missing_parameter", 1, at(2001)), ("wrong_signature", 1001, at(2000))]);
        let other = store.callback_history(Some("hr"), &app).await.expect("readable");
        assert_eq!(other, CallbackHistory::default(), "of another application");
    }

    #[test]
    fn what_could_not_be_saved_is_kept() {
        let sightings = Sightings::default();
        sightings.refused("wrong_signature", at(1));
        sightings.accepted(at(1));
        let taken = sightings.take();
        sightings.refused("wrong_signature", at(3));
        sightings.accepted(at(3));
        sightings.put_back(taken);
        let seen = sightings.take();
        let count = seen.refusals["wrong_signature"];
        assert_eq!((count.count, count.first_at, count.last_at), (2, at(1), at(3)));
        assert_eq!(seen.moments, [(ACCEPTED, at(3))]);
    }
}
