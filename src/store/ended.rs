//! The end of a command that changes something of its own.

use std::sync::Arc;

use rusqlite::Connection;

use super::{Error, LeaseLost, Store, inbox::Inbound, lane::end_rows, outbox};
use crate::{clock::Timestamp, model::reply::ReplyPart};

impl Store {
    /// Ends the row of a command with a change and with what is said about it, in one transaction: a command that is done
    /// again after a crash was not done before.
    pub(super) async fn end_with(
        &self,
        claim: &Inbound,
        now: Timestamp,
        change: impl Fn(&Connection) -> Result<Vec<ReplyPart>, rusqlite::Error> + Send + 'static,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let of = claim.lane.clone();
        let (lane, lease, seq) = (claim.lane.clone(), claim.lease(), claim.seq);
        let (to, mode) = (outbox::Recipient::of(&claim.event), self.modes.of(&claim.lane));
        let signals = Arc::clone(&self.signals);
        let work = move |conn: &Connection| {
            if !end_rows(conn, &lane, lease, seq..=seq, "done", mode, now)? {
                return Ok(Err(LeaseLost));
            }
            let parts = change(conn)?;
            outbox::insert(conn, &lane, &to, seq, 0, &parts, now)?;
            Ok(Ok(()))
        };
        let then = move |_: &Result<(), LeaseLost>| {
            let wake = signals.of(of.app());
            wake.inbox.notify_one();
            wake.outbox.notify_one();
            signals.announcements.notify_one();
        };
        self.db.write_then(work, then).await
    }
}
