//! What was acknowledged must not be lost because a disk was full for an hour.

use std::time::Duration;

use tracing::warn;

use crate::{clock::Clock, store};

/// How long the store is left alone after it failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Tries until the store takes it, and says so in the log once. A stop of the process ends the wait by dropping it; what
/// was being worked on is then done again after the next start.
pub(super) async fn persist<T, F>(clock: &Clock, operation: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, store::Error>>,
{
    let mut told = false;
    loop {
        match operation().await {
            Ok(value) => return value,
            Err(error) => {
                if !told {
                    warn!(%error, "the database cannot be used; trying again every second");
                }
                told = true;
                clock.sleep(AFTER_FAILURE).await;
            }
        }
    }
}
