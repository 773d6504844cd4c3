//! `change_contact` (page 90240): what changed in the address book. Keeps what is needed of it, and no telephone numbers.

use super::{directory::short, xml::Fields};
use crate::model::{directory::ContactChange, id::MemberId};

/// Reads the fields of the event. `None`: a change that nothing is done about, or one without what it needs.
pub(super) fn read(fields: &Fields) -> Option<ContactChange> {
    let member = |name| fields.word(name).and_then(|id| MemberId::parse(id).ok());
    let number = |name| fields.word(name).and_then(|id| id.parse::<u64>().ok());
    let name = || fields.get("Name").and_then(short);
    let change = fields.word("ChangeType")?;
    Some(match change {
        "create_user" | "update_user" => ContactChange::Member {
            member: member("UserID")?,
            renamed: member("NewUserID"),
            is_new: change == "create_user",
            name: name(),
            departments: fields.word("Department").map(numbers),
            // 1: active, 2: disabled, 4: not activated yet, 5: left (page 90196).
            is_active: number("Status").map(|status| !matches!(status, 2 | 5)),
        },
        "delete_user" => ContactChange::MemberGone { member: member("UserID")? },
        "create_party" | "update_party" => {
            ContactChange::Department { id: number("Id")?, parent: number("ParentId"), name: name() }
        }
        "delete_party" => ContactChange::DepartmentGone { id: number("Id")? },
        _ => return None,
    })
}

fn numbers(list: &str) -> Vec<u64> {
    list.split(',').filter_map(|number| number.trim().parse().ok()).collect()
}
