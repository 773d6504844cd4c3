//! Wires one application: its client, its callback, its turns, its deliveries and its notices. Applications share what
//! stands in [`Shared`], and nothing else: what goes wrong with one does not reach another.
//!
//! What a turn needs is put together in [`turns`], from the settings as they hold for this application.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    chat::{
        delivery::Delivery,
        dispatch::{OnStop, Queue, dispatch},
        hearing::Hearing,
        intake::Intake,
        lately::Lately,
        menu::Menu,
        notices::Notices,
        profiles::{Lookups, Profiles},
        stops::Stops,
        summaries::Summaries,
        tooling::Tooling,
        turn::{Speaking, Turns},
    },
    clock::Clock,
    config::Config,
    llm::{self, router::Router},
    mcp::servers::Servers,
    meter::{House, Identifiers, Meter, Recorder, allowances::Allowances, own_keys::OwnKeys},
    metrics::Metrics,
    model::{id::AppKey, quota::amounts::MediaPrices},
    net::{
        self,
        fetch::{AllowedHost, Bounds, Fetcher},
    },
    store::{Store, sightings::Sightings},
    web::Callback,
    wecom::{accepted::AcceptedKeys, client::Client},
};

/// Members of one application who can wait to be told that they wait.
const BACKLOG_NOTICES: usize = 1024;

/// How long fetching a picture that was made may take.
const FETCHING: Duration = Duration::from_secs(60);

/// What all applications use.
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) stops: Stops,
    pub(super) model: Router,
    pub(super) lately: Arc<Lately>,
    pub(super) allowances: Arc<Allowances>,
    /// What remembers every model call.
    pub(super) recorder: Recorder,
    /// Who members are to upstreams.
    pub(super) identifiers: Identifiers,
    /// What everything goes through that is sent to a model.
    pub(super) house: House,
    pub(super) fetcher: Fetcher,
    pub(super) servers: Arc<Servers>,
    /// `None`: members make no API keys.
    pub(super) own_keys: Option<OwnKeys>,
}

/// One application, ready to run.
pub(super) struct App {
    store: Store,
    clock: Clock,
    key: AppKey,
    /// Where its callbacks come.
    pub(super) path: String,
    pub(super) callback: Arc<Callback>,
    pub(super) sightings: Arc<Sightings>,
    pub(super) delivery: Arc<Delivery>,
    stops: Stops,
    turns: Arc<Turns>,
    summaries: Option<Summaries>,
    lookups: Option<Lookups>,
    notices: Notices,
    menu: Option<Menu>,
    /// How many of its members are answered at once.
    hands: usize,
}

impl App {
    /// Puts the parts of the application together that `config` is for; `wecom` calls WeCom in its name.
    pub(super) fn wire(config: &Config, wecom: &Client, shared: &Shared) -> anyhow::Result<Self> {
        let Shared { store, clock, stops, .. } = shared;
        let metrics = shared.metrics.of_app(config.apps.first.name.as_ref());
        let (app, settings) = (&config.apps.first, &config.apps.first.wecom);
        let sightings = Arc::new(Sightings::of(app.name.as_deref()));
        let (backlogs, told) = mpsc::channel(BACKLOG_NOTICES);
        let intake = Intake::new(
            store.clone(),
            clock.clone(),
            stops.clone(),
            backlogs,
            &config.chat,
            Arc::clone(&shared.allowances),
        );
        let callback = Callback::new(
            settings.corp_id.clone(),
            settings.agent_id,
            AcceptedKeys::of(settings)
                .with_context(|| format!("the callback's Token or EncodingAESKey in [{}]", app.section()))?,
            intake,
            clock.clone(),
            Arc::clone(&sightings),
        );
        let (hands, language) = (settings.max_concurrent_sends, config.chat.language);
        let delivery =
            Delivery::new(store.clone(), clock.clone(), app.key(), wecom.clone(), hands, language, Arc::new(metrics));
        let (turns, summaries, lookups) = turns(config, wecom, shared)?;
        Ok(Self {
            path: config.server.callback_path.clone(),
            callback: Arc::new(callback),
            sightings,
            delivery: Arc::new(delivery),
            stops: stops.clone(),
            turns: Arc::new(turns),
            summaries,
            lookups,
            notices: Notices::new(store.clone(), clock.clone(), app.key(), config.chat.clone(), told),
            menu: config.menu.enabled.then(|| Menu::new(wecom.clone(), app.key(), language, &config.menu.entries)),
            key: app.key(),
            hands: config.chat.max_concurrent_turns,
            store: store.clone(),
            clock: clock.clone(),
        })
    }

    /// Begins to work, in tasks of `parts`, until `stop`.
    pub(super) fn start(self, parts: &mut JoinSet<()>, stop: &CancellationToken) {
        let Self { store, clock, key, stops, delivery, turns, summaries, lookups, notices, menu, hands, .. } = self;
        // Deliveries go on until the last turn has ended: its answer should still leave.
        let turns_ended = CancellationToken::new();
        parts.spawn(delivery.run(turns_ended.clone()));
        parts.spawn(notices.run(stop.clone()));
        if let Some(lookups) = lookups {
            parts.spawn(lookups.run(stop.clone()));
        }
        if let Some(summaries) = summaries {
            parts.spawn(summaries.run(stop.clone()));
        }
        if let Some(menu) = menu {
            let stop = stop.clone();
            parts.spawn(async move {
                // In a box of its own, which is gone when the menu is seen to.
                let seen_to = Box::pin(menu.keep());
                let _ = stop.run_until_cancelled(seen_to).await;
                stop.cancelled().await;
            });
        }
        let stop = stop.clone();
        parts.spawn(async move {
            let queue = Queue { name: "inbox", hands, on_stop: OnStop::Leave };
            let claim = |limit| {
                let stops = stops.clone();
                store.claim_inbound_then(&key, limit, clock.now(), move |lane| stops.claimed(lane))
            };
            let clock_set = |set| store.move_inbox_times(&key, set);
            let ready = || store.inbox_ready(&key);
            let handle = |claim| Arc::clone(&turns).handle(claim);
            dispatch(queue, &clock, &stop, claim, clock_set, ready, handle).await;
            turns_ended.cancel();
        });
    }
}

/// What handles the messages of the application that `config` is for, and what sums up its conversations.
fn turns(
    config: &Config,
    wecom: &Client,
    shared: &Shared,
) -> anyhow::Result<(Turns, Option<Summaries>, Option<Lookups>)> {
    let Shared {
        store,
        clock,
        metrics,
        stops,
        model,
        lately,
        house,
        allowances,
        recorder,
        identifiers,
        fetcher,
        servers,
        own_keys,
    } = shared;
    let counter = llm::tokens::TokenCounter::for_model(&config.llm.model);
    let model = model.offering(&config.llm.model, &config.llm.allowed);
    let (house, allowances) = (house.clone(), Arc::clone(allowances));
    let meter = Meter::new(model, counter, house, Arc::clone(metrics), allowances, &config.llm);
    let meter = meter
        .with_recorder(recorder.clone())
        .with_identifiers(identifiers.clone())
        .with_painter(painter(config, clock)?)
        .with_speaker(speaker(config, clock)?)
        .with_transcriber(transcriber(config, clock)?)
        .with_media_prices(MediaPrices {
            picture: config.images.price,
            minute: config.voice.transcription_price,
            characters: config.voice.speech_price,
        });
    let meter = Arc::new(meter);
    let hears = config.voice.transcription_model.is_some();
    let (chat, system_prompt) = (config.chat.clone(), config.llm.system_prompt.clone());
    let (pages, app) = (fetcher.clone(), config.apps.first.name.clone());
    let tooling = Tooling::new(store.clone(), clock.clone(), config, pages, Arc::clone(servers), app);
    let turns = Turns::new(
        store.clone(),
        clock.clone(),
        chat,
        system_prompt,
        stops.clone(),
        Arc::clone(&meter),
        Arc::clone(lately),
    )
    .with_pictures(wecom.clone(), &config.pictures)
    .with_team(config.team.clone())
    .with_own_keys(own_keys.clone())
    .with_hearing(hears.then(|| Hearing::new(wecom.clone(), clock.clone(), &config.voice)))
    .with_speaking(config.voice.speech_model.as_ref().map(|_| Speaking::new(&config.voice)))
    .with_gallery(gallery(config, clock)?)
    .with_cards(wecom.clone())
    .with_operators(config.alerts.operators.clone())
    .with_tooling(tooling)
    .with_continuations(config.llm.max_continuations)
    .with_texts_in_the_log(config.log.message_text && config.chat.privacy.keeps_texts());
    let (store, clock, memory) = (store.clone(), clock.clone(), turns.memory());
    let (wishes, summaries) = Summaries::new(store, clock, memory, meter, &config.chat).unzip();
    let (profiles, lookups) = match config.chat.member_profile {
        true => Some(Profiles::new(shared.store.clone(), shared.clock.clone(), wecom.clone())).unzip(),
        false => (None, None),
    };
    Ok((turns.with_summaries(wishes).with_profiles(profiles), summaries, lookups))
}

/// What speaks answers, where a model for it is set.
fn speaker(config: &Config, clock: &Clock) -> anyhow::Result<Option<llm::speech::Speaker>> {
    let Config { llm, voice, .. } = config;
    if voice.speech_model.is_none() {
        return Ok(None);
    }
    let http = net::http_client(llm.proxy.as_ref(), llm.connect_timeout).context("llm.proxy")?;
    Ok(llm::speech::Speaker::new(http, voice, llm, clock.clone()))
}

/// What makes pictures, where a model for it is set.
fn painter(config: &Config, clock: &Clock) -> anyhow::Result<Option<llm::images::Painter>> {
    let Config { llm, images, .. } = config;
    if images.model.is_none() {
        return Ok(None);
    }
    let http = net::http_client(llm.proxy.as_ref(), llm.connect_timeout).context("llm.proxy")?;
    Ok(llm::images::Painter::new(http, images, llm, clock.clone()))
}

/// What fetches pictures that a model makes and leaves at an address: from the web, from where that model is, and from
/// the hosts of `[web]`. It goes the way of the model.
fn gallery(config: &Config, clock: &Clock) -> anyhow::Result<Option<Fetcher>> {
    let Config { llm, images, web, .. } = config;
    if images.model.is_none() {
        return Ok(None);
    }
    let mut hosts = web.allow_hosts.clone();
    hosts.extend(AllowedHost::of(images.base_url.as_ref().unwrap_or(&llm.base_url)));
    let bounds = Bounds { bytes: llm::images::MAX_PICTURE_BYTES, time: FETCHING, ports: web.ports.clone(), hosts };
    Ok(Some(Fetcher::new(bounds, llm.proxy.as_ref(), clock.clone()).context("llm.proxy")?))
}

/// What writes down what is said, where a model for it is set.
fn transcriber(config: &Config, clock: &Clock) -> anyhow::Result<Option<llm::transcribe::Transcriber>> {
    let Config { llm, voice, .. } = config;
    if voice.transcription_model.is_none() {
        return Ok(None);
    }
    let http = net::http_client(llm.proxy.as_ref(), llm.connect_timeout).context("llm.proxy")?;
    Ok(llm::transcribe::Transcriber::new(http, voice, llm, clock.clone()))
}
