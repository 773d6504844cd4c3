//! Members as a table that a spreadsheet opens, edited there and read again.

use std::collections::HashSet;

use super::{Edit, Person, Premium, Role, hours::ServiceHours};
use crate::{
    clock::{Timestamp, zone::Zone},
    model::{csv, id::MemberId},
};

/// The columns, in the order in which they are written. Only the first must be there to be read.
pub const COLUMNS: [&str; 9] =
    ["userid", "name", "departments", "role", "expires", "premium_expires", "hours", "blocked", "note"];
/// What stands under `blocked` where no reason is given.
const YES: &str = "yes";
/// The longest note, reason or name, in characters.
const LONGEST: usize = 500;
/// Mistakes that are told at once.
const MOST_MISTAKES: usize = 100;

/// What is wrong with a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The row, from 1; the first has the names of the columns.
    pub row: usize,
    /// The name of the column; empty where the whole row is meant.
    pub column: String,
    /// What would be right, in Chinese and in English.
    pub right: [&'static str; 2],
}

/// Members as a CSV file; dates are days of `zone`.
pub fn export(people: &[Person], zone: &Zone) -> String {
    let mut rows = vec![COLUMNS.map(str::to_owned).to_vec()];
    rows.extend(people.iter().map(|person| {
        let departments: Vec<String> = person.departments.iter().map(u64::to_string).collect();
        let blocked = person.blocked.as_deref().map(|reason| if reason.is_empty() { YES } else { reason });
        vec![
            person.member.as_str().to_owned(),
            person.name.clone().unwrap_or_default(),
            departments.join(" "),
            person.role.to_string(),
            person.expires_at.map_or_else(String::new, |at| zone.last_date(at)),
            shown_premium(person.premium, zone),
            person.hours.as_ref().map_or_else(String::new, ServiceHours::to_string),
            blocked.unwrap_or_default().to_owned(),
            person.note.clone(),
        ]
    }));
    csv::write(&rows)
}

/// Reads such a file. A column that is not there leaves what it is about as it is; an empty cell sets it back.
///
/// # Errors
/// Every [`Mistake`], up to a hundred: nothing is to be changed.
pub fn import(file: &str, zone: &Zone) -> Result<Vec<Edit>, Vec<Mistake>> {
    const QUOTE: [&str; 2] = ["引号应成对", "expected quotes in pairs"];
    let rows = csv::read(file).map_err(|row| vec![Mistake { row, column: String::new(), right: QUOTE }])?;
    let mut rows = rows.into_iter().enumerate().map(|(index, row)| (index + 1, row));
    let columns = columns(rows.next().map(|(_, row)| row).unwrap_or_default())?;
    let (mut edits, mut mistakes, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for (row, cells) in rows {
        if cells.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        match edit(&columns, &cells, zone) {
            Ok(edit) if !seen.insert(edit.member.key()) => {
                let right = ["同一 userid 只能出现一次", "expected each userid once"];
                mistakes.push(Mistake { row, column: COLUMNS[0].to_owned(), right });
            }
            Ok(edit) => edits.push(edit),
            Err(wrong) => {
                mistakes.extend(wrong.into_iter().map(|(column, right)| Mistake {
                    row,
                    column: column.to_owned(),
                    right,
                }));
            }
        }
        if mistakes.len() >= MOST_MISTAKES {
            break;
        }
    }
    if mistakes.is_empty() { Ok(edits) } else { Err(mistakes) }
}

/// Which column is at which place.
fn columns(header: Vec<String>) -> Result<Vec<&'static str>, Vec<Mistake>> {
    let mut columns = Vec::new();
    for name in &header {
        let known = COLUMNS.into_iter().find(|known| known.eq_ignore_ascii_case(name.trim()));
        match known.filter(|known| !columns.contains(known)) {
            Some(known) => columns.push(known),
            None => {
                let right = [
                    "列名应为 userid、name、departments、role、expires、premium_expires、hours、blocked、note，各一次",
                    "expected userid, name, departments, role, expires, premium_expires, hours, blocked and note, each once",
                ];
                return Err(vec![Mistake { row: 1, column: name.clone(), right }]);
            }
        }
    }
    if columns.contains(&COLUMNS[0]) {
        return Ok(columns);
    }
    Err(vec![Mistake { row: 1, column: String::new(), right: ["应有 userid 一列", "expected a column userid"] }])
}

type Wrong = (&'static str, [&'static str; 2]);

fn edit(columns: &[&'static str], cells: &[String], zone: &Zone) -> Result<Edit, Vec<Wrong>> {
    let cell = |name: &str| {
        let place = columns.iter().position(|column| *column == name)?;
        Some(cells.get(place).map_or("", |cell| cell.trim()))
    };
    let mut wrong = Vec::new();
    if cells.len() > columns.len() {
        wrong.push(("", ["单元格比列名多", "expected no more cells than columns"]));
    }
    let Ok(member) = MemberId::parse(cell(COLUMNS[0]).unwrap_or_default()) else {
        wrong.push((COLUMNS[0], ["应为 1 到 64 个字节的 userid", "expected a userid of 1 to 64 bytes"]));
        return Err(wrong);
    };
    let mut edit = Edit::of(member);
    for column in &COLUMNS[1..] {
        let Some(text) = cell(column) else { continue };
        if let Err(right) = set(&mut edit, column, text, zone) {
            wrong.push((*column, right));
        }
    }
    if wrong.is_empty() { Ok(edit) } else { Err(wrong) }
}

/// Sets what a column is about.
fn set(edit: &mut Edit, column: &str, text: &str, zone: &Zone) -> Result<(), [&'static str; 2]> {
    let given = (!text.is_empty()).then_some(text);
    match column {
        "name" => edit.name = Some(given.map(short).transpose()?),
        "departments" => edit.departments = Some(read_departments(text)?),
        "role" => edit.role = Some(given.map_or(Ok(Role::Member), read_role)?),
        "expires" => edit.expires_at = Some(read_expiry(text, zone)?),
        "premium_expires" => edit.premium = Some(read_premium(text, zone)?),
        "hours" => edit.hours = Some(read_hours(text)?),
        "blocked" => {
            edit.blocked = Some(match text {
                "" | "no" | "否" => None,
                YES | "是" => Some(String::new()),
                reason => Some(short(reason)?),
            });
        }
        _ => edit.note = Some(short(text)?),
    }
    Ok(())
}

/// The word for a role.
///
/// # Errors
/// As [`short`].
pub fn read_role(text: &str) -> Result<Role, [&'static str; 2]> {
    let right =
        ["应为 owner、operator、auditor、manager 或 member", "expected owner, operator, auditor, manager or member"];
    Role::parse(text).ok_or(right)
}

/// A text of one line that is not too long.
///
/// # Errors
/// What would be right, in Chinese and in English, as all of these.
pub fn short(text: &str) -> Result<String, [&'static str; 2]> {
    let fits = text.chars().count() <= LONGEST && !text.chars().any(char::is_control);
    let right = ["应为一行、最多 500 个字", "expected one line of at most 500 characters"];
    if fits { Ok(text.to_owned()) } else { Err(right) }
}

/// `2026-12-31`, the last day; empty or `never` for none.
///
/// # Errors
/// As [`short`].
pub fn read_expiry(text: &str, zone: &Zone) -> Result<Option<Timestamp>, [&'static str; 2]> {
    let right = ["应为日期，如 2026-12-31，或 never", "expected a date such as 2026-12-31, or never"];
    match text.trim() {
        "" | "never" | "永久" => Ok(None),
        date => zone.after_date(date).map(Some).ok_or(right),
    }
}

/// The same; empty or `inherit` for as the others, `off` for not at all.
///
/// # Errors
/// As [`short`].
pub fn read_premium(text: &str, zone: &Zone) -> Result<Premium, [&'static str; 2]> {
    let right = ["应为日期，如 2026-12-31，或 inherit、off", "expected a date such as 2026-12-31, inherit or off"];
    match text.trim() {
        "" | "inherit" => Ok(Premium::Inherit),
        "off" => Ok(Premium::Off),
        date => zone.after_date(date).map(Premium::Until).ok_or(right),
    }
}

/// What [`read_premium`] reads.
pub fn shown_premium(premium: Premium, zone: &Zone) -> String {
    match premium {
        Premium::Inherit => String::new(),
        Premium::Off => "off".to_owned(),
        Premium::Until(at) => zone.last_date(at),
    }
}

/// Service hours; empty or `inherit` for none of one's own.
///
/// # Errors
/// As [`short`].
pub fn read_hours(text: &str) -> Result<Option<ServiceHours>, [&'static str; 2]> {
    let right = [
        "应为 Mon-Fri 08:00-20:00; Sat 09:00-12:00 或 always、inherit",
        "expected days and hours such as Mon-Fri 08:00-20:00; Sat 09:00-12:00, or always, or inherit",
    ];
    match text.trim() {
        "" | "inherit" => Ok(None),
        hours => ServiceHours::parse(hours).map(Some).map_err(|_| right),
    }
}

fn read_departments(text: &str) -> Result<Vec<u64>, [&'static str; 2]> {
    let right = ["应为企业微信的部门编号，以空格分隔", "expected WeCom's numbers of departments, with blanks between"];
    let numbers = text.split([' ', ';', '；']).filter(|number| !number.is_empty());
    numbers.map(|number| number.parse().ok().filter(|id| (1..=u64::from(u32::MAX)).contains(id)).ok_or(right)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::id::CorpId;

    fn zone() -> Zone {
        Zone::parse("Asia/Shanghai").expect("a zone")
    }

    #[test]
    fn each_mistake_is_told_with_its_row_and_column() {
        let file = "userid,role,expires,premium_expires,hours,departments\n\
                    li,member,2026-12-31,off,Mon-Fri 08:00-20:00,1 2\n\
                    ,boss,soon,,,\n\
                    LI,,,,,\n\
                    wang,boss,2026-02-30,on,8-20,x\n";
        let told: Vec<_> =
            import(file, &zone()).expect_err("wrong").into_iter().map(|one| (one.row, one.column)).collect();
        let told: Vec<_> = told.iter().map(|(row, column)| (*row, column.as_str())).collect();
        let last = ["departments", "role", "expires", "premium_expires", "hours"].map(|column| (5, column));
        assert_eq!(told, [vec![(3, "userid"), (4, "userid")], last.to_vec()].concat());
        for (wrong, row, column) in
            [("name\nli", 1, ""), ("userid,rolle\n", 1, "rolle"), ("userid\n\"li", 2, ""), ("", 1, "")]
        {
            let mistakes = import(wrong, &zone()).expect_err("wrong");
            assert_eq!((mistakes[0].row, mistakes[0].column.as_str()), (row, column), "{wrong:?}");
        }
    }

    #[test]
    fn a_column_that_is_not_there_leaves_things_as_they_are() {
        let edits = import("note,UserID\n=1+1,li\n\n", &zone()).expect("edits");
        let member = MemberId::parse("li").expect("a member");
        assert_eq!(edits, [Edit { note: Some("=1+1".to_owned()), ..Edit::of(member) }]);
    }

    proptest! {
        #[test]
        fn what_is_exported_is_imported_again(
            userid in "[a-z][a-z0-9_.@-]{0,20}", name in prop::option::of("[=+@a-z张 ,\"]{0,8}[a-z]"), role in 0..5_usize,
            days in prop::option::of(9_200..20_000_i64), premium in 0..3_i64, blocked in prop::option::of("[a-m]{0,6}"),
            note in "(|[-=+@a-z,\"]{0,10}[a-z])", departments in prop::collection::btree_set(1..9_000_u64, 0..4),
        ) {
            // Midnights in Shanghai, eight hours before those in Greenwich (until 1991 it had summer time).
            let at = |days: i64| Timestamp::from_secs(days * 86_400 - 8 * 3600);
            let name = name.map(|name| name.trim().to_owned());
            let person = Person {
                corp: CorpId::parse("ww1").expect("corp"),
                member: MemberId::parse(&userid).expect("member"),
                name: name.clone(),
                role: Role::ALL[role],
                expires_at: days.map(at),
                premium: [Premium::Inherit, Premium::Off, Premium::Until(at(9_999))][premium as usize],
                hours: (premium > 0).then(|| ServiceHours::parse("Mon-Fri 08:00-20:00; Sat 09:00-12:00").expect("hours")),
                blocked: blocked.filter(|reason| !["no", "yes"].contains(&reason.as_str())),
                note: note.trim().to_owned(),
                departments: departments.into_iter().collect(),
                outside: Vec::new(),
                first_at: None,
            };
            let expected = Edit {
                name: Some(name),
                departments: Some(person.departments.clone()),
                role: Some(person.role),
                expires_at: Some(person.expires_at),
                premium: Some(person.premium),
                hours: Some(person.hours.clone()),
                blocked: Some(person.blocked.clone()),
                note: Some(person.note.clone()),
                ..Edit::of(person.member.clone())
            };
            prop_assert_eq!(import(&export(&[person], &zone()), &zone()), Ok(vec![expected]));
        }
    }
}
