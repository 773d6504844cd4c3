//! What the commands do that look at a running instance, or beside one.

pub mod audit;
pub mod backup;
pub mod import_cow;
pub mod key;
pub mod member;
pub mod operator;
pub mod people;
pub mod plan;
pub mod secrets;
pub mod usage;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{anyhow, bail, ensure};

use crate::{
    clock::Clock,
    config::{self, Config, chat::Language, tls::Tls},
    model::audit::Actor,
    net::{self, Trust},
    store::{self, Store},
};

/// How long the daemon may take to say whether it is ready.
const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(4);

/// Prints the dead letters as a table. Their text stays where it is.
///
/// # Errors
/// There is no store, or it cannot be read.
pub async fn list_dead_letters(config: &Config) -> anyhow::Result<()> {
    let letters = Store::open_beside(&config.storage)?.dead_letters().await?;
    if letters.is_empty() {
        println!("{}", say(config, "没有死信。", "no dead letters"));
        return Ok(());
    }
    let now = Clock::System.now();
    println!(
        "{}",
        say(
            config,
            "    编号  员工                   放弃时间  尝试次数    字节  原因",
            "      ID  MEMBER                 GIVEN UP  ATTEMPTS   BYTES  REASON"
        )
    );
    for letter in letters {
        println!(
            "{:>8}  {:<20} {}  {:>8}  {:>6}  {}",
            letter.id,
            letter.member,
            right_aligned(&ago(now.since(letter.ended_at), config), 12),
            letter.attempts,
            letter.bytes,
            letter.reason
        );
    }
    Ok(())
}

/// Puts one dead letter, or all, back into the outbox. A running daemon sends them within a second.
///
/// # Errors
/// There is no such letter, or the store cannot be written.
pub async fn retry_dead_letters(config: &Config, id: Option<i64>) -> anyhow::Result<()> {
    let revived = Store::open_beside(&config.storage)?.retry_dead_letters(&actor(), id, Clock::System.now()).await?;
    report(config, revived, id, ["条已放回待发送", "put back into the outbox"])
}

/// Deletes one dead letter, or all.
///
/// # Errors
/// There is no such letter, or the store cannot be written.
pub async fn drop_dead_letters(config: &Config, id: Option<i64>) -> anyhow::Result<()> {
    let dropped = Store::open_beside(&config.storage)?.drop_dead_letters(&actor(), id, Clock::System.now()).await?;
    report(config, dropped, id, ["条已删除", "deleted"])
}

fn report(config: &Config, changed: usize, id: Option<i64>, [zh, en]: [&'static str; 2]) -> anyhow::Result<()> {
    if let (0, Some(id)) = (changed, id) {
        bail!(tell(
            config,
            || format!("没有编号为 {id} 的死信；qimate dead-letters 会列出全部"),
            || format!("there is no dead letter {id}; `qimate dead-letters list` shows them"),
        ));
    }
    println!("{changed} {}", say(config, zh, en));
    Ok(())
}

/// Asks the daemon that listens where the configuration says whether it is ready.
///
/// # Errors
/// It does not answer, or is not ready; the message says why.
pub async fn healthcheck(config: &Config) -> anyhow::Result<()> {
    net::install_crypto();
    let address = from_here(config.server.listen);
    // With HTTPS the certificate is not looked at. It is for a domain, and we ask an address of our own machine; a
    // certificate that expired is no reason to restart the process; and nothing secret is sent. The operators' address
    // would need no TLS, but it may be switched off, or belong to another instance, and proves less: that the main
    // address makes handshakes is part of being well.
    let scheme = if config.tls == Tls::Off { "http" } else { "https" };
    let http = net::http_client_builder(None, HEALTHCHECK_TIMEOUT, Trust::Nobody)?.build()?;
    let answer =
        http.get(format!("{scheme}://{address}/readyz")).timeout(HEALTHCHECK_TIMEOUT).send().await.map_err(|_| {
            anyhow!(tell(
                config,
                || format!("{address} 上没有企伴回应：请确认它已启动（qimate），并且使用的是同一份配置"),
                || format!("no qimate answers on {address}: is it started, and with the same configuration?"),
            ))
        })?;
    let ready = answer.status().is_success();
    let text = answer.text().await.unwrap_or_default();
    ensure!(ready, "{}", text.trim());
    println!("{}", text.trim());
    Ok(())
}

/// In this language: the configuration's, where that is given.
fn say(language: impl Into<Language>, chinese: &'static str, english: &'static str) -> &'static str {
    match language.into() {
        Language::Chinese => chinese,
        Language::English => english,
    }
}

/// The same for what has to be put together.
fn tell(language: impl Into<Language>, chinese: impl FnOnce() -> String, english: impl FnOnce() -> String) -> String {
    match language.into() {
        Language::Chinese => chinese(),
        Language::English => english(),
    }
}

/// `text` at the right of `columns` columns of a terminal, in which everything but ASCII takes two.
fn right_aligned(text: &str, columns: usize) -> String {
    let width: usize = text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
    " ".repeat(columns.saturating_sub(width)) + text
}

/// An error with its causes, none of them said twice, for whoever gave the command.
pub fn told(error: &anyhow::Error, language: Language) -> String {
    let mut told: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = match (language, cause.downcast_ref::<store::Error>()) {
            (Language::Chinese, Some(error)) => in_chinese(error),
            _ => cause.to_string(),
        };
        if !told.iter().any(|said| said.contains(&text)) {
            told.push(text);
        }
    }
    told.join(match language {
        Language::Chinese => "：",
        Language::English => ": ",
    })
}

fn in_chinese(error: &store::Error) -> String {
    match error {
        store::Error::InUse(dir) => {
            format!("另一个企伴正在使用数据目录 {}；请先停止它，或把 storage.data_dir 改为别的目录", dir.display())
        }
        store::Error::Missing(dir) => {
            format!("{} 里还没有数据库；请确认当前目录和 storage.data_dir 正确，并且 qimate 启动过", dir.display())
        }
        store::Error::Exists(path) => format!("{} 已经存在，请换一个文件名", path.display()),
        store::Error::NewerSchema { found, known } => {
            format!("数据库是版本 {found}，本程序只认识到版本 {known}；请使用更新的 qimate")
        }
        store::Error::NotABackup { path, why } => format!("{} 不是可用的备份（{why}）", path.display()),
        store::Error::Usage { path, cause } => {
            let cause = in_chinese(cause);
            format!("用量文件 {} 无法使用（{cause}）；移走它之后重启企伴，会新建一个", path.display())
        }
        store::Error::Unavailable(cause) => format!("数据库暂时无法使用：{cause}"),
        other => other.to_string(),
    }
}

/// Prints what was done: for programs, or in words.
pub(super) fn print(as_json: bool, words: impl FnOnce() -> String, value: &serde_json::Value) -> anyhow::Result<()> {
    println!("{}", if as_json { serde_json::to_string_pretty(value)? } else { words() });
    Ok(())
}

/// Whoever gave this command, as the audit log names them.
pub(super) fn actor() -> Actor {
    Actor::Command { user: config::user() }
}

/// Where this machine reaches what listens on `address`.
pub(super) fn from_here(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// What to do about a configuration with faults.
pub const fn advice(language: Language) -> &'static str {
    match language {
        Language::Chinese => {
            "qimate init 逐项询问并写好配置文件；qimate demo 不用配置就能试；全部设置见 config.example.toml。"
        }
        Language::English => {
            "`qimate init` asks for all of it and writes the file; `qimate demo` tries Qimate without; \
             config.example.toml explains every setting."
        }
    }
}

fn ago(duration: Duration, language: impl Into<Language>) -> String {
    let minutes = duration.as_secs() / 60;
    if language.into() == Language::Chinese {
        return match minutes {
            0 => "刚刚".to_owned(),
            1..=119 => format!("{minutes} 分钟前"),
            120..=2879 => format!("{} 小时前", minutes / 60),
            _ => format!("{} 天前", minutes / 1440),
        };
    }
    match minutes {
        0 => "just now".to_owned(),
        1..=119 => format!("{minutes} min ago"),
        120..=2879 => format!("{} h ago", minutes / 60),
        _ => format!("{} d ago", minutes / 1440),
    }
}
