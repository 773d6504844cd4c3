//! The configuration as a start reads it: with the secrets that are in the database.

use tracing::{info, warn};

use super::commands;
use crate::{
    config::{Faults, Gathered, Loaded, chat::Language},
    model::second_factor::whose,
    store,
};

/// Completes what is set with the secrets in the database. Where the database cannot be read, what is set has to do, and
/// why comes along: who serves must not do without a secret that is there.
///
/// # Errors
/// [`Faults`]: everything that is wrong, also that secrets are stored which the master key does not open.
pub fn complete(gathered: Gathered) -> Result<(Loaded, Option<store::Error>), Faults> {
    // What is wrong with these is told with the rest.
    let Some(basics) = gathered.basics() else { return gathered.load(Vec::new()).map(|loaded| (loaded, None)) };
    match store::secrets::read(&basics.storage) {
        // A second factor that cannot be read keeps one operator out, and not the house: `admin` tells of it.
        Ok(sealed) => match sealed.only(|name| whose(name).is_none()).open(basics.secrets.keys.as_ref()) {
            Ok(values) => gathered.load(values).map(|loaded| (loaded, None)),
            Err(unreadable) => Err(gathered.refused(&unreadable)),
        },
        Err(error) => {
            let why = commands::told(&error.clone().into(), basics.language);
            gathered.load_without(&why).map(|loaded| (loaded, Some(error)))
        }
    }
}

/// That the database cannot be opened.
pub fn not_opened(error: store::Error, language: Language) -> anyhow::Error {
    anyhow::Error::from(error).context(match language {
        Language::Chinese => "无法打开数据库",
        Language::English => "cannot open the database",
    })
}

/// Says what came from the database, and what there was not taken.
pub fn log(loaded: &Loaded) {
    for note in loaded.stored_notes() {
        warn!("{note}");
    }
    match loaded.stored_and_used() {
        0 => {}
        count => info!(secrets = count, "took secrets from the database"),
    }
}
