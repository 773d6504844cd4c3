//! Wires what answers programs, where `v1.enabled` is set, and what gives members the keys that they make themselves.

use std::sync::Arc;

use anyhow::Context;
use tracing::warn;

use super::app::Shared;
use crate::{
    api::{Api, HandOut, Keys},
    clock::Clock,
    config::Config,
    llm::{relay::place::Places, tokens::TokenCounter},
    meter::{Meter, allowances::Allowances, own_keys::OwnKeys},
    model::quota::amounts::MediaPrices,
    store::Store,
    web::{hand_out::Page, v1::Programs},
};

/// The keys that members make themselves; `None`: they make none. Where something is missing for it, a line in the log
/// says so, and `qimate doctor` says what.
pub(super) fn own_keys(config: &Config, store: &Store, clock: &Clock, allowances: &Arc<Allowances>) -> Option<OwnKeys> {
    match config.v1.handed_out_at(config.server.public_url.as_deref()) {
        Ok(base) => base.map(|base| {
            OwnKeys::new(store.clone(), clock.clone(), Arc::clone(allowances), &config.v1.member_keys, base)
        }),
        Err(lack) => {
            warn!(?lack, "v1.member_keys is set, and members can make no keys all the same; qimate doctor says why");
            None
        }
    }
}

/// The page on which members get them.
pub(super) fn hand_out(config: &Config, programs: Option<&Programs>, shared: &Shared) -> Option<Page> {
    let (programs, keys) = (programs?, shared.own_keys.clone()?);
    let zone = config.chat.time_zone.clone();
    let proxies = config.v1.trusted_proxies.clone();
    Some(Page { hand_out: HandOut::new(programs.api.clone(), keys), zone, proxies })
}

/// What answers programs, over what everybody shares; `None` where none are served.
pub(super) async fn wire(config: &Config, shared: &Shared) -> anyhow::Result<Option<Programs>> {
    if !config.v1.enabled {
        return Ok(None);
    }
    let Shared { store, clock, metrics, model, house, allowances, recorder, identifiers, .. } = shared;
    let keys = Keys::open(store).await.context("cannot read the keys")?;
    let counter = TokenCounter::for_model(&config.llm.model);
    let places = Places::new((&config.images, &config.voice, &config.llm), clock, metrics).context("llm.proxy")?;
    let meter =
        Meter::new(model.clone(), counter, house.clone(), Arc::clone(metrics), Arc::clone(allowances), &config.llm)
            .with_recorder(recorder.clone())
            .with_identifiers(identifiers.clone())
            .with_media_prices(MediaPrices {
                picture: config.images.price,
                minute: config.voice.transcription_price,
                characters: config.voice.speech_price,
            })
            .with_places(places);
    let api = Api::new(keys, meter, Arc::clone(allowances), store.clone(), clock.clone());
    Ok(Some(Programs::new(api, clock.clone(), config.chat.time_zone.clone(), config.v1.clone(), Arc::clone(metrics))))
}
