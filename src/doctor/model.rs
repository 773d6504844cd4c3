//! The model: who answers, the key, the name, and one word of an answer.

use std::time::Duration;

use super::{
    cause::{Cause, model::Model},
    finding::{Check, Outcome},
    wecom::link,
};
use crate::{
    llm::client::{ProbeFault, Probed},
    net::link::Way,
};

/// What one question says of the four.
pub(super) struct Asked {
    pub(super) reach: Outcome,
    pub(super) key: Outcome,
    pub(super) name: Outcome,
    pub(super) answer: Outcome,
}

/// Maps the outcome of one question. `limit` is how long the first word was waited for.
pub(super) fn asked(
    probed: Result<Probed, ProbeFault>,
    way: &Way,
    model: &str,
    has_key: bool,
    limit: Duration,
) -> Asked {
    let reach = || match &way.proxy {
        None => Outcome::well(way.server.clone(), way.server.clone()),
        Some(proxy) => Outcome::well(
            format!("{}，经代理 {proxy}", way.server),
            format!("{} through the proxy {proxy}", way.server),
        ),
    };
    let key = || match has_key {
        true => Outcome::well("有效", "valid"),
        false => Outcome::well("没有设置，服务也不需要", "none set, and none needed"),
    };
    let name = || Outcome::well(model, model);
    let ill = |cause, about: &str| Outcome::ill(Cause::Model(cause), about);
    // What comes before the failure is well, what comes after it was not reached.
    let at_reach = |reach| Asked {
        reach,
        key: Outcome::After(Check::Model),
        name: Outcome::After(Check::Model),
        answer: Outcome::After(Check::Model),
    };
    let at_key =
        |key| Asked { reach: reach(), key, name: Outcome::After(Check::ApiKey), answer: Outcome::After(Check::ApiKey) };
    let at_answer = |answer| Asked { reach: reach(), key: key(), name: Outcome::After(Check::Answer), answer };
    match probed {
        Ok(Probed { first_delta }) => {
            let millis = first_delta.as_millis();
            let seconds = format!("{}.{} s", millis / 1000, millis % 1000 / 100);
            let answer = Outcome::well(format!("{seconds} 后开始应答"), format!("begins after {seconds}"));
            Asked { reach: reach(), key: key(), name: name(), answer }
        }
        Err(ProbeFault::Link(fault)) => at_reach(link(fault, way)),
        Err(ProbeFault::Page) => at_reach(ill(Model::Page, &way.server)),
        Err(ProbeFault::PathNotFound) => at_reach(ill(Model::PathNotFound, &way.server)),
        Err(ProbeFault::KeyRefused(message)) => at_key(ill(Model::KeyRefused, &message)),
        Err(ProbeFault::Forbidden(message)) => at_key(ill(Model::Forbidden, &message)),
        Err(ProbeFault::ModelNotFound(message)) => {
            let answer = Outcome::After(Check::ModelName);
            Asked { reach: reach(), key: key(), name: ill(Model::ModelNotFound, &message), answer }
        }
        Err(ProbeFault::QuotaExhausted(message)) => at_answer(ill(Model::QuotaExhausted, &message)),
        Err(ProbeFault::RateLimited) => at_answer(ill(Model::RateLimited, "")),
        Err(ProbeFault::Rejected(message)) => at_answer(ill(Model::Rejected, &message)),
        Err(ProbeFault::Upstream(message)) => at_answer(ill(Model::Upstream, &message)),
        Err(ProbeFault::TooSlow) => at_answer(ill(Model::TooSlow, &format!("{} s", limit.as_secs()))),
        Err(ProbeFault::NoStream) => at_answer(ill(Model::NoStream, &way.server)),
    }
}
