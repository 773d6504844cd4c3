//! `qimate key`: the keys by which programs ask. A running daemon feels a change within a second.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{anyhow, bail};
use serde_json::{Value, json};

use super::{actor, say, tell};
use crate::{
    clock::{Clock, Timestamp},
    config::Config,
    model::{
        id::{CorpId, MemberId},
        json::{self, key::WrongKey},
        key::{ApiKey, Endpoint, KeyId, LONGEST_NAME, Owner, Scope, Standing},
        network::Network,
    },
    secret::Secret,
    store::{
        Store,
        keys::{Made, NewKey, Revoked, Rotated},
    },
};

const DAY: Duration = Duration::from_secs(86_400);

/// What a key is to be, as it was written.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What people call it.
    pub name: String,
    /// Who asks by it; `None`: a program of the company.
    pub member: Option<MemberId>,
    /// The enterprise, where several are served.
    pub corp: Option<String>,
    /// Aliases; empty for all.
    pub models: Vec<String>,
    /// Words of [`Endpoint`]; empty for all.
    pub endpoints: Vec<String>,
    /// Networks; empty for everywhere.
    pub networks: Vec<String>,
    /// For how many days; `None` for ever.
    pub days: Option<u32>,
    /// What another system calls it.
    pub external_id: Option<String>,
}

/// Makes a key and shows it, once; or changes the one of the same external id.
///
/// # Errors
/// Something of it is wrong, the external id is another owner's, or the database cannot be written.
pub async fn create(config: &Config, wanted: Wanted, as_json: bool) -> anyhow::Result<()> {
    let now = Clock::System.now();
    let scope = scope(config, &wanted)?;
    for text in [Some(&wanted.name), wanted.external_id.as_ref()].into_iter().flatten() {
        json::key::name(text).map_err(|wrong| told(config, &wanted, &wrong))?;
    }
    let new = NewKey {
        corp: corp(config, wanted.corp.as_deref())?,
        owner: wanted.member.map_or(Owner::Service, Owner::Member),
        name: wanted.name,
        scope,
        external_id: wanted.external_id,
        expires_at: wanted.days.map(|days| now + DAY * days),
    };
    match Store::open_beside(&config.storage)?.make_key(&actor(), new, now).await? {
        Made::New(key, text) => shown_once(config, &key, &text, as_json, now),
        Made::Updated(key) if as_json => println!("{:#}", in_json(&key, now)),
        Made::Updated(key) => println!(
            "{}",
            tell(
                config,
                || format!("密钥 {} 已更新；密钥本身没有变", key.id),
                || format!("changed key {}; its secret is as before", key.id),
            )
        ),
        Made::OfAnother(key) => bail!(tell(
            config,
            || format!(
                "这个外部编号属于密钥 {}（{}），不能改为别人的；请先 qimate key revoke",
                key.id,
                owner(config, &key)
            ),
            || format!(
                "the external id is that of key {} ({}), whose owner cannot change; `qimate key revoke` it first",
                key.id,
                owner(config, &key)
            ),
        )),
    }
    Ok(())
}

/// Prints every key; never a secret.
///
/// # Errors
/// There is no database, or it cannot be read.
pub async fn list(config: &Config, as_json: bool) -> anyhow::Result<()> {
    let (keys, now) = (Store::open_beside(&config.storage)?.keys().await?, Clock::System.now());
    if as_json {
        println!("{:#}", keys.iter().map(|key| in_json(key, now)).collect::<Value>());
        return Ok(());
    }
    if keys.is_empty() {
        println!(
            "{}",
            say(
                config,
                "还没有密钥。例如：qimate key create 报表 --service，或 qimate key create 笔记本 --member zhangsan",
                "no keys yet; for example: qimate key create reports --service, or \
                 qimate key create laptop --member zhangsan",
            )
        );
        return Ok(());
    }
    println!(
        "{}",
        say(
            config,
            "编号          状态     最后使用          属于                  名称",
            "ID            STATE    LAST USED         OWNER                 NAME"
        )
    );
    for key in keys {
        let used = key.last_used_at.map_or_else(|| "-".to_owned(), |at| moment(config, at));
        println!(
            "{:<12}  {:<7}  {:<16}  {:<20}  {}",
            key.id,
            key.standing(now).as_str(),
            used,
            owner(config, &key),
            named(config, &key)
        );
    }
    Ok(())
}

/// Prints one key; never its secret.
///
/// # Errors
/// There is no such key, or the database cannot be read.
pub async fn show(config: &Config, id: &str, as_json: bool) -> anyhow::Result<()> {
    let (id, now) = (parse(config, id)?, Clock::System.now());
    let key = Store::open_beside(&config.storage)?.key(&id).await?.ok_or_else(|| no_such(config, &id))?;
    if as_json {
        println!("{:#}", in_json(&key, now));
        return Ok(());
    }
    for (name, text) in described(config, &key, now) {
        println!("{name}: {text}");
    }
    Ok(())
}

/// Draws a new secret for a key and shows it, once. The one of before stays good for `grace_hours`.
///
/// # Errors
/// There is no such key, it is no longer good, or the database cannot be written.
pub async fn rotate(config: &Config, id: &str, grace_hours: u32, as_json: bool) -> anyhow::Result<()> {
    let (id, now) = (parse(config, id)?, Clock::System.now());
    let grace = Duration::from_secs(u64::from(grace_hours) * 3600);
    match Store::open_beside(&config.storage)?.rotate_key(&actor(), &id, grace, now).await? {
        Rotated::Yes(key, text) => shown_once(config, &key, &text, as_json, now),
        Rotated::NotThere => return Err(no_such(config, &id)),
        Rotated::NoLongerGood(standing) => bail!(tell(
            config,
            || format!("密钥 {id} 已失效（{}）；请新建一个", standing.as_str()),
            || format!("key {id} is {}; make a new one", standing.as_str()),
        )),
    }
    Ok(())
}

/// Takes a key back, for good.
///
/// # Errors
/// There is no such key, or the database cannot be written.
pub async fn revoke(config: &Config, id: &str) -> anyhow::Result<()> {
    let id = parse(config, id)?;
    match Store::open_beside(&config.storage)?.revoke_key(&actor(), &id, Clock::System.now()).await? {
        Revoked::Yes => println!("{}", tell(config, || format!("密钥 {id} 已停用"), || format!("revoked key {id}"))),
        Revoked::Already => {
            println!("{}", tell(config, || format!("密钥 {id} 早已停用"), || format!("key {id} was revoked before")));
        }
        Revoked::NotThere => return Err(no_such(config, &id)),
    }
    Ok(())
}

/// The key as a noun that a plan can be attached to.
///
/// # Errors
/// There is no such key, or the database cannot be read.
pub(super) async fn find(config: &Config, store: &Store, id: &str) -> anyhow::Result<ApiKey> {
    let id = parse(config, id)?;
    store.key(&id).await?.ok_or_else(|| no_such(config, &id))
}

/// The only moment in which a secret is seen. Where a program reads, it alone stands on the standard output.
fn shown_once(config: &Config, key: &ApiKey, text: &Secret<String>, as_json: bool, now: Timestamp) {
    if as_json {
        let mut all = in_json(key, now);
        all["key"] = Value::from(text.expose().as_str());
        println!("{all:#}");
        return;
    }
    eprintln!(
        "{}",
        tell(
            config,
            || format!("密钥 {}（{}，{}），只显示这一次：", key.id, key.name, owner(config, key)),
            || format!("key {} ({}, {}), shown this once:", key.id, key.name, owner(config, key)),
        )
    );
    println!("{}", text.expose());
    if let Some((_, until)) = key.previous.as_ref().filter(|(_, until)| *until > now) {
        let until = moment(config, *until);
        eprintln!(
            "{}",
            tell(config, || format!("旧的到 {until} 为止仍可使用"), || format!("the one before is good until {until}"))
        );
    }
    if !config.v1.enabled {
        eprintln!(
            "{}",
            say(
                config,
                "提示：v1.enabled 还是 false，没有程序能使用密钥",
                "by the way: v1.enabled is false, so no program can use a key yet"
            )
        );
    }
}

fn scope(config: &Config, wanted: &Wanted) -> anyhow::Result<Scope> {
    fn some(list: &[String]) -> Option<&[String]> {
        Some(list).filter(|list| !list.is_empty())
    }
    let known = config.llm.every_alias();
    json::key::scope(some(&wanted.models), some(&wanted.endpoints), &wanted.networks, &known)
        .map_err(|wrong| told(config, wanted, &wrong))
}

fn told(config: &Config, wanted: &Wanted, wrong: &WrongKey) -> anyhow::Error {
    let written = |list: &[String], at: &usize| list.get(*at).cloned().unwrap_or_default();
    match wrong {
        WrongKey::Name => anyhow!(tell(
            config,
            || format!("名称应为 1 到 {LONGEST_NAME} 个字"),
            || format!("a name has 1 to {LONGEST_NAME} characters"),
        )),
        WrongKey::Model { alias, known, .. } => anyhow!(tell(
            config,
            || format!("没有模型 {alias}；现有：{}", known.join(", ")),
            || format!("there is no model {alias}; there are {}", known.join(", ")),
        )),
        WrongKey::Endpoint { at } => {
            let (word, known) = (written(&wanted.endpoints, at), Endpoint::ALL.map(Endpoint::as_str).join(", "));
            anyhow!(tell(
                config,
                || format!("--endpoints {word}：应为 {known}"),
                || format!("--endpoints {word}: expected some of {known}"),
            ))
        }
        WrongKey::Network { at, why } => anyhow!("--from {}: {why}", written(&wanted.networks, at)),
        WrongKey::Member(_) | WrongKey::Nothing(_) | WrongKey::Over => anyhow!("{wrong}"),
    }
}

/// The enterprise that is meant: the only one, or the one that is named.
fn corp(config: &Config, named: Option<&str>) -> anyhow::Result<CorpId> {
    let served: BTreeSet<&str> = config.apps.iter().map(|app| app.wecom.corp_id.as_str()).collect();
    let all = || served.iter().copied().collect::<Vec<_>>().join(", ");
    let corp = match named {
        Some(named) => served.get(named).copied(),
        None => served.first().copied().filter(|_| served.len() == 1),
    };
    let corp = corp.ok_or_else(|| {
        anyhow!(tell(
            config,
            || format!("请用 --corp 指明企业：{}", all()),
            || format!("say with --corp which: {}", all())
        ))
    })?;
    Ok(CorpId::parse(corp)?)
}

fn parse(config: &Config, id: &str) -> anyhow::Result<KeyId> {
    // Not quoted: somebody may have given a whole key.
    KeyId::parse(id).map_err(|_| {
        anyhow!(
            "{}",
            say(
                config,
                "不是密钥的编号：应为 qimate key list 里的 12 位编号，不是密钥本身",
                "not the id of a key: expected the 12 digits that `qimate key list` shows, and not the key itself"
            )
        )
    })
}

fn no_such(config: &Config, id: &KeyId) -> anyhow::Error {
    anyhow!(tell(
        config,
        || format!("没有编号为 {id} 的密钥；qimate key list 会列出全部"),
        || format!("there is no key {id}; `qimate key list` shows them"),
    ))
}

fn owner(config: &Config, key: &ApiKey) -> String {
    match &key.owner {
        Owner::Member(member) => member.to_string(),
        Owner::Service => say(config, "（公司的程序）", "(service)").to_owned(),
    }
}

/// Its name, and whether its member made it.
fn named(config: &Config, key: &ApiKey) -> String {
    let made = if key.self_made { say(config, "（成员自己建立）", " (made by the member)") } else { "" };
    format!("{}{made}", key.name)
}

fn moment(config: &Config, at: Timestamp) -> String {
    config.chat.time_zone.local(at).to_string()
}

fn described(config: &Config, key: &ApiKey, now: Timestamp) -> Vec<(&'static str, String)> {
    let all = || say(config, "全部", "all").to_owned();
    let joined = |texts: Vec<String>| texts.join(", ");
    let Scope { models, endpoints, networks } = &key.scope;
    let state = match (key.standing(now), key.previous.as_ref().filter(|(_, until)| *until > now)) {
        (Standing::Good, Some((_, until))) => {
            let until = moment(config, *until);
            tell(config, || format!("good，旧的到 {until} 为止"), || format!("good, the one before until {until}"))
        }
        (standing, _) => standing.as_str().to_owned(),
    };
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| moment(config, at));
    vec![
        (say(config, "编号", "id"), key.id.to_string()),
        (say(config, "名称", "name"), named(config, key)),
        (say(config, "企业", "corp"), key.corp.to_string()),
        (say(config, "属于", "owner"), owner(config, key)),
        (say(config, "状态", "state"), state),
        (say(config, "模型", "models"), models.as_ref().map_or_else(all, |all| joined(all.iter().cloned().collect()))),
        (
            say(config, "接口", "endpoints"),
            endpoints
                .as_ref()
                .map_or_else(all, |some| joined(some.iter().map(|one| one.as_str().to_owned()).collect())),
        ),
        (
            say(config, "来源", "from"),
            if networks.is_empty() { all() } else { joined(networks.iter().map(Network::to_string).collect()) },
        ),
        (say(config, "外部编号", "external id"), key.external_id.clone().unwrap_or_else(|| "-".to_owned())),
        (say(config, "创建", "created"), moment(config, key.created_at)),
        (say(config, "到期", "expires"), time(key.expires_at)),
        (say(config, "最后使用", "last used"), time(key.last_used_at)),
    ]
}

fn in_json(key: &ApiKey, now: Timestamp) -> Value {
    json!(json::key::Key::of(key, now))
}
