//! What WeCom says of its address book: as a whole when it is asked, and change by change when something changes.

use serde::{Deserialize, Serialize};

use super::id::MemberId;

/// Whom an application is for, as far as it may read the address book.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// The members in its visible range that WeCom named.
    pub members: Vec<ListedMember>,
    /// The departments that it named.
    pub departments: Vec<ListedDepartment>,
    /// Whether nobody else is in the visible range. Not where it has tags: who has one, nobody says here.
    pub is_complete: bool,
}

/// A member of a [`Listing`].
#[derive(Clone, Debug, PartialEq)]
pub struct ListedMember {
    /// Who.
    pub member: MemberId,
    /// Their name, where the application may read it.
    pub name: Option<String>,
    /// The departments that they are directly in; `None`: the application may not read it.
    pub departments: Option<Vec<u64>>,
}

/// A department of a [`Listing`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedDepartment {
    /// WeCom's number.
    pub id: u64,
    /// That of the one above; 0: none.
    pub parent: u64,
    /// Its name, where the application may read it.
    pub name: Option<String>,
}

/// A change of the address book (`change_contact`). What WeCom left out stays as it is. Nothing else of the event is kept:
/// it may hold telephone numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum ContactChange {
    /// A member came, or is another now.
    Member {
        /// Under which userid so far.
        member: MemberId,
        /// Under which from now on, where that changed.
        renamed: Option<MemberId>,
        /// Whether they came just now.
        is_new: bool,
        /// The name.
        name: Option<String>,
        /// All departments that they are directly in.
        departments: Option<Vec<u64>>,
        /// Whether they may use WeCom: not disabled, and did not leave.
        is_active: Option<bool>,
    },
    /// A member left the enterprise.
    MemberGone {
        /// Who.
        member: MemberId,
    },
    /// A department came, or is another now.
    Department {
        /// WeCom's number.
        id: u64,
        /// That of the one above.
        parent: Option<u64>,
        /// Its name.
        name: Option<String>,
    },
    /// A department is gone.
    DepartmentGone {
        /// WeCom's number.
        id: u64,
    },
}

impl ContactChange {
    /// The userids of before and from now on, where it is a new one.
    pub fn renamed(&self) -> Option<[&MemberId; 2]> {
        match self {
            Self::Member { member, renamed: Some(renamed), .. } if renamed != member => Some([member, renamed]),
            _ => None,
        }
    }
}

impl ListedMember {
    /// One of whom nothing more is known.
    pub const fn unnamed(member: MemberId) -> Self {
        Self { member, name: None, departments: None }
    }
}

/// What came of reading the address book for an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It is everybody.
    Whole,
    /// It was read, and the visible range has tags or nobody, so that it is not everybody.
    Partly,
    /// WeCom does not let it be read: its errcode.
    Refused(i64),
    /// It could not be read to its end: why.
    Failed(String),
}
