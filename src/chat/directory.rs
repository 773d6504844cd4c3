//! Keeps what is known of people as WeCom's address book has it: on start, on schedule, and when an administrator asks.
//!
//! A list that could not be read, or not to its end, changes nobody's access.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::cause::chain;
use crate::{
    clock::Clock,
    meter::allowances::Allowances,
    model::{
        directory::Reading,
        id::{AppKey, CorpId},
    },
    store::{self, Store},
    wecom::{client::Client, contact::ContactError},
};

/// After how long it is tried again where WeCom could not be reached.
const AFTER_TROUBLE: Duration = Duration::from_secs(10 * 60);

/// An application whose range is read.
pub struct Range {
    /// The application.
    pub app: AppKey,
    /// Its enterprise.
    pub corp: CorpId,
    /// What calls WeCom in its name.
    pub wecom: Client,
}

/// What came of reading the address book for an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// Members in the list.
    pub members: usize,
    /// Departments in the list.
    pub departments: usize,
    /// Whether it is everybody, so that others are kept out.
    pub is_complete: bool,
}

/// Why the address book was not taken up.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// WeCom did not say, or not to the end.
    #[error(transparent)]
    Wecom(#[from] ContactError),
    /// It could not be kept.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Reads the address book for one application and keeps what it says.
///
/// # Errors
/// [`SyncError`]: nobody's access changed.
pub async fn sync(store: &Store, clock: &Clock, range: &Range) -> Result<Synced, SyncError> {
    let began = clock.now();
    match range.wecom.listing().await {
        Ok(listing) => {
            let (members, departments) = (listing.members.len(), listing.departments.len());
            let is_complete = listing.is_complete;
            store.keep_listing(&range.app, &range.corp, listing, began).await?;
            Ok(Synced { members, departments, is_complete })
        }
        Err(error) => {
            let reading = match &error {
                ContactError::Refused(refusal) => Reading::Refused(refusal.errcode.0),
                other => Reading::Failed(chain(other)),
            };
            store.keep_failed_listing(&range.app, reading, clock.now()).await?;
            Err(error.into())
        }
    }
}

/// Reads the address book for all applications, again and again.
pub struct Directory {
    store: Store,
    clock: Clock,
    ranges: Vec<Range>,
    /// `None`: never.
    every: Option<Duration>,
    allowances: Arc<Allowances>,
}

impl Directory {
    /// Reads for each of `ranges` at start and then `every` so often.
    pub const fn new(
        store: Store,
        clock: Clock,
        ranges: Vec<Range>,
        every: Option<Duration>,
        allowances: Arc<Allowances>,
    ) -> Self {
        Self { store, clock, ranges, every, allowances }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let Some(every) = self.every else { return stop.cancelled().await };
        let mut told = HashSet::new();
        loop {
            let mut wait = every;
            for range in &self.ranges {
                let synced = Box::pin(sync(&self.store, &self.clock, range));
                let Some(synced) = stop.run_until_cancelled(synced).await else { return };
                match synced {
                    Ok(Synced { members, departments, is_complete }) => {
                        info!(app = range.app.as_str(), members, departments, is_complete, "read the address book");
                        self.allowances.people().changed();
                    }
                    Err(SyncError::Wecom(ContactError::Refused(refusal))) => {
                        // Each once: it goes on until somebody changes something in the console.
                        if told.insert((range.app.clone(), refusal.errcode)) {
                            let remedy = refusal.errcode.remedy().unwrap_or("look at the app's visible range");
                            info!(app = range.app.as_str(), errcode = %refusal.errcode, remedy,
                                "WeCom does not let the address book be read; members are known by their messages");
                        }
                    }
                    Err(error) => {
                        warn!(app = range.app.as_str(), reason = %chain(&error), "could not read the address book");
                        wait = wait.min(AFTER_TROUBLE);
                    }
                }
            }
            if stop.run_until_cancelled(self.clock.sleep(wait)).await.is_none() {
                return;
            }
        }
    }
}
