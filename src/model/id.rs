//! Who and where: corp, agent, member, and the lane that orders a member's messages.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A string was not what its type asks for. The message says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidId(&'static str);

/// A WeCom enterprise (`corpid`), such as `ww1436e0e65a779aee`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CorpId(String);

impl CorpId {
    /// Takes 1 to 64 ASCII letters, digits, `_` or `-`.
    ///
    /// # Errors
    /// [`InvalidId`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId("expected a corp id such as ww1436e0e65a779aee (letters and digits)"))
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CorpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A self-built application of an enterprise (`agentid`), such as 1000002.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgentId(u64);

impl AgentId {
    /// From the number that WeCom's console shows.
    pub const fn new(id: u64) -> Self {
        Self(id)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A member of the enterprise: WeCom's `userid`, kept as given. WeCom compares it without case (page 90196), and so
/// does this type.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(String);

impl MemberId {
    /// Takes 1 to 64 bytes without control characters. WeCom promises `[A-Za-z0-9_.@-]`; older enterprises have ids
    /// beyond that, and an employee must not be refused for an odd id.
    ///
    /// # Errors
    /// [`InvalidId`] when it is empty, too long, holds a control character or `|` (which separates recipients), or is
    /// `@all` (which is not a member but everybody).
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let fits = (1..=64).contains(&text.len())
            && !text.chars().any(|c| c.is_control() || c == '|')
            && !text.eq_ignore_ascii_case("@all");
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidId("expected a userid of 1 to 64 bytes")) }
    }

    /// The id as WeCom gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id in lower case: the form to compare and to key by.
    pub fn key(&self) -> String {
        self.0.to_lowercase()
    }
}

impl PartialEq for MemberId {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for MemberId {}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One member's chat with one application. What comes and goes on a lane keeps its order; lanes do not wait for each
/// other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane(String);

impl Lane {
    /// The lane of a member's chat with an application.
    pub fn new(corp: &CorpId, agent: AgentId, member: &MemberId) -> Self {
        Self(format!("{corp}/{agent}/{}", member.key()))
    }

    /// A lane read back from the store, which got it from [`Lane::new`].
    pub fn from_stored(key: String) -> Self {
        Self(key)
    }

    /// The key under which the store orders.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The application that it belongs to, as [`AppKey::as_str`] has it: neither a corp id nor an AgentId holds a `/`.
    pub fn app(&self) -> &str {
        let end = self.0.match_indices('/').nth(1).map_or(self.0.len(), |(at, _)| at);
        &self.0[..end]
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An application in the store: what its lanes begin with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppKey(Arc<str>);

impl AppKey {
    /// The application of an enterprise.
    pub fn new(corp: &CorpId, agent: AgentId) -> Self {
        Self(format!("{corp}/{agent}").into())
    }

    /// One read back from the store, which got it from [`AppKey::new`].
    pub fn from_stored(key: &str) -> Self {
        Self(key.into())
    }

    /// As the store keeps it: `ww1436e0e65a779aee/1000002`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// So that a map keyed by applications is asked with what [`Lane::app`] gives.
impl Borrow<str> for AppKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one turn in the store, in the log and, shortened, in what an employee is told when something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TurnId(Uuid);

impl TurnId {
    /// A new id (UUIDv7: ordered by time, random in its tail).
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// Reads the form that [`fmt::Display`] writes.
    ///
    /// # Errors
    /// [`InvalidId`] when it is no UUID.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        Uuid::parse_str(text).map(Self).map_err(|_| InvalidId("expected a UUID"))
    }

    /// Eight characters from the random tail: short enough to be read out, and found in the log beside the full id.
    pub fn reference(&self) -> String {
        let simple = self.0.simple().to_string();
        simple[simple.len() - 8..].to_uppercase()
    }
}

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_take_what_wecom_gives_and_nothing_else() {
        for good in ["ww1436e0e65a779aee", "wx5823bf96d3bd56c7"] {
            assert_eq!(CorpId::parse(good).expect(good).as_str(), good);
        }
        for bad in ["", "ww 1", "ww/1", &"w".repeat(65)] {
            assert!(CorpId::parse(bad).is_err(), "{bad}");
        }
        for good in ["ZhangSan", "zhang.san@corp", "张三"] {
            assert_eq!(MemberId::parse(good).expect(good).as_str(), good);
        }
        for bad in ["", "a|b", "@all", "@ALL", "a\nb", &"a".repeat(65)] {
            assert!(MemberId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn members_compare_and_share_a_lane_without_case() {
        let (a, b) = (MemberId::parse("ZhangSan").expect("id"), MemberId::parse("zhangsan").expect("id"));
        assert_eq!(a, b);
        let corp = CorpId::parse("ww1").expect("id");
        let lane = Lane::new(&corp, AgentId::new(7), &a);
        assert_eq!(lane, Lane::new(&corp, AgentId::new(7), &b));
        assert_eq!(lane.app(), "ww1/7");
    }

    #[test]
    fn a_turn_id_survives_its_text_and_has_a_short_reference() {
        let id = TurnId::generate();
        assert_eq!(TurnId::parse(&id.to_string()), Ok(id));
        assert_eq!(id.reference().len(), 8);
    }
}
