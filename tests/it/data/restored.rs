//! What a restore makes of a backup, whatever moment of the daemon the backup is of.

use std::{fs, path::Path, sync::Arc, time::Duration};

use qimate::{
    clock::Timestamp,
    config::{self, storage::Synchronous},
    model::{
        conversation::{Exchange, TurnState},
        event::{DedupKey, Event, EventKind},
        file_name::FileName,
        id::{AgentId, AppKey, CorpId, MemberId, TurnId},
        media::MediaId,
        outbound::Said,
        reply::{Attachment, AttachmentKind, Format, ReplyPart},
    },
    store::{
        Store,
        backup::backup,
        conversation::TurnRecord,
        inbox::{Disposition, Ending},
        restore::{Restored, WhatIsOpen, restore},
        runs::LastRun,
        used::Use,
    },
};

const T0: Timestamp = Timestamp::from_secs(1_790_000_000);
const HOUR: Duration = Duration::from_secs(3600);

/// The application of all events here.
fn app() -> AppKey {
    AppKey::from_stored("ww1/1")
}

fn settings(dir: &Path) -> config::Storage {
    config::Storage { data_dir: dir.to_owned(), synchronous: Synchronous::Normal, max_size_mib: None, keep: 24 * HOUR }
}

fn part(text: &str) -> ReplyPart {
    ReplyPart::new(Format::Text, text).unwrap()
}

async fn ask(store: &Store, member: &str) {
    let (corp, agent, from) = (CorpId::parse("ww1").unwrap(), AgentId::new(1), MemberId::parse(member).unwrap());
    let dedup = DedupKey::of_message(&corp, agent, &from, T0, "1");
    let kind = EventKind::Text { content: "问".to_owned() };
    let event = Arc::new(Event { corp, agent, from, at: T0, dedup, kind });
    store.accept(event, Disposition::Handle, 0, T0, |_| {}).await.unwrap();
}

/// The first part of the answer is committed, the answer still being written.
async fn half_answer(store: &Store) {
    let claim = store.claim_inbound(&app(), 1, T0).await.unwrap().claims.pop().unwrap();
    let conversation = store.open_conversation(&claim.lane, T0).await.unwrap();
    let exchange = Exchange { question: "问".to_owned(), pictures: Vec::new(), answer: "半".to_owned() };
    let turn = TurnRecord {
        id: TurnId::generate(),
        conversation: conversation.id,
        exchange,
        through: claim.seq,
        parts: 1,
        state: TurnState::Running,
        used: None,
    };
    store.append(&claim, turn, 0, vec![part("半")], Use::default(), T0).await.unwrap().unwrap();
}

fn restored(settings: &config::Storage, copy: &Path, what: WhatIsOpen, now: Timestamp) -> Restored {
    restore(settings, &qimate::model::audit::Actor::Daemon, copy, what, now).unwrap()
}

/// The sentence that says what WeCom refused is in the outbox under the question's number, as its dead letter is.
#[tokio::test]
async fn a_question_whose_answer_was_partly_refused_is_held_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let (settings, copy) = (settings(dir.path()), dir.path().join("copy.db"));
    let store = Store::open(&settings, T0).unwrap();
    ask(&store, "zhangsan").await;
    half_answer(&store).await;
    let sending = store.claim_outbound(&app(), 1, T0).await.unwrap().claims.pop().unwrap();
    store.give_up_saying(&sending, "refused", part("发不出去"), T0).await.unwrap().unwrap();
    backup(&settings, &copy, false, T0).unwrap();
    drop(store);

    let told = loop {
        // The writer of a dropped store gives the directory back in its own time.
        match restore(&settings, &qimate::model::audit::Actor::Daemon, &copy, WhatIsOpen::Hold, T0 + HOUR) {
            Err(qimate::store::Error::InUse(_)) => tokio::task::yield_now().await,
            other => break other.unwrap(),
        }
    };
    let held: Vec<_> = told.held.iter().map(|one| one.is_question).collect();
    assert_eq!(held, [false, true], "the sentence and the question");

    let store = Store::open(&settings, T0 + HOUR).unwrap();
    assert!(store.claim_inbound(&app(), 1, T0 + HOUR).await.unwrap().claims.is_empty());
    assert_eq!(store.retry_dead_letters(&qimate::model::audit::Actor::Daemon, None, T0 + HOUR).await.unwrap(), 3);
    assert_eq!(store.claim_inbound(&app(), 1, T0 + HOUR).await.unwrap().claims.len(), 1, "asked to, it goes on");
}

#[tokio::test]
async fn a_file_that_waited_is_held_for_its_upload_may_have_been_sent_since() {
    let dir = tempfile::tempdir().unwrap();
    let (settings, copy) = (settings(&dir.path().join("data")), dir.path().join("copy.db"));
    let store = Store::open(&settings, T0).unwrap();
    ask(&store, "ann").await;
    let claim = store.claim_inbound(&app(), 1, T0).await.unwrap().claims.pop().unwrap();
    let file = ReplyPart::Attachment(Attachment {
        kind: AttachmentKind::File,
        media: MediaId::of(b"123456"),
        name: FileName::make("表格", "csv"),
    });
    store.finish(&claim, Ending::Says(vec![part("文件在下面"), file]), T0).await.unwrap().unwrap();
    backup(&settings, &copy, false, T0).unwrap();
    drop(store);

    let Restored { held, .. } = restored(&settings, &copy, WhatIsOpen::ByAge, T0 + Duration::from_secs(60));
    assert_eq!(held.iter().map(|one| (one.member.as_str(), one.is_question)).collect::<Vec<_>>(), [("ann", false)]);
    let store = Store::open(&settings, T0).unwrap();
    assert!(store.dead_letters().await.unwrap()[0].reason.contains("may have been delivered since"));
    let words = store.claim_outbound(&app(), 1, T0 + HOUR).await.unwrap().claims.pop().unwrap();
    assert!(matches!(words.message.said(), Said::Words { .. }), "words are known again by what they say");
}

#[tokio::test]
async fn a_start_from_the_backup_of_a_running_daemon_is_no_crash() {
    let dir = tempfile::tempdir().unwrap();
    let (settings, copy) = (settings(dir.path()), dir.path().join("copy.db"));
    let store = Store::open(&settings, T0).unwrap();
    assert_eq!(store.begin_run(T0).await.unwrap(), LastRun::None);
    backup(&settings, &copy, false, T0).unwrap();
    drop(store);
    let elsewhere = tempfile::tempdir().unwrap();
    let settings = self::settings(elsewhere.path());
    restored(&settings, &copy, WhatIsOpen::ByAge, T0 + HOUR);
    let store = Store::open(&settings, T0 + HOUR).unwrap();
    assert_eq!(store.begin_run(T0 + HOUR).await.unwrap(), LastRun::None);
}

#[tokio::test]
async fn two_restores_within_a_second_keep_both_databases_of_before() {
    let dir = tempfile::tempdir().unwrap();
    let (settings, copy) = (settings(dir.path()), dir.path().join("copy.db"));
    let elsewhere = tempfile::tempdir().unwrap();
    {
        let store = Store::open(&self::settings(elsewhere.path()), T0).unwrap();
        ask(&store, "zhangsan").await;
        backup(&self::settings(elsewhere.path()), &copy, false, T0).unwrap();
    }
    fs::write(dir.path().join("qimate.db"), "not a database, and all that is left of one").unwrap();
    let first = restored(&settings, &copy, WhatIsOpen::ByAge, T0).aside.unwrap();
    let second = restored(&settings, &copy, WhatIsOpen::ByAge, T0).aside.unwrap();
    assert_ne!(first.path, second.path);
    assert!(fs::read(&first.path).unwrap().starts_with(b"not a database"));
    assert!(fs::read(&second.path).unwrap().starts_with(b"SQLite format 3"));
}

/// As `sudo qimate restore`, for a daemon that has a user of its own. Where the tests are not run by root, nobody can
/// make such a directory.
#[cfg(unix)]
#[tokio::test]
async fn a_database_that_root_restores_belongs_to_whom_the_one_of_before_did() {
    use std::os::unix::fs::{MetadataExt, chown};
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (settings, copy) = (settings(dir.path()), elsewhere.path().join("copy.db"));
    drop(Store::open(&self::settings(elsewhere.path()), T0).unwrap());
    backup(&self::settings(elsewhere.path()), &copy, false, T0).unwrap();
    if chown(dir.path(), Some(10_001), Some(10_001)).is_err() {
        return;
    }
    let database = dir.path().join("qimate.db");
    for owner in [10_001, 10_002] {
        restored(&settings, &copy, WhatIsOpen::ByAge, T0);
        let written = fs::metadata(&database).unwrap();
        assert_eq!((written.uid(), written.gid(), written.mode() & 0o777), (owner, owner, 0o600));
        chown(&database, Some(10_002), Some(10_002)).unwrap();
    }
}
