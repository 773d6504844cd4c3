//! `tests/fixtures/advisories.toml`: what an advisory database knew of the crates of `Cargo.lock`. It is read here, and
//! written anew from a clone of the database: numbers, days and versions, none of its sentences.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    fs,
    path::Path,
    str::FromStr,
};

use jiff::civil::Date;
use semver::{Version, VersionReq};
use serde::{Deserialize, Deserializer, de::Error};

/// Proposals that have no number yet are below this one.
const UNNUMBERED: &str = "RUSTSEC-0000-";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The day of the look.
    #[serde(deserialize_with = "parsed")]
    pub looked: Date,
    /// The latest day of an advisory in the copy that was looked into: what is younger is not known here.
    #[serde(deserialize_with = "parsed")]
    pub reaches: Date,
    /// The highest number in that copy.
    pub newest: String,
    pub accepted: Vec<Accepted>,
    /// Crates that were looked up and have no advisory.
    pub without: BTreeSet<String>,
    /// Crates that were looked up and have some.
    pub advisories: BTreeMap<String, Vec<Advisory>>,
}

/// An advisory that tells of a locked version, which stays all the same.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    pub id: String,
    /// Why it does no harm here.
    pub reason: String,
    /// The last day on which the version may be here.
    #[serde(deserialize_with = "parsed")]
    pub until: Date,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advisory {
    pub id: String,
    #[serde(deserialize_with = "parsed")]
    pub date: Date,
    pub kind: Kind,
    #[serde(deserialize_with = "all_parsed")]
    patched: Vec<VersionReq>,
    #[serde(deserialize_with = "all_parsed")]
    unaffected: Vec<VersionReq>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Vulnerability,
    Unsound,
    Unmaintained,
    Notice,
}

impl Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Vulnerability => "vulnerability",
            Self::Unsound => "unsound",
            Self::Unmaintained => "unmaintained",
            Self::Notice => "notice",
        })
    }
}

impl Advisory {
    /// A version that is neither mended nor known to be free of it is affected.
    pub fn affects(&self, version: &Version) -> bool {
        !self.patched.iter().chain(&self.unaffected).any(|free| free.matches(version))
    }
}

/// What is before the text of an advisory.
#[derive(Deserialize)]
struct FrontMatter {
    advisory: Head,
    versions: Versions,
}

#[derive(Deserialize)]
struct Head {
    id: String,
    package: String,
    #[serde(deserialize_with = "parsed")]
    date: Date,
    informational: Option<Kind>,
    withdrawn: Option<String>,
}

#[derive(Deserialize)]
struct Versions {
    #[serde(deserialize_with = "all_parsed")]
    patched: Vec<VersionReq>,
    #[serde(default, deserialize_with = "all_parsed")]
    unaffected: Vec<VersionReq>,
}

impl Snapshot {
    /// Looks `crates` up in a clone of the database; what was accepted is taken over.
    pub fn of_clone(clone: &Path, crates: BTreeSet<String>, looked: Date, accepted: Vec<Accepted>) -> Self {
        let mut all: Vec<_> = folder(&clone.join("crates")).iter().flat_map(|of_one| folder(of_one)).collect();
        all.retain(|file| file.extension().is_some_and(|end| end == "md"));
        let mut snapshot = Self {
            looked,
            reaches: Date::MIN,
            newest: String::new(),
            accepted,
            without: BTreeSet::new(),
            advisories: BTreeMap::new(),
        };
        for file in all {
            let text = fs::read_to_string(&file).unwrap();
            let front = text.trim_start().strip_prefix("```toml").and_then(|rest| rest.split_once("```"));
            let (front, _) = front.unwrap_or_else(|| panic!("{}: no front matter", file.display()));
            let front: FrontMatter =
                toml::from_str(front).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let (head, versions) = (front.advisory, front.versions);
            if head.id.starts_with(UNNUMBERED) {
                continue;
            }
            snapshot.reaches = snapshot.reaches.max(head.date);
            snapshot.newest = snapshot.newest.max(head.id.clone());
            if head.withdrawn.is_none() && crates.contains(&head.package) {
                snapshot.advisories.entry(head.package).or_default().push(Advisory {
                    id: head.id,
                    date: head.date,
                    kind: head.informational.unwrap_or(Kind::Vulnerability),
                    patched: versions.patched,
                    unaffected: versions.unaffected,
                });
            }
        }
        assert!(!snapshot.newest.is_empty(), "{}: a database has advisories", clone.display());
        snapshot.without = crates.into_iter().filter(|name| !snapshot.advisories.contains_key(name)).collect();
        snapshot
    }
}

/// What a folder holds, by name.
fn folder(path: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

/// As the file has it.
impl Display for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "# What the RustSec advisory database (https://github.com/RustSec/advisory-db) knew of the crates of Cargo.lock.\n\
             # docs/asvs.md, Dependencies, says how it is written anew; by hand only what is accepted is written.\n\n\
             # The day of the look; the latest day and the highest number of an advisory in the copy that was looked into.\n",
        )?;
        writeln!(f, "looked = \"{}\"\nreaches = \"{}\"\nnewest = \"{}\"\n", self.looked, self.reaches, self.newest)?;
        f.write_str(
            "# Affected versions that stay for a while: { id, reason, until }. `.deny.toml` ignores the same.\n\
             accepted = [\n",
        )?;
        for Accepted { id, reason, until } in &self.accepted {
            writeln!(
                f,
                "    {{ id = \"{id}\", reason = {}, until = \"{until}\" }},",
                toml::Value::from(reason.as_str())
            )?;
        }
        f.write_str("]\n\n# Of these it knew nothing.\nwithout = [\n")?;
        for name in &self.without {
            writeln!(f, "    \"{name}\",")?;
        }
        f.write_str("]\n\n# A version that meets neither list is affected.\n[advisories]\n")?;
        for (name, advisories) in &self.advisories {
            writeln!(f, "{name} = [")?;
            for Advisory { id, date, kind, patched, unaffected } in advisories {
                let (patched, unaffected) = (list(patched), list(unaffected));
                write!(f, "    {{ id = \"{id}\", date = \"{date}\", kind = \"{kind}\", ")?;
                writeln!(f, "patched = {patched}, unaffected = {unaffected} }},")?;
            }
            f.write_str("]\n")?;
        }
        Ok(())
    }
}

fn list(versions: &[VersionReq]) -> String {
    format!("[{}]", versions.iter().map(|version| format!("\"{version}\"")).collect::<Vec<_>>().join(", "))
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<T, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

fn all_parsed<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<VersionReq>, D::Error> {
    Vec::<String>::deserialize(from)?.iter().map(|one| one.parse().map_err(D::Error::custom)).collect()
}
