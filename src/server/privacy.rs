//! Where an application keeps no texts, or for days of its own: what it has of before goes at the start, and the log
//! beside the database is emptied soon after a text has gone, since it still stands there.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{clock::Clock, store::Store};

/// How long after a text has gone: others go with it.
const SOON: Duration = Duration::from_secs(1);

/// Works until `stop`.
pub(super) async fn let_texts_go(store: Store, clock: Clock, stop: CancellationToken) {
    if !store.lets_texts_go() {
        return stop.cancelled().await;
    }
    let work = async {
        loop {
            match store.sweep(clock.now()).await {
                Ok(0) => break,
                Ok(rows) => info!(rows, "texts of before were taken away: chat.privacy keeps none"),
                Err(error) => {
                    warn!(%error, "texts of before could not be taken away; trying again");
                    clock.sleep(SOON).await;
                }
            }
        }
        loop {
            store.texts_went().await;
            clock.sleep(SOON).await;
            while !matches!(store.empty_log().await, Ok(true)) {
                clock.sleep(SOON).await;
            }
        }
    };
    let _: Option<()> = stop.run_until_cancelled(work).await;
}
