//! `qimate upstreams`: which keys of the models are set aside, and an operator's word that they are mended.

use reqwest::Method;

use super::status::ask;
use crate::{
    config::{Config, chat::Language},
    web::{Cleared, status::Status},
};

/// Prints the keys that are set aside, one a line.
///
/// # Errors
/// None answers, or what answers is not this version of Qimate; the message says what to do.
pub async fn list(config: &Config) -> anyhow::Result<()> {
    let status: Status = ask(config, Method::GET, "/status").await?;
    let chinese = config.chat.language == Language::Chinese;
    if status.model.set_aside.is_empty() {
        println!("{}", if chinese { "没有停用的 key" } else { "no key is set aside" });
    }
    for aside in status.model.set_aside {
        let minutes = (aside.since_seconds / 60.0) as u64;
        match chinese {
            true => println!(
                "{} 的第 {} 个 key（{}）：{}，已 {minutes} 分钟",
                aside.upstream, aside.key, aside.model, aside.reason
            ),
            false => println!(
                "key {} of {} ({}): {}, for {minutes} min",
                aside.key, aside.upstream, aside.model, aside.reason
            ),
        }
    }
    Ok(())
}

/// Has every key asked again that was set aside or rests, and prints how many there were.
///
/// # Errors
/// As of [`list`].
pub async fn clear(config: &Config) -> anyhow::Result<()> {
    let Cleared { cleared } = ask(config, Method::POST, "/upstreams/clear").await?;
    match config.chat.language {
        Language::Chinese => println!("已恢复 {cleared} 项（每个 key 按模型分别计数）"),
        Language::English => println!("{cleared} taken back, each key counted with each of its models"),
    }
    Ok(())
}
