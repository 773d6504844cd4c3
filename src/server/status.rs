//! `qimate status`: asks the running instance how it is doing, and says it so that an operator sees in seconds what is
//! wrong.

mod words;

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::Method;
use serde::de::DeserializeOwned;

use super::commands::from_here;
use crate::{
    config::{self, Config, Tls, chat::Language},
    net,
    secret::Secret,
    web::{USER, status::Status},
};

/// How long the daemon may take to answer.
const TIMEOUT: Duration = Duration::from_secs(8);

/// Prints how the daemon of this configuration is doing.
///
/// # Errors
/// None answers, or what answers is not this version of Qimate; the message says what to do.
pub async fn status(config: &Config, json: bool) -> anyhow::Result<()> {
    let status: Status = ask(config, Method::GET, "/status").await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        print!("{}", words::table(&status, config.chat.language));
    }
    Ok(())
}

/// Asks on the operators' address and, where nobody answers there, on the main address with the operator key.
///
/// # Errors
/// None answers, or what answers is not this version of Qimate; the message says what to do.
pub(super) async fn ask<T: DeserializeOwned>(config: &Config, method: Method, path: &str) -> anyhow::Result<T> {
    net::install_crypto();
    let http = net::http_client(None, TIMEOUT)?;
    let mut tried = Vec::new();
    for (setting, url, key) in places(config, path) {
        let mut request = http.request(method.clone(), &url).timeout(TIMEOUT).header(USER, config::user());
        if let Some(key) = key {
            request = request.bearer_auth(key.expose());
        }
        match request.send().await {
            Ok(answer) if answer.status().is_success() => {
                return answer.json().await.with_context(|| format!("what answers on {url} is not this qimate"));
            }
            Ok(answer) => tried.push(format!("{url} ({setting}) answers {}", answer.status().as_u16())),
            Err(_) if config.chat.language == Language::Chinese => tried.push(format!("{url}（{setting}）")),
            Err(_) => tried.push(format!("{url} ({setting}) does not answer")),
        }
    }
    let chinese = config.chat.language == Language::Chinese;
    if tried.is_empty() {
        if chinese {
            bail!(
                "不知道到哪里询问：请设置 server.operations_listen（例如 127.0.0.1:9464），或设置 server.operator_key"
            );
        }
        bail!("there is nowhere to ask: set server.operations_listen (such as 127.0.0.1:9464), or server.operator_key");
    }
    let tried = tried.join("; ");
    if chinese {
        bail!(
            "没有正在运行的 Qimate 回应：{tried}。请确认它已启动（qimate serve），\
             并且使用的是同一份配置；在容器里请用 docker exec 运行本命令"
        );
    }
    bail!(
        "no running qimate answers: {tried}. Is it started (qimate serve), and with the same configuration? With a \
         container, run this inside it (docker exec)"
    )
}

/// Where to ask: the setting that says so, the URL, and the key that opens it.
fn places(config: &Config, path: &str) -> Vec<(&'static str, String, Option<Secret<String>>)> {
    let server = &config.server;
    let url = |address| format!("http://{}{path}", from_here(address));
    let mut places = Vec::new();
    // Of port 0 only the daemon knows what it became.
    if let Some(address) = server.operations_listen.filter(|address| address.port() != 0) {
        places.push(("server.operations_listen", url(address), None));
    }
    // With TLS the certificate is for a name, and this is a number.
    if let (Some(key), Tls::Off) = (&server.operator_key, &config.tls) {
        places.push(("server.listen", url(server.listen), Some(key.clone())));
    }
    places
}
