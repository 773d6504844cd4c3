//! What is wrong with the set-up, why, how to mend it, and where in WeCom's console.
//!
//! Each check looks at one thing and gives one finding; the order is that in which an administrator mends. What was
//! observed is mapped to a [`cause::Cause`] by pure functions, and the words stand beside the causes. A check that
//! depends on a failed one is skipped and names it, so that no wrong cause is blamed. The checks join WeCom, the model
//! and the store as `chat` does, and know nothing of `chat`.
//!
//! To add a check, add it to [`finding::Check`], give it a function beside its like, and a line in [`Doctor::examine`].

mod app;
mod callback;
pub mod cause;
pub mod directory;
pub mod finding;
mod local;
mod model;
pub mod render;
pub mod standing;
pub mod surroundings;
mod tools;
mod voice;
mod wecom;

use std::net::SocketAddr;

use futures_util::future::join_all;

use self::{
    app::Examined,
    cause::{Cause, setup::Setup},
    finding::{Check, Finding, Outcome, Report, Status, pick},
    surroundings::Surroundings,
};
use crate::{
    clock::Clock,
    config::{self, Config, Faults, chat::Language},
    llm::{self, router::Sample},
    model::id::MemberId,
    net,
    store::{self, Store},
    wecom::client::Client,
};

/// As many models are asked at a time.
const PROBES_AT_ONCE: usize = 8;

/// Looks at everything. Calls WeCom and the model as the configuration says, through the clients it is given.
#[derive(Clone)]
pub struct Doctor {
    /// The settings.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// WeCom's API for each of the applications, in their order; the daemon's own, where there is one, so that its access
    /// tokens are shared.
    pub wecom: Vec<Client>,
    /// The model's API.
    pub model: llm::router::Router,
    /// For calling ourselves from outside: without any proxy.
    pub http: reqwest::Client,
    /// Where the daemon listens.
    pub listen: SocketAddr,
    /// The machine.
    pub surroundings: Surroundings,
}

/// The database, as far as it could be opened.
#[derive(Clone, Debug)]
pub enum Database {
    /// It is open.
    Open(Store),
    /// It could not be opened.
    Failed(store::Error),
    /// Nobody tried.
    Unasked,
}

/// Whether a message is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendTest {
    /// No, and it is not spoken of.
    Never,
    /// No, because nobody said to whom.
    Unasked,
    /// To this member.
    To(MemberId),
}

/// A faulty configuration: each fault is a finding, and nothing else can be checked.
pub fn misconfigured(faults: &Faults) -> Report {
    let language = faults.language();
    let mut findings: Vec<_> = faults
        .iter()
        .map(|fault| {
            let found = match fault.origin().filter(|origin| *origin != fault.place()) {
                Some(origin) => format!("{} ({origin})", fault.place()),
                None => fault.place().to_owned(),
            };
            Finding {
                id: Check::Configuration,
                app: None,
                upstream: None,
                status: Status::Problem,
                code: Some(Cause::Setup(Setup::Configuration)),
                found,
                cause: fault.problem(language).to_owned(),
                remedy: fault.remedy(language).to_owned(),
                place: place_of(fault.place(), language).to_owned(),
            }
        })
        .collect();
    // Servers of tools are spoken of only where there are any, which is not known; so are the address book and the keys
    // of members.
    let known =
        |check: &Check| !matches!(check, Check::Configuration | Check::Directory | Check::Tools | Check::MemberKeys);
    let rest = Check::ALL.into_iter().filter(known);
    findings.extend(rest.map(|check| Outcome::After(Check::Configuration).told(check, language)));
    Report { language, findings }
}

/// Where the value of a key is to be found.
fn place_of(key: &str, language: Language) -> &'static str {
    // Of an application: as that of `[wecom]`.
    let of_app = key.strip_prefix("apps.").and_then(|rest| rest.split_once('.'));
    let key = of_app.map_or_else(|| key.to_owned(), |(_, key)| format!("wecom.{key}"));
    let (zh, en) = match &*key {
        "wecom.corp_id" => ("我的企业 → 企业信息 → 企业ID", "我的企业 → 企业信息 → 企业ID"),
        "wecom.agent_id" => ("应用管理 → 自建 → 您的应用 → AgentId", "应用管理 → 自建 → the app → AgentId"),
        "wecom.secret" => ("应用管理 → 自建 → 您的应用 → Secret", "应用管理 → 自建 → the app → Secret"),
        "wecom.callback_token" => {
            ("应用管理 → 自建 → 您的应用 → 接收消息 → Token", "应用管理 → 自建 → the app → 接收消息 → Token")
        }
        "wecom.encoding_aes_key" => (
            "应用管理 → 自建 → 您的应用 → 接收消息 → EncodingAESKey",
            "应用管理 → 自建 → the app → 接收消息 → EncodingAESKey",
        ),
        "llm.api_key" => ("服务商控制台 → API keys", "the provider's console → API keys"),
        _ => ("", ""),
    };
    pick(language, zh, en)
}

impl Doctor {
    /// Looks at everything. Sends a message only where `send` says so.
    pub async fn examine(&self, database: &Database, send: &SendTest) -> Report {
        let config = &self.config;
        let language = config.chat.language;
        let mut outcomes = vec![
            (Check::Configuration, Outcome::well("没有错误", "no faults")),
            (Check::DataDir, local::data_dir(config)),
        ];
        let dir_is_well = outcomes.iter().all(|(check, outcome)| *check != Check::DataDir || outcome.is_well());
        let behind_dir = |outcome| if dir_is_well { outcome } else { Outcome::After(Check::DataDir) };
        outcomes.push((Check::Disk, behind_dir(local::disk(config))));
        outcomes.push((Check::Volume, behind_dir(local::volume(config, &self.surroundings))));
        outcomes.push((Check::Database, behind_dir(local::database(database))));
        outcomes.extend(local::member_keys(config).map(|outcome| (Check::MemberKeys, outcome)));
        outcomes.extend(left_alone(database, config).await.map(|outcome| (Check::Database, outcome)));

        let apps = config.apps.iter().zip(&self.wecom).map(|(app, wecom)| Examined {
            doctor: self,
            name: app.name.as_deref(),
            whose: (app.name.is_some() || config.apps.are_several()).then(|| app.to_string()),
            config: config.of(app),
            wecom,
        });
        let apps: Vec<_> = apps.collect();
        let asked = join_all(apps.iter().map(|app| app.examine(database, dir_is_well, send)));
        let tools = Box::pin(tools::check(&config.tools, &self.clock));
        let (asked, model, voice, tools) = tokio::join!(asked, self.ask_model(), self.ask_transcription(), tools);
        outcomes.extend(asked.into_iter().flatten());
        outcomes.extend(model);
        outcomes.extend(voice.map(|outcome| (Check::Transcription, outcome)));
        outcomes.extend(tools.into_iter().map(|outcome| (Check::Tools, outcome)));
        outcomes.sort_by_key(|(check, _)| *check);
        let findings = outcomes.into_iter().map(|(check, outcome)| outcome.told(check, language)).collect();
        Report { language, findings }
    }

    /// `None` where no model for it is set.
    async fn ask_transcription(&self) -> Option<Outcome> {
        let Config { llm, voice, .. } = &self.config;
        // A proxy that cannot be used is told with the model.
        let http = net::http_client(llm.proxy.as_ref(), llm.connect_timeout).ok()?;
        let transcriber = llm::transcribe::Transcriber::new(http, voice, llm, self.clock.clone())?;
        Some(voice::asked(&transcriber).await)
    }

    async fn ask_model(&self) -> Vec<(Check, Outcome)> {
        let limit = self.config.llm.first_delta_timeout;
        let samples = self.model.samples();
        let mut outcomes = Vec::new();
        // Some at once: an upstream that does not answer must not make the examination as long as the list.
        for few in samples.chunks(PROBES_AT_ONCE) {
            let probed = join_all(few.iter().map(Sample::probe)).await;
            for (sample, probed) in few.iter().zip(probed) {
                let asked = model::asked(probed, &sample.way(), sample.model(), sample.has_key(), limit);
                let of = |outcome| match sample.place() {
                    Some((upstream, key)) => Outcome::at(upstream, key, sample.model(), outcome),
                    None => outcome,
                };
                outcomes.extend([
                    (Check::Model, of(asked.reach)),
                    (Check::ApiKey, of(asked.key)),
                    (Check::ModelName, of(asked.name)),
                    (Check::Answer, of(asked.answer)),
                ]);
            }
        }
        outcomes
    }
}

/// Advice where messages wait of applications that are not configured any more: nobody answers or sends them, and nothing
/// deletes them.
async fn left_alone(database: &Database, config: &Config) -> Option<Outcome> {
    let Database::Open(store) = database else { return None };
    let apps: Vec<_> = config.apps.iter().map(config::App::key).collect();
    let left = store.left_alone(&apps).await.ok().filter(|left| !left.is_empty())?;
    let about: Vec<_> = left.iter().map(|one| format!("{}: {} + {}", one.app, one.inbox, one.outbox)).collect();
    Some(Outcome::ill(Cause::Setup(Setup::AppGone), about.join(", ")))
}
