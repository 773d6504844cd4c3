//! Members and tables as a terminal or a program reads them.

use serde_json::{Value, json};

use crate::{
    clock::Clock,
    config::Config,
    model::{
        json::member::Member,
        person::{Person, table::shown_premium},
    },
    server::commands::say,
    store::people::change::Department,
};

/// The state as one word or two.
fn state(config: &Config, person: &Person) -> &'static str {
    let expired = person.expires_at.is_some_and(|at| at <= Clock::System.now());
    if person.blocked.is_some() {
        return say(config, "已停用", "blocked");
    }
    match (expired, person.outside.is_empty()) {
        (true, _) => say(config, "已到期", "expired"),
        (_, false) => say(config, "不在可见范围", "outside"),
        _ => say(config, "正常", "ok"),
    }
}

pub(super) fn row(config: &Config, person: &Person) -> [String; 8] {
    let zone = &config.chat.time_zone;
    [
        person.member.to_string(),
        person.name.clone().unwrap_or_default(),
        person.role.to_string(),
        state(config, person).to_owned(),
        person.expires_at.map_or_else(String::new, |at| zone.last_date(at)),
        shown_premium(person.premium, zone),
        person.hours.as_ref().map_or_else(String::new, ToString::to_string),
        person.note.clone(),
    ]
}

/// A member, a line for each thing that is known of them.
pub(super) fn described(config: &Config, person: &Person, departments: &[Department]) -> Vec<(&'static str, String)> {
    let [member, name, role, state, expires, premium, hours, note] = row(config, person);
    let of = |id: &u64| {
        let known = departments.iter().find(|department| department.id == *id);
        let name = known.and_then(|department| department.name.clone()).unwrap_or_default();
        format!("{id} {name}").trim_end().to_owned()
    };
    let lines = [
        (["账号：", "userid: "], member),
        (["姓名：", "name: "], name),
        (["部门：", "departments: "], person.departments.iter().map(of).collect::<Vec<_>>().join(", ")),
        (["角色：", "role: "], role),
        (["状态：", "state: "], state),
        (["停用原因：", "blocked because: "], person.blocked.clone().unwrap_or_default()),
        (["最后一天：", "last day: "], expires),
        (["高级模型：", "premium models: "], premium),
        (["服务时间：", "hours: "], hours),
        (["备注：", "note: "], note),
        (
            ["第一条消息：", "first message: "],
            person.first_at.map_or_else(String::new, |at| config.chat.time_zone.local(at).to_string()),
        ),
    ];
    let lines = lines.into_iter().filter(|(_, value)| !value.is_empty());
    lines.map(|([zh, en], value)| (say(config, zh, en), value)).collect()
}

pub(super) fn in_json(config: &Config, person: &Person) -> Value {
    json!(Member::of(person, &config.chat.time_zone))
}

pub(super) fn print_json(value: &Value) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Columns as wide as they must be; everything but ASCII takes two columns of a terminal.
pub(super) fn print_table<const N: usize>(rows: &[[String; N]]) {
    let width = |text: &str| text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<usize>();
    let widths: Vec<usize> =
        (0..N).map(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or_default()).collect();
    for row in rows {
        let mut line = String::new();
        for (cell, wide) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(wide - width(cell) + 2));
        }
        println!("{}", line.trim_end());
    }
}
