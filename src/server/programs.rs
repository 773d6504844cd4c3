//! Wires what answers programs, where `v1.enabled` is set.

use std::sync::Arc;

use anyhow::Context;

use super::app::Shared;
use crate::{
    api::{Api, Keys},
    config::Config,
    llm::{relay::place::Places, tokens::TokenCounter},
    meter::Meter,
    model::quota::amounts::MediaPrices,
    web::v1::Programs,
};

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
