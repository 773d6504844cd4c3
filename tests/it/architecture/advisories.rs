//! `Cargo.lock` held against what is known of its crates: `tests/fixtures/advisories.toml`.
//!
//! A crate that nobody looked up is a fault, and so is a version that an advisory tells of. Days are compared with days
//! of the repository alone, never with today: a commit that passed passes ever after. That a look is not old is
//! therefore asked of releases, whose days stand in the changelog; `.ci/advisories` asks the database itself.

mod snapshot;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

use jiff::{ToSpan as _, civil::Date};
use semver::Version;
use serde::Deserialize;

use self::snapshot::{Accepted, Snapshot};
use crate::deployment::installed;

/// The clone of an advisory database to write the fixture from, instead of comparing.
const UPDATE: &str = "QIMATE_UPDATE_ADVISORIES";
const FIXTURE: &str = "tests/fixtures/advisories.toml";
/// The longest time frame of docs/asvs.md: what is accepted is decided again by then.
const LONGEST_ACCEPTED_DAYS: i64 = 90;
/// The shortest time frame there: a release has a look that is not older.
const OLDEST_LOOK_DAYS: i64 = 7;

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    /// Ours has none.
    source: Option<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn snapshot_of(text: &str) -> Snapshot {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// The crates of a lock that are others': name and version.
fn locked(lock: &str) -> Vec<(String, Version)> {
    let lock: Lock = toml::from_str(lock).expect("a lock");
    let others = lock.package.into_iter().filter(|package| package.source.is_some());
    others.map(|package| (package.name, package.version.parse().expect("a version"))).collect()
}

/// What is wrong with a lock as far as the snapshot knows.
fn overdue(lock: &str, snapshot: &Snapshot) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut affecting = BTreeSet::new();
    for (name, version) in locked(lock) {
        let Some(advisories) = snapshot.advisories.get(&name) else {
            if !snapshot.without.contains(&name) {
                wrong.push(format!("{name}: nobody looked it up in the advisory database"));
            }
            continue;
        };
        for advisory in advisories.iter().filter(|advisory| advisory.affects(&version)) {
            affecting.insert(&advisory.id);
            if !snapshot.accepted.iter().any(|accepted| accepted.id == advisory.id) {
                wrong.push(format!("{name} {version}: {}, {}, of {}", advisory.id, advisory.kind, advisory.date));
            }
        }
    }
    let latest = snapshot.looked.checked_add(LONGEST_ACCEPTED_DAYS.days()).expect("a day");
    for Accepted { id, reason, until } in &snapshot.accepted {
        if !affecting.contains(id) {
            wrong.push(format!("{id}: accepted, and tells of nothing that is locked: take it out"));
        }
        if *until < snapshot.looked {
            wrong.push(format!("{id}: accepted until {until}, which was over when it was looked up again"));
        }
        if *until > latest {
            wrong.push(format!("{id}: accepted until {until}: at most until {latest}"));
        }
        if reason.trim().is_empty() {
            wrong.push(format!("{id}: accepted for no reason"));
        }
    }
    wrong
}

/// The day of the newest release, from the headings of a changelog.
fn released(changelog: &str) -> Option<Date> {
    let headings = changelog.lines().filter(|line| line.starts_with("## "));
    let words = headings.flat_map(|line| line.split(|c: char| !(c.is_ascii_digit() || c == '-')));
    words.filter_map(|word| word.parse().ok()).max()
}

/// Whether a release was made on an old look.
fn was_stale(changelog: &str, looked: Date) -> bool {
    let last = looked.checked_add(OLDEST_LOOK_DAYS.days()).expect("a day");
    released(changelog).is_some_and(|day| day > last)
}

#[test]
fn no_dependency_is_overdue() {
    let lock = read("Cargo.lock");
    let mut snapshot = snapshot_of(&read(FIXTURE));
    if let Some(clone) = std::env::var_os(UPDATE) {
        let crates = locked(&lock).into_iter().map(|(name, _)| name).collect();
        let today = jiff::Zoned::now().date();
        snapshot = Snapshot::of_clone(Path::new(&clone), crates, today, snapshot.accepted);
        fs::write(root().join(FIXTURE), snapshot.to_string()).unwrap();
    }
    let wrong = overdue(&lock, &snapshot);
    assert!(wrong.is_empty(), "see docs/asvs.md, Dependencies:\n{}", wrong.join("\n"));
    let Snapshot { looked, .. } = snapshot;
    assert!(!was_stale(&read("CHANGELOG.md"), looked), "the last look was {looked}: look again before a release");
    assert_eq!(read(FIXTURE), snapshot.to_string(), "{FIXTURE} is as it is written anew");
}

#[test]
fn what_is_accepted_here_is_what_cargo_deny_ignores() {
    let deny: toml::Table = read(".deny.toml").parse().unwrap();
    let advisories = deny["advisories"].as_table().unwrap();
    let ignored = advisories.get("ignore").map(|list| list.as_array().unwrap().as_slice()).unwrap_or_default();
    let ignored: Vec<_> = ignored.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    let accepted: Vec<_> = snapshot_of(&read(FIXTURE)).accepted.into_iter().map(|one| one.id).collect();
    assert_eq!(accepted, ignored);
    // Its own default looks at our direct dependencies only.
    assert_eq!(advisories["unsound"].as_str(), Some("all"));
}

/// A lock of these crates, and ours.
fn lock_of(crates: &[(&str, &str)]) -> String {
    let mut lock = String::from("version = 4\n[[package]]\nname = \"ours\"\nversion = \"0.1.0\"\n");
    for (name, version) in crates {
        lock += &format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"registry\"\n");
    }
    lock
}

fn made_up(accepted: &str) -> Snapshot {
    snapshot_of(&format!(
        r#"
        looked = "2026-01-31"
        reaches = "2026-01-30"
        newest = "RUSTSEC-2026-0002"
        accepted = [{accepted}]
        without = ["quiet"]
        [advisories]
        leaky = [
            {{ id = "RUSTSEC-2025-0001", date = "2025-03-01", kind = "vulnerability", patched = [">=1.2.3, <2.0.0", ">=2.0.1"], unaffected = ["<1.0.0"] }},
            {{ id = "RUSTSEC-2026-0002", date = "2026-01-30", kind = "unsound", patched = [], unaffected = ["<3.0.0"] }},
        ]
        "#
    ))
}

#[test]
fn an_affected_version_is_found_and_no_other() {
    let snapshot = made_up("");
    for free in ["0.9.9", "1.2.3", "1.9.0", "2.0.1", "2.9.9"] {
        assert_eq!(overdue(&lock_of(&[("quiet", "0.1.0"), ("leaky", free)]), &snapshot), [""; 0], "{free}");
    }
    for affected in ["1.0.0", "1.2.2", "2.0.0"] {
        let found = overdue(&lock_of(&[("leaky", "1.2.3"), ("leaky", affected)]), &snapshot);
        assert_eq!(found, [format!("leaky {affected}: RUSTSEC-2025-0001, vulnerability, of 2025-03-01")]);
    }
    let found = overdue(&lock_of(&[("leaky", "3.0.0")]), &snapshot);
    assert_eq!(found, ["leaky 3.0.0: RUSTSEC-2026-0002, unsound, of 2026-01-30"]);
}

#[test]
fn a_crate_that_nobody_looked_up_is_found() {
    let found = overdue(&lock_of(&[("quiet", "0.1.0"), ("fresh", "1.0.0")]), &made_up(""));
    assert_eq!(found, ["fresh: nobody looked it up in the advisory database"]);
    // A real one: what is locked, and a crate more.
    let lock = read("Cargo.lock") + "[[package]]\nname = \"openssl\"\nversion = \"0.10.0\"\nsource = \"registry\"\n";
    assert_eq!(overdue(&lock, &snapshot_of(&read(FIXTURE))), ["openssl: nobody looked it up in the advisory database"]);
}

#[test]
fn what_is_accepted_has_a_reason_and_an_end() {
    let lock = lock_of(&[("leaky", "2.0.0")]);
    let accepted = |reason: &str, until: &str| {
        overdue(&lock, &made_up(&format!(r#"{{ id = "RUSTSEC-2025-0001", reason = "{reason}", until = "{until}" }}"#)))
    };
    assert_eq!(accepted("we never call it", "2026-01-31"), [""; 0]);
    assert_eq!(accepted("we never call it", "2026-05-01"), [""; 0]);
    assert!(accepted("we never call it", "2026-05-02")[0].contains("at most until 2026-05-01"));
    assert!(accepted("we never call it", "2026-01-30")[0].contains("which was over"));
    assert!(accepted(" ", "2026-02-01")[0].contains("no reason"));
    let mended = lock_of(&[("leaky", "2.0.1")]);
    let kept = made_up(r#"{ id = "RUSTSEC-2025-0001", reason = "we never call it", until = "2026-02-01" }"#);
    assert!(overdue(&mended, &kept)[0].contains("take it out"));
}

#[test]
fn a_release_on_an_old_look_is_found() {
    let looked = made_up("").looked;
    assert!(!was_stale("# Changelog\n\n## 0.2.0 (unreleased)\n", looked));
    assert!(!was_stale("## 0.2.0 (unreleased)\n\n## 0.1.0 (2026-02-07)\n", looked));
    assert!(was_stale("## 0.1.1 (2026-02-08)\n\n## 0.1.0 (2026-01-01)\n", looked));
}

#[test]
fn the_snapshot_is_written_anew_from_a_clone_of_the_database() {
    let clone = tempfile::tempdir().unwrap();
    let write = |name: &str, id: &str, front: &str| {
        let folder = clone.path().join("crates").join(name);
        fs::create_dir_all(&folder).unwrap();
        let text =
            format!("```toml\n[advisory]\nid = \"{id}\"\npackage = \"{name}\"\n{front}\n```\n\n# Words\n\n```toml\n");
        fs::write(folder.join(format!("{id}.md")), text).unwrap();
    };
    write(
        "leaky",
        "RUSTSEC-2025-0001",
        "date = \"2025-03-01\"\ncvss = \"x\"\n[versions]\npatched = [\">= 1.2.3, < 2.0.0\", \"2.0.1\"]\nunaffected = [\"< 1\"]",
    );
    write("leaky", "RUSTSEC-2026-0002", "date = \"2026-01-30\"\ninformational = \"unsound\"\n[versions]\npatched = []");
    write("leaky", "RUSTSEC-2026-0003", "date = \"2026-01-29\"\nwithdrawn = \"2026-01-30\"\n[versions]\npatched = []");
    write("leaky", "RUSTSEC-0000-0000", "date = \"2030-01-01\"\n[versions]\npatched = []");
    write("anothers", "RUSTSEC-2026-0004", "date = \"2026-01-28\"\n[versions]\npatched = []");
    let accepted = made_up(r#"{ id = "RUSTSEC-2026-0002", reason = "a \"reason\"", until = "2026-02-01" }"#).accepted;
    let crates = ["leaky", "quiet"].map(str::to_owned).into();
    let snapshot = Snapshot::of_clone(clone.path(), crates, made_up("").looked, accepted);
    let text = snapshot.to_string();
    let expected = r#"
looked = "2026-01-31"
reaches = "2026-01-30"
newest = "RUSTSEC-2026-0004"

# Affected versions that stay for a while: { id, reason, until }. `.deny.toml` ignores the same.
accepted = [
    { id = "RUSTSEC-2026-0002", reason = 'a "reason"', until = "2026-02-01" },
]

# Of these it knew nothing.
without = [
    "quiet",
]

# A version that meets neither list is affected.
[advisories]
leaky = [
    { id = "RUSTSEC-2025-0001", date = "2025-03-01", kind = "vulnerability", patched = [">=1.2.3, <2.0.0", "^2.0.1"], unaffected = ["<1"] },
    { id = "RUSTSEC-2026-0002", date = "2026-01-30", kind = "unsound", patched = [], unaffected = [] },
]
"#;
    assert!(text.ends_with(expected), "{text}");
    assert_eq!(snapshot_of(&text).to_string(), text, "what is written is read again");
}

/// `.ci/advisories` with a git that reaches the database or not, and a cargo-deny that ends so.
fn asked(git: i32, fetched: i32, checked: i32) -> Output {
    let tools = tempfile::tempdir().unwrap();
    let tool = |name: &str, script: String| {
        let path = tools.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        #[cfg(unix)]
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    };
    tool("git", format!("exit {git}"));
    tool("cargo", format!("echo \"$*\"; case \"$*\" in *fetch*) exit {fetched};; *) exit {checked};; esac"));
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", tools.path().display());
    Command::new("bash").arg(root().join(".ci/advisories")).env("PATH", path).output().unwrap()
}

#[test]
fn ci_forgives_only_that_the_database_is_not_reached() {
    if !installed("bash", "CI's question") || !installed("timeout", "CI's question") {
        return;
    }
    let said = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let unreached = asked(128, 1, 1);
    assert!(unreached.status.success(), "{unreached:?}");
    let Snapshot { looked, reaches, .. } = snapshot_of(&read(FIXTURE));
    let line = format!(
        "not asked: the advisory database is out of reach; the tests have the look of {looked}, which reaches to {reaches}\n"
    );
    assert_eq!(said(&unreached), line);
    let asked_and_clean = asked(0, 0, 0);
    assert!(asked_and_clean.status.success(), "{asked_and_clean:?}");
    assert!(said(&asked_and_clean).contains("check") && said(&asked_and_clean).contains("advisories"));
    assert!(!asked(0, 0, 1).status.success(), "what it knows of us is not forgiven");
    assert!(!asked(0, 1, 0).status.success(), "nor that what was reached cannot be read");
}
