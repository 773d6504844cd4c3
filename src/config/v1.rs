//! `[v1]`: what programs ask by keys, in the words of OpenAI's API.

use super::{
    fault::Wrong,
    reader::{Reader, Reported},
    web::listed,
};
use crate::model::network::Network;

/// The section's values.
#[derive(Clone, Debug, Default)]
pub struct V1 {
    /// Whether programs are answered at all.
    pub enabled: bool,
    /// Bytes of a request.
    pub max_body: usize,
    /// Whoever calls from here is a proxy of ours, whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
}

impl V1 {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let enabled = reader.flag("v1.enabled");
        let max_mib = reader.whole("v1.max_body_mib", 1..=64_usize);
        let trusted_proxies = reader.take("v1.trusted_proxies", |value| listed(value, network));
        Ok(Self { enabled: enabled?, max_body: max_mib? * 1024 * 1024, trusted_proxies: trusted_proxies? })
    }
}

fn network(text: &str) -> Result<Network, Wrong> {
    Network::parse(text).map_err(|_| {
        Wrong::new(
            ["有一项不是网段", "holds something that is no network"],
            ["应为 10.0.0.0/8 这样的网段或地址", "expected networks such as 10.0.0.0/8, or addresses"],
        )
    })
}
