//! `qimate member sync`: the address book, read beside a daemon or without one.

use std::sync::Arc;

use anyhow::bail;
use serde_json::json;

use super::shown::print_json;
use crate::{
    chat::directory::{self, Range, SyncError, Synced},
    clock::Clock,
    config::Config,
    metrics::Metrics,
    model::audit::Entry,
    net,
    server::{
        self,
        commands::{actor, say, tell},
    },
    store::Store,
    wecom::contact::ContactError,
};

/// Reads the address book for each application that is configured, and keeps what it says.
///
/// # Errors
/// It could not be read for one: what was read of the others is kept, and nobody lost access by what was not.
pub async fn sync(config: &Config, as_json: bool) -> anyhow::Result<()> {
    net::install_crypto();
    let (store, clock, metrics) = (Store::open_beside(&config.storage)?, Clock::System, Metrics::new());
    let (mut outcomes, mut failed) = (Vec::new(), false);
    for app in config.apps.iter() {
        let wecom = server::doctor::client(app, &clock, &Arc::new(metrics.of_app(app.name.as_ref())))?;
        let range = Range { app: app.key(), corp: app.wecom.corp_id.clone(), wecom };
        let name = app.to_string();
        let entry = Entry::named("member.sync", format!("app/{}", range.app));
        store.audit(&actor(), entry, clock.now()).await?;
        let synced = directory::sync(&store, &clock, &range).await;
        failed |= synced.is_err();
        let line = match &synced {
            Ok(Synced { members, departments, is_complete }) => tell(
                config,
                || {
                    let rest = if *is_complete {
                        ""
                    } else {
                        "；可见范围里有标签或没有人，名单不完整，没有停掉任何人"
                    };
                    format!("{name}：{members} 人，{departments} 个部门{rest}")
                },
                || {
                    let rest = if *is_complete {
                        ""
                    } else {
                        "; the range has tags or nobody, so it is not everybody and nobody was kept out"
                    };
                    format!("{name}: {members} members, {departments} departments{rest}")
                },
            ),
            Err(error) => format!("{name}: {}", why(config, error)),
        };
        outcomes.push(match &synced {
            Ok(Synced { members, departments, is_complete }) => json!({
                "application": name, "members": members, "departments": departments, "complete": is_complete,
            }),
            Err(error) => json!({ "application": name, "error": why(config, error) }),
        });
        if !as_json {
            println!("{line}");
        }
    }
    if as_json {
        print_json(&outcomes.into())?;
    }
    if failed {
        bail!(say(config, "没有读全；谁能使用没有因此改变", "not all was read; nobody's access changed by that"));
    }
    Ok(())
}

/// Why, and what to do where that is known.
fn why(config: &Config, error: &SyncError) -> String {
    match error {
        SyncError::Wecom(ContactError::Refused(refusal)) => {
            let remedy = refusal.errcode.remedy().unwrap_or("the application may not read the address book");
            format!("{} {}: {remedy}", say(config, "企业微信拒绝", "WeCom refuses"), refusal.errcode)
        }
        other => {
            let mut text = other.to_string();
            let mut cause = std::error::Error::source(other);
            while let Some(next) = cause {
                text = format!("{text}: {next}");
                cause = next.source();
            }
            text
        }
    }
}
