//! Who can have an allowance.

use std::fmt;

use crate::model::{
    id::{CorpId, MemberId},
    key::KeyId,
};

/// The levels at which use is counted and limited. A call counts at each that it concerns, and each must have room.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// Everybody of an enterprise together.
    Company(String),
    /// A department's members together, by WeCom's number.
    Department(String, u64),
    /// One member, in whichever application; the userid in lower case.
    Member(String, String),
    /// One API key, by its public id.
    Key(String, String),
}

impl Subject {
    /// Everybody of an enterprise together.
    pub fn company(corp: &CorpId) -> Self {
        Self::Company(corp.as_str().to_owned())
    }

    /// The members of a department together.
    pub fn department(corp: &CorpId, department: u64) -> Self {
        Self::Department(corp.as_str().to_owned(), department)
    }

    /// One member.
    pub fn member(corp: &CorpId, member: &MemberId) -> Self {
        Self::Member(corp.as_str().to_owned(), member.key())
    }

    /// One API key.
    pub fn key(corp: &CorpId, key: &KeyId) -> Self {
        Self::Key(corp.as_str().to_owned(), key.as_str().to_owned())
    }

    /// The word for its level.
    pub const fn level(&self) -> &'static str {
        match self {
            Self::Company(_) => "company",
            Self::Department(..) => "department",
            Self::Member(..) => "member",
            Self::Key(..) => "key",
        }
    }
}

/// The key under which the store counts. A corp id holds no slash.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Company(corp) => write!(f, "company/{corp}"),
            Self::Department(corp, department) => write!(f, "department/{corp}/{department}"),
            Self::Member(corp, member) => write!(f, "member/{corp}/{member}"),
            Self::Key(corp, key) => write!(f, "key/{corp}/{key}"),
        }
    }
}
