//! What is not kept. Where an application keeps no texts, what was acknowledged is on the disk until it is answered and
//! delivered, like everywhere, and goes in the transaction that ends it.
//!
//! An inbox row loses its event when it ends, a turn is ended without its texts, an outbox row loses its text when WeCom
//! took it; files go when nothing of their lane is open. Dead letters keep theirs until somebody decides over them. What
//! was written under another mode, or came back with a backup, is swept away with the pruner's first round.

use std::{collections::HashMap, ops::RangeInclusive, sync::Arc};

use rusqlite::{Connection, params};

use super::{
    Error, Store,
    db::Db,
    media::{self, Shelf},
    member::bury,
    outbox::DUPLICATE_CHECK,
};
use crate::{
    clock::Timestamp,
    model::{
        id::{AppKey, Lane},
        privacy::Privacy,
    },
};

/// Rows in one transaction.
const BATCH: usize = 200;

/// The mode of each application; [`Privacy::Full`] where nothing else is said.
#[derive(Clone, Debug, Default)]
pub(super) struct Modes(Arc<HashMap<String, Privacy>>);

impl Modes {
    pub(super) fn of(&self, lane: &Lane) -> Privacy {
        self.0.get(lane.app()).copied().unwrap_or_default()
    }

    /// Whether some application keeps no texts.
    fn any(&self) -> bool {
        self.0.values().any(|mode| !mode.keeps_texts())
    }
}

impl Store {
    /// Keeps of these applications what their modes say.
    #[must_use]
    pub fn with_privacy(self, modes: impl IntoIterator<Item = (AppKey, Privacy)>) -> Self {
        let modes = modes.into_iter().map(|(app, mode)| (app.as_str().to_owned(), mode)).collect();
        Self { modes: Modes(Arc::new(modes)), ..self }
    }

    /// Whether some application keeps no texts, or keeps them for days of its own.
    pub fn lets_texts_go(&self) -> bool {
        self.modes.any() || self.shorter.any()
    }

    /// Waits until a text may have gone.
    pub async fn texts_went(&self) {
        self.signals.texts_went.notified().await;
    }

    /// Empties the log beside the database, in which a text that is gone still stands. False where somebody was looking
    /// at it: try again.
    ///
    /// # Errors
    /// [`Error`] when it cannot be written.
    pub async fn empty_log(&self) -> Result<bool, Error> {
        self.db.empty_log().await
    }
}

/// Takes from inbox rows that have ended what was in them.
pub(super) fn ended(
    conn: &Connection,
    mode: Privacy,
    lane: &Lane,
    seqs: RangeInclusive<i64>,
    now: Timestamp,
) -> Result<(), rusqlite::Error> {
    if mode.keeps_texts() {
        return Ok(());
    }
    let ended: Vec<i64> = conn
        .prepare_cached(
            "SELECT seq FROM inbox WHERE seq BETWEEN ?1 AND ?2 AND lane = ?3 AND state IN ('done', 'unreadable')",
        )?
        .query_map(params![seqs.start(), seqs.end(), lane.as_str()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    empty_inbox(conn, mode, &ended, now)
}

fn empty_inbox(conn: &Connection, mode: Privacy, seqs: &[i64], now: Timestamp) -> Result<(), rusqlite::Error> {
    if mode == Privacy::Nothing {
        // Of a message is left what tells a repetition of it, for a day.
        return bury(conn, seqs, now).map(drop);
    }
    let mut update = conn.prepare_cached("UPDATE inbox SET event = '' WHERE seq = ?1")?;
    seqs.iter().try_for_each(|seq| update.execute([seq]).map(drop))
}

/// Takes away what is left of a lane of which nothing is open: its files and, where nothing is kept, its conversations.
pub(super) fn tidy(conn: &Connection, mode: Privacy, shelf: &Shelf, lane: &Lane) -> Result<(), rusqlite::Error> {
    if mode.keeps_texts() || is_open(conn, lane)? {
        return Ok(());
    }
    conn.prepare_cached("DELETE FROM upload WHERE hash IN (SELECT hash FROM media_use WHERE lane = ?1)")?
        .execute([lane.as_str()])?;
    media::erase_of(conn, shelf, lane.as_str())?;
    if mode == Privacy::Nothing {
        for sql in [
            "DELETE FROM turn WHERE conversation IN (SELECT id FROM conversation WHERE lane = ?1)",
            "DELETE FROM conversation WHERE lane = ?1",
        ] {
            conn.prepare_cached(sql)?.execute([lane.as_str()])?;
        }
    }
    Ok(())
}

fn is_open(conn: &Connection, lane: &Lane) -> Result<bool, rusqlite::Error> {
    for sql in [
        "SELECT 1 FROM inbox_lane WHERE lane = ?1",
        "SELECT 1 FROM outbox WHERE lane = ?1 AND state = 'waiting' LIMIT 1",
        "SELECT 1 FROM outbox WHERE lane = ?1 AND state = 'dead' LIMIT 1",
    ] {
        if conn.prepare_cached(sql)?.exists([lane.as_str()])? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes away what the applications that keep no texts have of before, some rows at a time. Reads whole tables.
pub(super) async fn sweep(db: &Db, shelf: &Shelf, modes: &Modes, now: Timestamp) -> Result<usize, Error> {
    let mut total = 0;
    for (app, mode) in modes.0.iter().filter(|(_, mode)| !mode.keeps_texts()) {
        let (mode, range) = (*mode, (format!("{app}/"), format!("{app}0")));
        let ended = ids(
            db,
            &range,
            "SELECT seq FROM inbox WHERE lane >= ?1 AND lane < ?2 AND state IN ('done', 'unreadable') AND event <> ''",
        );
        for batch in ended.await?.chunks(BATCH) {
            let batch = batch.to_vec();
            total += batch.len();
            db.write(move |conn| empty_inbox(conn, mode, &batch, now)).await?;
        }
        for (select, change) in SWEPT {
            total += in_batches(db, ids(db, &range, select).await?, change).await?;
        }
        let of_before: Vec<String> = lanes(db, &range).await?;
        for lane in of_before {
            let (lane, shelf) = (Lane::from_stored(lane), shelf.clone());
            db.write(move |conn| tidy(conn, mode, &shelf, &lane)).await?;
        }
    }
    Ok(total)
}

/// Deletes what applications that keep nothing were to remember of delivered messages, once nothing is decided by it.
pub(super) async fn prune(db: &Db, modes: &Modes, now: Timestamp) -> Result<usize, Error> {
    let before = (now - DUPLICATE_CHECK).as_millis();
    let mut total = 0;
    for (app, _) in modes.0.iter().filter(|(_, mode)| **mode == Privacy::Nothing) {
        let (from, to) = (format!("{app}/"), format!("{app}0"));
        let old = db
            .read(move |conn| {
                conn.prepare_cached(
                    "SELECT seq FROM outbox WHERE lane >= ?1 AND lane < ?2 AND state = 'sent' AND ended_at < ?3",
                )?
                .query_map(params![from, to, before], |row| row.get(0))?
                .collect::<Result<Vec<i64>, _>>()
            })
            .await?;
        total += in_batches(db, old, "DELETE FROM outbox WHERE seq = ?1").await?;
    }
    Ok(total)
}

/// What is looked for between two lanes, and what is done with it.
const SWEPT: [(&str, &str); 4] = [
    (
        "SELECT seq FROM outbox WHERE lane >= ?1 AND lane < ?2 AND state = 'sent' AND content <> ''",
        "UPDATE outbox SET content = '' WHERE seq = ?1",
    ),
    (
        "SELECT t.cause FROM conversation c JOIN turn t ON t.conversation = c.id
         WHERE c.lane >= ?1 AND c.lane < ?2 AND t.ended_at IS NOT NULL
           AND (t.question <> '' OR t.answer <> '' OR t.pictures <> '')",
        "UPDATE turn SET question = '', answer = '', pictures = '' WHERE cause = ?1",
    ),
    (
        "SELECT s.conversation FROM conversation c JOIN summary s ON s.conversation = c.id
         WHERE c.lane >= ?1 AND c.lane < ?2",
        "DELETE FROM summary WHERE conversation = ?1",
    ),
    ("SELECT id FROM fact WHERE lane >= ?1 AND lane < ?2", "DELETE FROM fact WHERE id = ?1"),
];

async fn ids(db: &Db, (from, to): &(String, String), select: &'static str) -> Result<Vec<i64>, Error> {
    let (from, to) = (from.clone(), to.clone());
    db.read(move |conn| conn.prepare(select)?.query_map([from, to], |row| row.get(0))?.collect()).await
}

async fn lanes(db: &Db, (from, to): &(String, String)) -> Result<Vec<String>, Error> {
    let (from, to) = (from.clone(), to.clone());
    db.read(move |conn| {
        conn.prepare(
            "SELECT lane FROM media_use WHERE lane >= ?1 AND lane < ?2
             UNION SELECT lane FROM conversation WHERE lane >= ?1 AND lane < ?2",
        )?
        .query_map([from, to], |row| row.get(0))?
        .collect()
    })
    .await
}

async fn in_batches(db: &Db, ids: Vec<i64>, change: &'static str) -> Result<usize, Error> {
    for batch in ids.chunks(BATCH) {
        let batch = batch.to_vec();
        db.write(move |conn| {
            let mut change = conn.prepare_cached(change)?;
            batch.iter().try_for_each(|id| change.execute([id]).map(drop))
        })
        .await?;
    }
    Ok(ids.len())
}
