//! Files beside the database: kept once, known by their content, gone with their time, their member or their damage.

use std::{fs, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use qimate::{
    clock::Timestamp,
    config::{self, storage::Synchronous},
    model::{
        event::{DedupKey, Event, EventKind},
        id::{AgentId, AppKey, CorpId, MemberId},
        media::MediaId,
    },
    store::{
        LeaseLost, Store,
        backup::backup,
        inbox::{Disposition, Inbound},
        member,
        restore::{WhatIsOpen, restore},
    },
};

const DAY: Duration = Duration::from_secs(24 * 3600);
const T0: Timestamp = Timestamp::from_secs(1_790_000_000);

fn settings(dir: &Path) -> config::Storage {
    config::Storage { data_dir: dir.to_owned(), synchronous: Synchronous::Normal, max_size_mib: None, keep: DAY }
}

/// A message of `member`, claimed.
async fn claimed(store: &Store, member: &str) -> Inbound {
    let (corp, agent, from) = (CorpId::parse("ww1").unwrap(), AgentId::new(1), MemberId::parse(member).unwrap());
    let dedup = DedupKey::of_message(&corp, agent, &from, T0, member);
    let kind = EventKind::Image { media_id: "m".to_owned(), pic_url: String::new() };
    let event = Arc::new(Event { corp, agent, from, at: T0, dedup, kind });
    store.accept(event, Disposition::Handle, 0, T0, |_| {}).await.unwrap();
    store.claim_inbound(&AppKey::from_stored("ww1/1"), 1, T0).await.unwrap().claims.pop().unwrap()
}

async fn keep(store: &Store, claim: &Inbound, content: &'static [u8], at: Timestamp) -> MediaId {
    store.keep_media(claim, "image/png", Bytes::from_static(content), at).await.unwrap().unwrap()
}

fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.join("media")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { dirs.push(path) } else { found.push(path.file_name().unwrap().to_string_lossy().into()) }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn the_same_picture_of_two_members_is_one_file_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&settings(dir.path()), T0).unwrap();
    let (a, b) = (claimed(&store, "a").await, claimed(&store, "b").await);
    let id = keep(&store, &a, b"a cat", T0).await;
    assert_eq!(keep(&store, &b, b"a cat", T0).await, id);
    assert_eq!(store.read_media(&id).await.unwrap().as_deref(), Some(&b"a cat"[..]));
    assert_eq!(store.read_media(&MediaId::of(b"a dog")).await.unwrap(), None);
    assert_eq!(files(dir.path()), [id.to_string()]);
    let path = dir.path().join("media").join(&id.to_string()[..2]).join(id.to_string());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // Damaged, it is gone; sent again, it is back.
    fs::write(&path, b"a hat").unwrap();
    assert_eq!(store.read_media(&id).await.unwrap(), None);
    keep(&store, &a, b"a cat", T0).await;
    assert!(store.read_media(&id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_file_stays_as_long_as_somebody_has_it_and_not_longer() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&settings(dir.path()), T0).unwrap();
    let (a, b) = (claimed(&store, "a").await, claimed(&store, "b").await);
    let shared = keep(&store, &a, b"shared", T0).await;
    let old = keep(&store, &a, b"old", T0).await;
    keep(&store, &b, b"shared", T0 + DAY).await;
    // What a crash or another database left: a file that has no row, and one that was never whole.
    let stray = dir.path().join("media/ab").join(format!("ab{}", "0".repeat(62)));
    fs::create_dir_all(stray.parent().unwrap()).unwrap();
    fs::write(&stray, b"stray").unwrap();

    assert_eq!(store.prune(T0 + DAY + Duration::from_secs(60), DAY).await.unwrap(), 4, "two uses, two files");
    assert_eq!(store.read_media(&old).await.unwrap(), None);
    assert_eq!(files(dir.path()), [shared.to_string()]);
    store.prune(T0 + DAY * 3, DAY).await.unwrap();
    assert_eq!(files(dir.path()), [""; 0]);

    let unfinished = store.unfinished_media().await.unwrap();
    let (_, path) = unfinished.keep().unwrap();
    drop(store);
    Store::open(&settings(dir.path()), T0).unwrap();
    assert!(!path.exists(), "what the process before left half");
}

#[tokio::test]
async fn an_erased_member_leaves_no_file_and_gets_none_back() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let store = Store::open(&settings, T0).unwrap();
    let (a, b) = (claimed(&store, "a").await, claimed(&store, "b").await);
    let (own, shared) = (keep(&store, &a, b"own", T0).await, keep(&store, &a, b"shared", T0).await);
    keep(&store, &b, b"shared", T0).await;

    let member = MemberId::parse("A").unwrap();
    let export = member::export(&settings, &member::Reading::Texts(qimate::model::audit::Actor::Daemon), &member, T0)
        .unwrap()
        .to_string();
    let file = format!("media/{}/{own}", &own.to_string()[..2]);
    assert!(export.contains(&file) && dir.path().join(&file).exists(), "{export}");

    member::erase(&settings, &qimate::model::audit::Actor::Daemon, &member, T0).unwrap();
    assert_eq!(files(dir.path()), [shared.to_string()]);
    let late = store.keep_media(&a, "image/png", Bytes::from_static(b"late"), T0).await.unwrap();
    assert_eq!(late, Err(LeaseLost), "the worker that was at it writes nothing more");
    assert_eq!(files(dir.path()), [shared.to_string()]);
}

#[tokio::test]
async fn a_backup_without_its_files_is_restored_and_says_that_they_are_gone() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Store::open(&settings(dir.path()), T0).unwrap();
    let a = claimed(&store, "a").await;
    let before = keep(&store, &a, b"before", T0).await;
    let copy = dir.path().join("copy.db");
    backup(&settings(dir.path()), &copy, false, T0).unwrap();
    let after = keep(&store, &a, b"after", T0).await;
    drop(store);

    restore(&settings(elsewhere.path()), &qimate::model::audit::Actor::Daemon, &copy, WhatIsOpen::Answer, T0).unwrap();
    let store = Store::open(&settings(elsewhere.path()), T0).unwrap();
    assert_eq!(store.read_media(&before).await.unwrap(), None);
    drop(store);

    // In its own directory the files of before are there, and what came after it goes.
    restore(&settings(dir.path()), &qimate::model::audit::Actor::Daemon, &copy, WhatIsOpen::Answer, T0).unwrap();
    let store = Store::open(&settings(dir.path()), T0).unwrap();
    assert!(store.read_media(&before).await.unwrap().is_some() && store.read_media(&after).await.unwrap().is_some());
    store.prune(T0, DAY).await.unwrap();
    assert_eq!(files(dir.path()), [before.to_string()]);
}
