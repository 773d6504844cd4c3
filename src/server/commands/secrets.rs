//! `qimate secrets`: secrets of the configuration, encrypted in the database. Values go in and are never shown.

use std::{
    io::{IsTerminal, Read, stdin},
    path::Path,
};

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};

use super::{actor, print, say, tell};
use crate::{
    admin::shown,
    clock::Clock,
    config::{Basics, Fault, Gathered, SecretName, Standing, chat::Language},
    secret::Secret,
    store::{
        self, Store,
        migrate::{self, Plan},
        secrets::{Removed, Rotated},
    },
    vault::{MasterKey, MasterKeys, Unreadable},
};

/// Bytes that are read of a value; what is longer is refused, and need not be read to its end.
const MOST: u64 = 64 * 1024;

/// Stores a value, from `file` or else from the standard input.
///
/// # Errors
/// No setting of that name holds a secret, the setting would not take the value, no master key is set or it does not open
/// what is stored, or the database cannot be written.
pub async fn set(
    basics: &Basics,
    gathered: &Gathered,
    name: &str,
    file: Option<&Path>,
    as_json: bool,
) -> anyhow::Result<()> {
    let name = SecretName::parse(name).map_err(|fault| faulty(basics, &fault))?;
    let keys = keys(basics)?;
    let value = value(basics, &name, file)?;
    name.check(&value).map_err(|fault| faulty(basics, &fault))?;
    let now = Clock::System.now();
    let key = match open(basics)?.set_secret(&actor(), keys, &name, &value, now).await? {
        Ok(set) => set.secret.key,
        Err(why) => return Err(unreadable(basics, &[why])),
    };
    note(basics, &name, &gathered.standing(&name));
    print(
        as_json,
        || {
            tell(
                basics,
                || format!("已加密保存 {name}（{key} 号密钥）；正在运行的企伴要重启后才会使用"),
                || format!("stored {name}, encrypted with key {key}; a running Qimate uses it after its next start"),
            )
        },
        &json!({ "name": name.to_string(), "data_key": key, "felt": "next start" }),
    )
}

/// Prints what is stored, without values. Needs no master key.
///
/// # Errors
/// The database cannot be read.
pub async fn list(basics: &Basics, gathered: &Gathered, as_json: bool) -> anyhow::Result<()> {
    let (stored, accounts) = match open_as_it_is(basics)? {
        Some(store) => (store.secrets().await?, store.operators().await?),
        None => (Vec::new(), Vec::new()),
    };
    let standing = |name: &str| SecretName::parse(name).map_or(Standing::Unused, |name| gathered.standing(&name));
    if as_json {
        let with_standing = |secret| {
            let mut shown = json!(shown::secret(secret));
            shown["standing"] = match standing(&secret.name) {
                Standing::Used => "used",
                Standing::Overridden(_) => "overridden",
                Standing::Unused => "unused",
            }
            .into();
            shown
        };
        println!("{:#}", stored.iter().map(with_standing).collect::<Value>());
        return Ok(());
    }
    if stored.is_empty() {
        println!("{}", say(basics, "没有保存任何密钥。", "no secrets are stored"));
    }
    let width = stored.iter().map(|secret| secret.name.len()).max().unwrap_or_default();
    for secret in &stored {
        let at = basics.time_zone.local(secret.set_at);
        let master = secret.master.map_or_else(|| "?".to_owned(), |id| id.to_string());
        let standing = match standing(&secret.name) {
            Standing::Used => String::new(),
            Standing::Overridden(origin) => {
                tell(basics, || format!("  （以 {origin} 为准）"), || format!("  ({origin} wins)"))
            }
            Standing::Unused => say(basics, "  （配置没有用到）", "  (not used by the configuration)").to_owned(),
        };
        println!(
            "{:width$}  {at}  {}  {} {}/{master}{standing}",
            secret.name,
            secret.set_by,
            say(basics, "密钥", "key"),
            secret.key
        );
    }
    // What they are sealed by is needed also where nothing else is stored.
    match accounts.iter().filter(|account| account.second_factor).count() {
        0 => {}
        seeds => println!(
            "{}",
            tell(
                basics,
                || format!("另有 {seeds} 个管理员的第二因素，用同一主密钥加密（qimate operator list）"),
                || format!(
                    "and the second factors of {seeds} operators, under the same master key (qimate operator list)"
                ),
            )
        ),
    }
    Ok(())
}

/// Takes one value away, or all of them. Needs no master key, so that one that is lost can be done without.
///
/// # Errors
/// There is none of that name, or the database cannot be written.
pub async fn remove(basics: &Basics, name: Option<&str>, as_json: bool) -> anyhow::Result<()> {
    let name = name.map(str::trim);
    let Removed { values: removed, seeds } = match open_as_it_is(basics)? {
        Some(store) => store.remove_secret(&actor(), name, Clock::System.now()).await?,
        None => Removed { values: 0, seeds: 0 },
    };
    if let (0, Some(_)) = (removed, name) {
        // Not quoted: somebody may have given the secret itself.
        bail!(say(
            basics,
            "没有保存这个名字的密钥；qimate secrets list 会列出全部",
            "no secret of that name is stored; `qimate secrets list` shows them"
        ));
    }
    if seeds > 0 {
        eprintln!(
            "{}",
            tell(
                basics,
                || format!("另有 {seeds} 个管理员的第二因素一并删除；请用 qimate operator reset 让他们重新设置"),
                || format!(
                    "the second factors of {seeds} operators went too; `qimate operator reset` lets each set up another"
                ),
            )
        );
    }
    print(
        as_json,
        || {
            tell(
                basics,
                || format!("已删除 {removed} 个；正在运行的企伴要重启后才不再使用"),
                || format!("removed {removed}; a running Qimate uses what it has until its next start"),
            )
        },
        &json!({ "removed": removed, "second_factors": seeds, "felt": "next start" }),
    )
}

/// Encrypts everything anew: by a new data key, which the current master key wraps.
///
/// # Errors
/// No master key is set, something that is stored cannot be read, or the database cannot be written. Nothing was changed
/// then.
pub async fn rotate(basics: &Basics, as_json: bool) -> anyhow::Result<()> {
    let keys = keys(basics)?;
    let rotated = match open(basics)?.rotate_secrets(&actor(), keys, Clock::System.now()).await? {
        Ok(rotated) => rotated,
        Err(why) => return Err(unreadable(basics, &why)),
    };
    let (Rotated { values, key }, master) = (rotated, keys.current.id());
    let words = || match key {
        None => say(basics, "没有保存任何密钥，不需要更换。", "no secrets are stored: nothing to do").to_owned(),
        Some(key) => tell(
            basics,
            || {
                format!(
                    "已用 {key} 号密钥重新加密 {values} 个，主密钥是 {master}。secrets.previous_master_key 不再需要，可以删除；\
                     先确认运行企伴的环境里填写的是新的主密钥"
                )
            },
            || {
                format!(
                    "encrypted {values} anew with key {key}; the master key is {master}. secrets.previous_master_key is not \
                     needed any more, as soon as the daemon's own configuration has the new master key"
                )
            },
        ),
    };
    let json = json!({ "values": values, "data_key": key, "master_key": master.to_string() });
    print(as_json, words, &json)
}

/// Prints a new master key, and nothing else on the standard output.
///
/// # Errors
/// The system gives no random bytes.
pub fn new_master_key(language: Language) -> anyhow::Result<()> {
    let (key, text) = MasterKey::draw()?;
    let id = key.id();
    eprintln!(
        "{}",
        tell(
            language,
            || format!("主密钥 {id}，请妥善保管，不要和备份放在一起；丢失后无法读出已保存的密钥："),
            || format!("master key {id}; keep it safe and apart from backups: without it what is stored is lost:"),
        )
    );
    println!("{}", text.expose());
    Ok(())
}

/// Warns where what a restored database holds cannot be read with the master keys that are set.
pub(super) fn say_whether_readable(basics: &Basics) {
    let Ok(sealed) = store::secrets::read(&basics.storage) else { return };
    for why in sealed.open(basics.secrets.keys.as_ref()).err().unwrap_or_default() {
        let fault = Fault::from(&why).told(basics.language);
        println!("{}", tell(basics, || format!("注意：{fault}"), || format!("WARNING: {fault}")));
    }
}

/// The database, made where there is none yet: the first secret may be there before the first start.
fn open(basics: &Basics) -> anyhow::Result<Store> {
    Ok(match migrate::plan(&basics.storage)? {
        Plan::UpToDate { .. } => Store::open_beside(&basics.storage)?,
        Plan::New { .. } | Plan::Migrates { .. } => Store::open(&basics.storage, Clock::System.now())?,
    })
}

/// The database; `None` where there is none, or one of before there were secrets.
fn open_as_it_is(basics: &Basics) -> anyhow::Result<Option<Store>> {
    Ok(match migrate::plan(&basics.storage)? {
        Plan::UpToDate { .. } => Some(Store::open_beside(&basics.storage)?),
        Plan::New { .. } | Plan::Migrates { .. } => None,
    })
}

fn keys(basics: &Basics) -> anyhow::Result<&MasterKeys> {
    basics.secrets.keys.as_ref().ok_or_else(|| {
        anyhow!(say(
            basics,
            "没有主密钥：请把 qimate secrets new-master-key 打印的内容填在 secrets.master_key（环境变量 \
             QIMATE_SECRETS__MASTER_KEY，或用 QIMATE_SECRETS__MASTER_KEY_FILE 指定文件）",
            "there is no master key: set secrets.master_key (QIMATE_SECRETS__MASTER_KEY, or a file by \
             QIMATE_SECRETS__MASTER_KEY_FILE) to what `qimate secrets new-master-key` prints"
        ))
    })
}

fn value(basics: &Basics, name: &SecretName, file: Option<&Path>) -> anyhow::Result<Secret<String>> {
    let mut text = String::new();
    match file {
        Some(path) => {
            let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
            file.take(MOST).read_to_string(&mut text).with_context(|| path.display().to_string())?;
        }
        None if stdin().is_terminal() => {
            eprint!("{}", tell(basics, || format!("{name}（输入时不显示）："), || format!("{name} (does not show): ")));
            text = rpassword::read_password().context(say(basics, "没有读到输入", "nothing could be read"))?;
        }
        None => {
            let read = stdin().take(MOST).read_to_string(&mut text);
            read.context(say(basics, "标准输入无法读取", "the standard input cannot be read"))?;
        }
    }
    Ok(Secret::new(text.trim_start_matches('\u{feff}').trim().to_owned()))
}

/// Says that a value is stored and not used.
fn note(basics: &Basics, name: &SecretName, standing: &Standing) {
    if let Some(note) = standing.note(&name.to_string(), basics.language) {
        eprintln!("{note}");
    }
}

fn faulty(basics: &Basics, fault: &Fault) -> anyhow::Error {
    anyhow!(fault.told(basics.language))
}

fn unreadable(basics: &Basics, why: &[Unreadable]) -> anyhow::Error {
    let told: Vec<_> = why.iter().map(|why| Fault::from(why).told(basics.language)).collect();
    anyhow!(told.join("\n"))
}
