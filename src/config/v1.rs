//! `[v1]`: what programs ask by keys, in the words of OpenAI's API, and which keys members may make themselves.

use std::{collections::BTreeSet, time::Duration};

use reqwest::Url;

use super::{
    Images, Llm, Voice,
    fault::Wrong,
    reader::{Reader, Reported},
    web::listed,
};
use crate::model::{
    key::{Endpoint, Scope},
    network::Network,
};

/// The section's values.
#[derive(Clone, Debug, Default)]
pub struct V1 {
    /// Whether programs are answered at all.
    pub enabled: bool,
    /// Bytes of a request.
    pub max_body: usize,
    /// Whoever calls from here is a proxy of ours, whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// What members may make themselves.
    pub member_keys: MemberKeys,
}

/// The keys that members may make themselves.
#[derive(Clone, Debug, Default)]
pub struct MemberKeys {
    /// How many a member may have; 0: members make none.
    pub most: u32,
    /// For how long each is good.
    pub life: Duration,
    /// What each is good for.
    pub scope: Scope,
}

/// What is missing where members are to make keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// `v1.enabled`: nobody would answer them.
    V1,
    /// `server.public_url`: there is no address for the link.
    PublicUrl,
    /// HTTPS in `server.public_url`: everybody on the way would read the key.
    Https,
}

impl V1 {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let enabled = reader.flag("v1.enabled");
        let max_mib = reader.whole("v1.max_body_mib", 1..=64_usize);
        let trusted_proxies = reader.take("v1.trusted_proxies", |value| listed(value, network));
        let most = reader.whole("v1.member_keys", 0..=100_u32);
        let days = reader.whole("v1.member_key_days", 1..=3650_u64);
        let models = reader.take("v1.member_key_models", |value| listed(value, |text| Ok(text.to_owned())));
        let endpoints = reader.take("v1.member_key_endpoints", |value| listed(value, endpoint));
        let scope = Scope { models: bound(models?), endpoints: bound(endpoints?), networks: Vec::new() };
        Ok(Self {
            enabled: enabled?,
            max_body: max_mib? * 1024 * 1024,
            trusted_proxies: trusted_proxies?,
            member_keys: MemberKeys { most: most?, life: Duration::from_secs(days? * DAY), scope },
        })
    }

    /// A fault where members' keys are for a model that nobody offers: they would open nothing.
    pub(super) fn look_for_models(&self, reader: &mut Reader<'_>, (llm, images, voice): (&Llm, &Images, &Voice)) {
        let upstreams = llm.all_upstreams();
        let of_words = upstreams.iter().flat_map(|upstream| upstream.models.iter().map(|model| &*model.alias));
        let others = [&images.model, &voice.speech_model, &voice.transcription_model].into_iter().flatten();
        let known: BTreeSet<&str> = of_words.chain(others.map(String::as_str)).collect();
        let wanted = self.member_keys.scope.models.iter().flatten();
        if wanted.into_iter().any(|alias| !known.contains(alias.as_str())) {
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            let wrong = Wrong::new(
                ["里有没有人提供的模型", "holds a model that nobody offers"],
                [format!("应为 {known} 中的一些"), format!("expected some of {known}")],
            );
            let _ = reader.contradiction("v1.member_key_models", wrong);
        }
    }

    /// Where members get the keys that they make themselves, below `public_url`; `None`: they make none.
    ///
    /// # Errors
    /// [`Lack`]: they are to, and something is missing for it, so they make none either.
    pub fn handed_out_at<'a>(&self, public_url: Option<&'a str>) -> Result<Option<&'a str>, Lack> {
        if self.member_keys.most == 0 {
            return Ok(None);
        }
        if !self.enabled {
            return Err(Lack::V1);
        }
        let url = public_url.ok_or(Lack::PublicUrl)?;
        if is_secret_on_the_way(url) { Ok(Some(url)) } else { Err(Lack::Https) }
    }
}

/// Whether nobody between a browser and this address reads along: by HTTPS, or because there is nobody.
fn is_secret_on_the_way(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    url.scheme() == "https" || matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// Seconds in a day.
const DAY: u64 = 24 * 60 * 60;

/// An empty list bounds nothing.
fn bound<T: Ord>(list: Vec<T>) -> Option<BTreeSet<T>> {
    Some(list.into_iter().collect()).filter(|set: &BTreeSet<T>| !set.is_empty())
}

fn endpoint(text: &str) -> Result<Endpoint, Wrong> {
    Endpoint::ALL.into_iter().find(|known| known.as_str() == text).ok_or_else(|| {
        let known = Endpoint::ALL.map(Endpoint::as_str).join(", ");
        Wrong::new(
            ["有一项不是接口", "holds something that is no endpoint"],
            [format!("应为 {known} 中的一些"), format!("expected some of {known}")],
        )
    })
}

fn network(text: &str) -> Result<Network, Wrong> {
    Network::parse(text).map_err(|_| {
        Wrong::new(
            ["有一项不是网段", "holds something that is no network"],
            ["应为 10.0.0.0/8 这样的网段或地址", "expected networks such as 10.0.0.0/8, or addresses"],
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_handed_out_where_programs_are_answered_and_nobody_reads_along() {
        let of =
            |enabled, most| V1 { enabled, member_keys: MemberKeys { most, ..MemberKeys::default() }, ..V1::default() };
        let (https, http) = (Some("https://qimate.example.com"), Some("http://qimate.example.com"));
        assert_eq!(V1::default().handed_out_at(https), Ok(None), "off by default");
        assert_eq!(of(true, 0).handed_out_at(https), Ok(None));
        assert_eq!(of(true, 3).handed_out_at(https), Ok(https));
        assert_eq!(of(false, 3).handed_out_at(https), Err(Lack::V1));
        assert_eq!(of(true, 3).handed_out_at(None), Err(Lack::PublicUrl));
        assert_eq!(of(true, 3).handed_out_at(http), Err(Lack::Https));
        for here in ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"] {
            assert_eq!(of(true, 3).handed_out_at(Some(here)), Ok(Some(here)));
        }
        assert_eq!(of(true, 3).handed_out_at(Some("http://localhost.example.com")), Err(Lack::Https));
    }
}
