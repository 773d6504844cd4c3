//! What the commands do that look at a running instance, or beside one.

pub mod backup;
pub mod import_cow;
pub mod member;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, ensure};

use crate::{
    clock::Clock,
    config::{Config, chat::Language, tls::Tls},
    net,
    store::Store,
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
        println!("no dead letters");
        return Ok(());
    }
    let now = Clock::System.now();
    println!("{:>8}  {:<20} {:>12}  {:>8}  {:>6}  REASON", "ID", "MEMBER", "GIVEN UP", "ATTEMPTS", "BYTES");
    for letter in letters {
        println!(
            "{:>8}  {:<20} {:>12}  {:>8}  {:>6}  {}",
            letter.id,
            letter.member,
            ago(now.since(letter.ended_at)),
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
    let revived = Store::open_beside(&config.storage)?.retry_dead_letters(id, Clock::System.now()).await?;
    report(revived, id, "put back into the outbox")
}

/// Deletes one dead letter, or all.
///
/// # Errors
/// There is no such letter, or the store cannot be written.
pub async fn drop_dead_letters(config: &Config, id: Option<i64>) -> anyhow::Result<()> {
    let dropped = Store::open_beside(&config.storage)?.drop_dead_letters(id).await?;
    report(dropped, id, "deleted")
}

fn report(changed: usize, id: Option<i64>, done: &str) -> anyhow::Result<()> {
    if let Some(id) = id {
        ensure!(changed > 0, "there is no dead letter {id}; `qimate dead-letters list` shows them");
    }
    println!("{changed} {done}");
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
    let (scheme, unverified) = if config.tls == Tls::Off { ("http", false) } else { ("https", true) };
    let http =
        net::http_client_builder(None, HEALTHCHECK_TIMEOUT)?.tls_danger_accept_invalid_certs(unverified).build()?;
    let answer = http
        .get(format!("{scheme}://{address}/readyz"))
        .timeout(HEALTHCHECK_TIMEOUT)
        .send()
        .await
        .with_context(|| format!("no qimate answers on {address}"))?;
    let ready = answer.status().is_success();
    let text = answer.text().await.unwrap_or_default();
    ensure!(ready, "{}", text.trim());
    println!("{}", text.trim());
    Ok(())
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

fn ago(duration: Duration) -> String {
    let minutes = duration.as_secs() / 60;
    match minutes {
        0 => "just now".to_owned(),
        1..=119 => format!("{minutes} min ago"),
        120..=2879 => format!("{} h ago", minutes / 60),
        _ => format!("{} d ago", minutes / 1440),
    }
}
