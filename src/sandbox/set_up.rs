//! `qimate demo --set-up`: WeCom's side alone, as it is before anything is set up, to practise with `qimate init`.
//!
//! Starts no daemon: the person who practises does, with the same commands as later with the real WeCom.

use std::path::Path;

use anyhow::{Context, Result};

use super::{
    demo::{bare, open_phone, stop_signal},
    emulator::{Emulator, EmulatorSettings},
    journal::Journal,
    model::{self, DemoModel},
    phone::PhoneParts,
    random,
};
use crate::{
    clock::Clock,
    model::id::{AgentId, CorpId},
};

/// The member who sees the application from the start, as its creator does.
const MEMBER: &str = "ZhangWei";
/// Where the daemon to be set up should listen.
const PORT: u16 = 8080;
/// How many ports are tried after that one.
const MORE_PORTS: u16 = 50;

/// Plays WeCom's side until somebody presses Ctrl-C. The page is on `port`, or the next free one.
///
/// # Errors
/// When a part cannot be started.
pub async fn run(port: u16) -> Result<()> {
    let clock = Clock::System;
    let journal = Journal::new(clock.clone());
    let corp_id = CorpId::parse(&format!("ww{}", hex::encode(random::<8>())))?;
    let settings = EmulatorSettings::invent(corp_id, AgentId::new(1_000_002));
    let emulator = Emulator::start_with_journal(settings, clock.clone(), journal.clone()).await?;
    emulator.begin_fresh(&[MEMBER]);
    let model = DemoModel::start_with_journal(clock, journal).await?;
    model.set_delta_delay(model::READING_PACE);
    let (api_base, base_url) = (emulator.api_base(), model.base_url());
    let parts = PhoneParts { emulator, model: Some(model), model_name: model::NAME.to_owned(), daemon: None };
    let phone = open_phone(parts, port).await?;

    println!("企伴演练：从零开始接入企业微信 · Qimate: practise the set-up\n");
    println!("  ✓ 企业微信（模拟） · WeCom (emulated)   {}", bare(&api_base));
    println!("  ✓ 演示模型（不是人工智能） · demo model (no AI)   {}\n", bare(&base_url));
    println!("  1. 打开管理后台 · open      {}", phone.url());
    println!("  2. 在另一个终端里运行 · in another terminal, run\n");
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let program = shell_word(&program);
    let listen = free_listen().await;
    println!("     mkdir -p qimate-practice && cd qimate-practice");
    println!(
        "     {program} init --api-base {api_base} --public-url http://{listen} --listen {listen} --base-url {base_url} \
         --model {}",
        model::NAME
    );
    println!("     {program}\n");
    println!("  结束 · to end    Ctrl-C");
    stop_signal().await;
    drop(phone);
    Ok(())
}

/// A loopback address that is free now: the usual port, or one of the next.
async fn free_listen() -> String {
    for port in PORT..PORT + MORE_PORTS {
        let address = format!("127.0.0.1:{port}");
        if tokio::net::TcpListener::bind(&address).await.is_ok() {
            return address;
        }
    }
    format!("127.0.0.1:{PORT}")
}

/// `path` as one word of a shell's command line.
fn shell_word(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = path.chars().all(|c| c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '\\' | ':'));
    if is_plain { path } else { format!("\"{path}\"") }
}
