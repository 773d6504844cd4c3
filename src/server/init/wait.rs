//! Listens where the daemon will, until WeCom has verified the callback URL, and says of each request what it is.

use std::{collections::HashSet, io, path::Path};

use anyhow::{Context, bail};
use tokio_util::sync::CancellationToken;

use super::{Language, terminal::Terminal, words};
use crate::{
    clock::Clock,
    config::{Config, Tls},
    server::{Stop, listen},
    store::{Store, sightings::Sightings},
    web::{Expected, Knock, verification_router},
    wecom::crypto::{CallbackToken, EncodingAesKey},
};

/// Different lines about strangers that are told; more of them would hide what matters.
const STRANGERS_TOLD: usize = 8;

/// Waits. Gives whether the URL was verified: not, when somebody stops the waiting, or when there is nothing to wait
/// for.
///
/// # Errors
/// The address is taken, or cannot be listened on.
pub(super) async fn for_verification(
    terminal: &Terminal,
    config: &Config,
    file: &Path,
    language: Language,
) -> anyhow::Result<bool> {
    if config.tls != Tls::Off {
        terminal.say(language.pick(
            "\n配置里启用了 HTTPS：请直接运行 qimate，再在管理后台点保存，结果见日志。",
            "\nHTTPS is configured: run qimate, save in the console, and look at the log.",
        ));
        return Ok(true);
    }
    let address = config.server.listen;
    let listener = match tokio::net::TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => bail!(match language {
            Language::Zh => format!(
                "{address} 已被占用，多半是 qimate 正在运行。文件已写好：重启它使新配置生效，再在管理后台点保存，结果见它的日志；\
                 或先停掉它，再运行一次 qimate init。"
            ),
            Language::En => format!(
                "{address} is taken, most likely by a running qimate. The file is written: restart it, save in the \
                 console and look at its log; or stop it and run qimate init again."
            ),
        }),
        Err(error) => return Err(error).with_context(|| format!("cannot listen on {address} (server.listen)")),
    };
    let expected = Expected {
        corp: config.apps.first.wecom.corp_id.clone(),
        token: CallbackToken::parse(config.apps.first.wecom.callback_token.expose()).context("wecom.callback_token")?,
        key: EncodingAesKey::parse(config.apps.first.wecom.encoding_aes_key.expose())
            .context("wecom.encoding_aes_key")?,
    };
    let path = &config.server.callback_path;
    let (router, mut knocks) = verification_router(expected, path);
    let (stop, interrupted) = (Stop::new(), CancellationToken::new());
    stop.on_signals().context("cannot watch for signals")?;
    let serving = tokio::spawn(listen::serve(listener, router, None, Vec::new(), interrupted.clone()));
    terminal.say(&match language {
        Language::Zh => {
            format!("\n正在 {} 等待企业微信的验证。现在请在管理后台点“保存”……（Ctrl-C 结束等待）", listening(config))
        }
        Language::En => {
            format!("\nWaiting on {} for WeCom. Save in the console now… (Ctrl-C ends the waiting)", listening(config))
        }
    });

    let mut told = HashSet::new();
    let verified = loop {
        let knock = tokio::select! {
            knock = knocks.recv() => knock,
            () = stop.requested() => None,
        };
        let Some(knock) = knock else { break false };
        let line = words::knock(&knock, path, language);
        if matters(&knock) || (told.len() < STRANGERS_TOLD && told.insert(line.clone())) {
            terminal.say(&line);
        }
        if knock == Knock::Verified {
            break true;
        }
    };
    // The answer to WeCom is still on its way.
    interrupted.cancel();
    let _ = serving.await;
    if verified {
        remember(config).await;
    } else {
        terminal.say(&match language {
            Language::Zh => format!("\n不再等待。{} 已写好，随时可以再次运行 qimate init。", file.display()),
            Language::En => {
                format!("\nNo longer waiting. {} is written; run qimate init again at any time.", file.display())
            }
        });
    }
    Ok(verified)
}

/// So that `qimate doctor` knows of it before the next callback. Only where there is a database: one that is made here
/// would belong to whoever runs `init`, often root, and the service could not open it.
async fn remember(config: &Config) {
    if let Ok(store) = Store::open_beside(&config.storage) {
        let sightings = Sightings::default();
        sightings.verified(Clock::System.now());
        // That it cannot be kept is no reason to fail here: the start will say what is wrong with the database.
        let _ = sightings.save(&store).await;
    }
}

fn listening(config: &Config) -> String {
    format!("{}{}", config.server.listen, config.server.callback_path)
}

/// Whether every such request is told: those of WeCom. Strangers could write without end.
const fn matters(knock: &Knock) -> bool {
    matches!(knock, Knock::Verified | Knock::Refused(_))
}
