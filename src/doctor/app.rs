//! One application: whether WeCom takes its calls, and whether its callbacks come.

use std::time::Duration;

use tokio::net::TcpStream;

use super::{
    Database, Doctor, SendTest, callback, directory,
    finding::{Check, Outcome, pick},
    local, wecom,
};
use crate::{
    config::Config,
    model::id::MemberId,
    net::link::Way,
    store::{self, sightings::CallbackHistory},
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

/// An application that is examined.
pub(super) struct Examined<'a> {
    pub(super) doctor: &'a Doctor,
    pub(super) name: Option<&'a str>,
    /// What its findings are told with, where it is not the only one.
    pub(super) whose: Option<String>,
    /// The settings as they hold for it.
    pub(super) config: Config,
    pub(super) wecom: &'a Client,
}

impl Examined<'_> {
    /// All that concerns this application alone.
    pub(super) async fn examine(
        &self,
        database: &Database,
        dir_is_well: bool,
        send: &SendTest,
    ) -> Vec<(Check, Outcome)> {
        let history = self.history(database, dir_is_well).await;
        let sent_before = matches!(&history, History::Known(history) if history.sent_at.is_some());
        let mut outcomes = vec![(Check::CallbackKey, local::callback_key(&self.config.apps.first.wecom))];
        let (wecom, callback) = tokio::join!(self.ask_wecom(sent_before, send), self.ask_outside(&history));
        outcomes.extend(wecom);
        outcomes.extend(callback);
        let zone = &self.config.chat.time_zone;
        let directory = directory::check(database, &self.config.apps.first.key(), zone).await;
        outcomes.extend(directory.map(|outcome| (Check::Directory, outcome)));
        let of = |outcome| match &self.whose {
            Some(whose) => Outcome::of_app(whose, self.config.apps.first.section(), outcome),
            None => outcome,
        };
        outcomes.into_iter().map(|(check, outcome)| (check, of(outcome))).collect()
    }

    /// From reaching WeCom to a message, each only where the one before is well.
    async fn ask_wecom(&self, sent_before: bool, send: &SendTest) -> Vec<(Check, Outcome)> {
        let way = self.wecom.way();
        let reached = self.wecom.reach().await;
        let mut outcomes = vec![(Check::Wecom, wecom::reach(&reached, way))];
        let clock = match &reached {
            Ok(reached) => wecom::clock(reached.server_time, self.doctor.clock.now()),
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
        let operators = self.operators();
        let (called, operators) = if secret.is_well() {
            let asked = self.wecom.agent().await;
            let reached = match &asked {
                _ if operators.is_empty() => None,
                Ok(agent) => Some(wecom::operators(self.wecom, agent, operators).await),
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
                Some(wecom::send(self.wecom, &self.config.apps.first.wecom, member, self.doctor.clock.now()).await)
            }
        };
        outcomes.push((Check::Secret, secret));
        outcomes.push((Check::Address, called.address));
        outcomes.push((Check::Agent, called.agent));
        outcomes.extend(operators.map(|outcome| (Check::Operators, outcome)));
        outcomes.extend(sent.map(|sent| (Check::Send, sent)));
        outcomes
    }

    /// Who is told what is wrong through this application.
    fn operators(&self) -> &[MemberId] {
        let speaks = self.doctor.config.speaker().key() == self.config.apps.first.key();
        if speaks { &self.config.alerts.operators } else { &[] }
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
        let now = self.doctor.clock.now();
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
        let echoed = echo::ask(&self.doctor.http, &self.doctor.clock, ECHO_LIMIT, url, &keys).await;
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
        let mut address = self.doctor.listen;
        if address.ip().is_unspecified() {
            let loopback: std::net::IpAddr = match address.is_ipv4() {
                true => std::net::Ipv4Addr::LOCALHOST.into(),
                false => std::net::Ipv6Addr::LOCALHOST.into(),
            };
            address.set_ip(loopback);
        }
        matches!(tokio::time::timeout(LOCAL_LIMIT, TcpStream::connect(address)).await, Ok(Ok(_)))
    }

    async fn history(&self, database: &Database, dir_is_well: bool) -> History {
        let not_yet = || History::Unknown(Outcome::nothing("qimate 尚未启动过", "qimate was not started yet"));
        match database {
            Database::Open(store) => match store.callback_history(self.name, &self.config.apps.first.key()).await {
                Ok(history) => History::Known(history),
                // A database of an earlier version: the tables come with the next start.
                Err(_) => not_yet(),
            },
            Database::Failed(store::Error::Missing(_)) => not_yet(),
            _ if !dir_is_well => History::Unknown(Outcome::After(Check::DataDir)),
            _ => History::Unknown(Outcome::After(Check::Database)),
        }
    }
}

/// What the store remembers, or why that is not known.
enum History {
    Known(CallbackHistory),
    Unknown(Outcome),
}
