//! A daemon between WeCom and a model, and members who ask.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::ensure;
use tokio::task::JoinSet;

use crate::{
    daemon::Daemon,
    http::Callers,
    model::{Manner, Model},
    wecom::{self, Sealer, WecomApi},
};

/// Connections on which callbacks come.
pub(crate) const CONNECTIONS: usize = 64;

/// Everybody.
pub(crate) struct Company {
    pub(crate) daemon: Daemon,
    pub(crate) wecom: Arc<WecomApi>,
    pub(crate) model: Arc<Model>,
    pub(crate) callers: Arc<Callers>,
    pub(crate) sealer: Sealer,
}

/// How it went for one question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    /// How long the callback's answer took.
    pub(crate) ack: Duration,
    /// When the answer arrived at WeCom.
    pub(crate) at: Instant,
}

impl Company {
    /// With a model of this manner, an API that takes so long, and these variables.
    pub(crate) async fn open(manner: Manner, api_delay: Duration, more: &[(&str, &str)]) -> anyhow::Result<Self> {
        let (wecom, model) = (WecomApi::start(api_delay).await?, Model::start(manner).await?);
        let daemon = Daemon::start(&wecom.base(), &model.base_url(), more).await?;
        let callers = Arc::new(Callers::connect(daemon.address, CONNECTIONS).await?);
        Ok(Self { daemon, wecom, model, callers, sealer: Sealer::new()? })
    }

    /// `members` members, whose names begin with `prefix`, begin to ask at once. Each asks `questions` times, the next
    /// time when it has been answered.
    pub(crate) fn ask(&mut self, prefix: &str, members: usize, questions: usize) -> Asking {
        let mut asking = JoinSet::new();
        for member in 0..members {
            let member = format!("{prefix}{member}");
            let texts: Vec<_> = (0..questions).map(|n| format!("{member}第{n}问：怎样报销出差的费用？")).collect();
            let requests: Vec<_> = texts.iter().map(|text| self.sealer.question(&member, text)).collect();
            let (mut chat, callers) = (self.wecom.chat(&member), Arc::clone(&self.callers));
            asking.spawn(async move {
                let mut served = Vec::with_capacity(requests.len());
                for (text, request) in texts.iter().zip(&requests) {
                    let ack = callers.call(request).await?;
                    let message = wecom::next(&mut chat).await?;
                    ensure!(message.holds(text), "{member} got something else than the answer");
                    served.push(Served { ack, at: message.at });
                }
                Ok(served)
            });
        }
        Asking { asking, begun: Instant::now() }
    }
}

/// Members who are asking: none of them has begun before this is awaited.
pub(crate) struct Asking {
    asking: JoinSet<anyhow::Result<Vec<Served>>>,
    pub(crate) begun: Instant,
}

impl Asking {
    /// Waits until everybody has been answered.
    pub(crate) async fn answered(mut self) -> anyhow::Result<Outcome> {
        let mut served = Vec::new();
        while let Some(one) = self.asking.join_next().await {
            served.extend(one??);
        }
        let last = served.iter().map(|served| served.at).max().unwrap_or(self.begun);
        Ok(Outcome { took: last - self.begun, served })
    }
}

/// How it went for everybody.
pub(crate) struct Outcome {
    /// From the first callback to the last message.
    pub(crate) took: Duration,
    pub(crate) served: Vec<Served>,
}

impl Outcome {
    pub(crate) fn acks(&self) -> Vec<Duration> {
        self.served.iter().map(|served| served.ack).collect()
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.served.len() as f64 / self.took.as_secs_f64()
    }
}
