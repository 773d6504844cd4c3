//! What is wrong with the set-up, why, how to mend it, and where in WeCom's console.
//!
//! Each check looks at one thing and gives one finding; the order is that in which an administrator mends. What was
//! observed is mapped to a [`cause::Cause`] by pure functions, and the words stand beside the causes. A check that
//! depends on a failed one is skipped and names it, so that no wrong cause is blamed. The checks join WeCom, the model
//! and the store as `chat` does, and know nothing of `chat`.
//!
//! To add a check, add it to [`finding::Check`], give it a function beside its like, and a line in [`Doctor::examine`].

mod callback;
pub mod cause;
pub mod finding;
mod local;
mod model;
pub mod render;
pub mod standing;
pub mod surroundings;
mod voice;
mod wecom;

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use tokio::net::TcpStream;

use self::{
    cause::{Cause, setup::Setup},
    finding::{Check, Finding, Outcome, Report, Status, pick},
    surroundings::Surroundings,
};
use crate::{
    clock::Clock,
    config::{Config, Faults, chat::Language},
    llm::{self, router::Sample},
    model::id::MemberId,
    net::{self, link::Way},
    store::{self, Store, sightings::CallbackHistory},
    wecom::{
        client::Client,
        crypto::{CallbackToken, EncodingAesKey},
        echo::{self, Keys},
    },
};

/// How long our own callback may take to answer from outside: as long as WeCom waits for a callback.
const ECHO_LIMIT: Duration = Duration::from_secs(5);
/// How long a connection to this machine may take.
const LOCAL_LIMIT: Duration = Duration::from_secs(1);
/// As many models are asked at a time.
const PROBES_AT_ONCE: usize = 8;

/// Looks at everything. Calls WeCom and the model as the configuration says, through the clients it is given.
#[derive(Clone)]
pub struct Doctor {
    /// The settings.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// WeCom's API; the daemon's own, where there is one, so that its access token is shared.
    pub wecom: Client,
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
    let rest = Check::ALL.into_iter().filter(|check| *check != Check::Configuration);
    findings.extend(rest.map(|check| Outcome::After(Check::Configuration).told(check, language)));
    Report { language, findings }
}

/// Where the value of a key is to be found.
fn place_of(key: &str, language: Language) -> &'static str {
    let (zh, en) = match key {
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
            (Check::CallbackKey, local::callback_key(&config.apps.first.wecom)),
            (Check::DataDir, local::data_dir(config)),
        ];
        let dir_is_well = outcomes.iter().all(|(check, outcome)| *check != Check::DataDir || outcome.is_well());
        let behind_dir = |outcome| if dir_is_well { outcome } else { Outcome::After(Check::DataDir) };
        outcomes.push((Check::Disk, behind_dir(local::disk(config))));
        outcomes.push((Check::Volume, behind_dir(local::volume(config, &self.surroundings))));
        outcomes.push((Check::Database, behind_dir(local::database(database))));
        let history = History::of(database, dir_is_well).await;
        let sent_before = matches!(&history, History::Known(history) if history.sent_at.is_some());

        let (wecom, callback, model, voice) = tokio::join!(
            self.ask_wecom(sent_before, send),
            self.ask_outside(&history),
            self.ask_model(),
            self.ask_transcription()
        );
        outcomes.extend(wecom);
        outcomes.extend(callback);
        outcomes.extend(model);
        outcomes.extend(voice.map(|outcome| (Check::Transcription, outcome)));
        outcomes.sort_by_key(|(check, _)| *check);
        let findings = outcomes.into_iter().map(|(check, outcome)| outcome.told(check, language)).collect();
        Report { language, findings }
    }

    /// From reaching WeCom to a message, each only where the one before is well.
    async fn ask_wecom(&self, sent_before: bool, send: &SendTest) -> Vec<(Check, Outcome)> {
        let way = self.wecom.way();
        let reached = self.wecom.reach().await;
        let mut outcomes = vec![(Check::Wecom, wecom::reach(&reached, way))];
        let clock = match &reached {
            Ok(reached) => wecom::clock(reached.server_time, self.clock.now()),
            Err(_) => Outcome::After(Check::Wecom),
        };
        outcomes.push((Check::Clock, clock));
        let secret = match &reached {
            Ok(_) => {
                let checked = self.wecom.check_access_token().await;
                wecom::secret(checked, self.config.apps.first.wecom.corp_id.as_str(), way)
            }
            Err(_) => Outcome::After(Check::Wecom),
        };
        let behind = if reached.is_err() { Check::Wecom } else { Check::Secret };
        let operators = &self.config.alerts.operators;
        let (called, operators) = if secret.is_well() {
            let asked = self.wecom.agent().await;
            let reached = match &asked {
                _ if operators.is_empty() => None,
                Ok(agent) => Some(wecom::operators(&self.wecom, agent, operators).await),
                Err(_) => Some(Outcome::After(Check::Agent)),
            };
            (wecom::agent(asked, sent_before, way), reached)
        } else {
            let called = wecom::Called { address: Outcome::After(behind), agent: Outcome::After(behind) };
            (called, (!operators.is_empty()).then_some(Outcome::After(behind)))
        };
        let sent = match send {
            SendTest::Never => None,
            SendTest::Unasked => Some(Outcome::nothing(
                "加上 --send-to USERID 会发送一条测试消息",
                "--send-to USERID sends a test message",
            )),
            SendTest::To(_) if !secret.is_well() => Some(Outcome::After(behind)),
            SendTest::To(_) if !called.address.is_well() => Some(Outcome::After(Check::Address)),
            SendTest::To(_) if !called.agent.is_well() => Some(Outcome::After(Check::Agent)),
            SendTest::To(member) => {
                Some(wecom::send(&self.wecom, &self.config.apps.first.wecom, member, self.clock.now()).await)
            }
        };
        outcomes.push((Check::Secret, secret));
        outcomes.push((Check::Address, called.address));
        outcomes.push((Check::Agent, called.agent));
        outcomes.extend(operators.map(|outcome| (Check::Operators, outcome)));
        outcomes.extend(sent.map(|sent| (Check::Send, sent)));
        outcomes
    }

    /// The callback from outside, and what came of the callbacks that were here.
    async fn ask_outside(&self, history: &History) -> Vec<(Check, Outcome)> {
        let path = &self.config.server.callback_path;
        let (url, domain) = match &self.config.server.public_url {
            None => {
                let unset = || Outcome::nothing("没有设置 server.public_url", "server.public_url is not set");
                (unset(), unset())
            }
            Some(origin) => {
                let end = Way::new(origin, None).server;
                let host = end.rsplit_once(':').map_or(end.as_str(), |(host, _)| host).to_owned();
                (self.echo(&format!("{origin}{path}"), &end).await, callback::domain(&host))
            }
        };
        let shown = match &self.config.server.public_url {
            Some(origin) => format!("{origin}{path}"),
            None => pick(self.config.chat.language, "https://你的域名", "https://your.domain").to_owned() + path,
        };
        let now = self.clock.now();
        let (seen, refused) = match history {
            History::Unknown(outcome) => (outcome.clone(), outcome.clone()),
            History::Known(history) => {
                let mut seen = callback::seen(history, &shown, now);
                // That nobody can come in explains that nobody came.
                if matches!(&seen, Outcome::Ill(..)) && matches!(&url, Outcome::Ill(..)) {
                    seen = Outcome::After(Check::CallbackUrl);
                }
                (seen, callback::refused(history, now))
            }
        };
        vec![(Check::CallbackUrl, url), (Check::Domain, domain), (Check::Callbacks, seen), (Check::Refusals, refused)]
    }

    async fn echo(&self, url: &str, end: &str) -> Outcome {
        let settings = &self.config.apps.first.wecom;
        let token = CallbackToken::parse(settings.callback_token.expose());
        let key = EncodingAesKey::parse(settings.encoding_aes_key.expose());
        let (Ok(token), Ok(key)) = (token, key) else { return Outcome::After(Check::CallbackKey) };
        let keys = Keys { corp: settings.corp_id.clone(), token, key };
        let echoed = echo::ask(&self.http, &self.clock, ECHO_LIMIT, url, &keys).await;
        match &echoed {
            Err(fault) if callback::may_be_stopped(fault) && !self.is_running().await => Outcome::nothing(
                "qimate 没有在这台机器上运行，启动后再查",
                "qimate does not run on this machine; start it first",
            ),
            _ => callback::echoed(echoed, url, end),
        }
    }

    /// Whether somebody listens where the daemon should.
    async fn is_running(&self) -> bool {
        let mut address = self.listen;
        if address.ip().is_unspecified() {
            let loopback: std::net::IpAddr = match address.is_ipv4() {
                true => std::net::Ipv4Addr::LOCALHOST.into(),
                false => std::net::Ipv6Addr::LOCALHOST.into(),
            };
            address.set_ip(loopback);
        }
        matches!(tokio::time::timeout(LOCAL_LIMIT, TcpStream::connect(address)).await, Ok(Ok(_)))
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

/// What the store remembers, or why that is not known.
enum History {
    Known(CallbackHistory),
    Unknown(Outcome),
}

impl History {
    async fn of(database: &Database, dir_is_well: bool) -> Self {
        let not_yet = || Self::Unknown(Outcome::nothing("qimate 尚未启动过", "qimate was not started yet"));
        match database {
            Database::Open(store) => match store.callback_history().await {
                Ok(history) => Self::Known(history),
                // A database of an earlier version: the tables come with the next start.
                Err(_) => not_yet(),
            },
            Database::Failed(store::Error::Missing(_)) => not_yet(),
            _ if !dir_is_well => Self::Unknown(Outcome::After(Check::DataDir)),
            _ => Self::Unknown(Outcome::After(Check::Database)),
        }
    }
}
