//! The address book: whether it could be read the last time. Nobody's access depends on that, so it is advice.

use super::{
    Database,
    cause::{Cause, wecom::Wecom},
    finding::Outcome,
};
use crate::{
    clock::{Timestamp, zone::Zone},
    config::chat::Language,
    model::{directory::Reading, id::AppKey},
    store::people::directory::LastSync,
};

/// What to do about an address book that could not be read. `refused`: WeCom does not let it be read.
pub const fn remedy(refused: bool, language: Language) -> &'static str {
    let cause = if refused { Wecom::DirectoryRefused } else { Wecom::DirectoryUnread };
    Cause::Wecom(cause).words(language).remedy
}

/// What is known of an application's address book; `None` where nobody ever tried to read it.
pub(super) async fn check(database: &Database, app: &AppKey, zone: &Zone) -> Option<Outcome> {
    let Database::Open(store) = database else { return None };
    // A database of an earlier version: the tables come with the next start.
    let LastSync { at, reading, listed } = store.last_sync(app).await.ok()??;
    let at = moment(zone, at);
    let ill = |cause, why: String| {
        let (zh, en) = (format!("{why}，{at}"), format!("{why}, {at}"));
        Outcome::IllIn(Cause::Wecom(cause), zh, en)
    };
    Some(match reading {
        Reading::Whole => Outcome::well(format!("{at} 读到 {listed} 人"), format!("{listed} members, read {at}")),
        Reading::Partly => Outcome::well(
            format!("{at} 读到 {listed} 人；可见范围里有标签或没有人，名单不完整，没有停掉任何人"),
            format!("{listed} members, read {at}; the range has tags or nobody, so it is not everybody"),
        ),
        Reading::Refused(errcode) => ill(Wecom::DirectoryRefused, format!("errcode {errcode}")),
        Reading::Failed(why) => ill(Wecom::DirectoryUnread, why),
    })
}

fn moment(zone: &Zone, at: Timestamp) -> String {
    let local = zone.local(at);
    format!("{}-{:02}-{:02} {:02}:{:02}", local.year, local.month, local.day, local.hour, local.minute)
}
