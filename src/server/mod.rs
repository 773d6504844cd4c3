//! Where things are wired, started and stopped. The only room that knows everybody, and the only one that reads the
//! whole configuration.

pub mod commands;
pub mod doctor;
pub mod init;
mod lifecycle;
mod listen;
pub mod status;
pub mod telemetry;
mod tls;
pub mod upstreams;
mod watch;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{net::TcpListener, sync::mpsc};
use tracing::{info, warn};

pub use self::lifecycle::Stop;
use self::watch::Watch;
use crate::{
    alert::{
        alerts::{Alerts, Audience},
        webhook::{Webhook, webhook},
    },
    chat::{
        delivery::Delivery, hearing::Hearing, intake::Intake, lately::Lately, models::Models, notices::Notices,
        stops::Stops, turn::Turns,
    },
    clock::Clock,
    config::{Config, chat::Language},
    doctor::{Database, standing::Standing},
    llm,
    meter::Meter,
    metrics::Metrics,
    net,
    store::{Store, alerts::Operators, sightings::Sightings},
    web::{self, Callback, Figures, Overview, Readiness, Web},
    wecom::{self, accepted::AcceptedKeys},
};

/// Members who can wait to be told that they wait.
const BACKLOG_NOTICES: usize = 1024;
/// How long the webhook for alerts may take to be connected to.
const WEBHOOK_CONNECT: Duration = Duration::from_secs(5);

/// A daemon that listens and is ready to run.
pub struct Server {
    config: Config,
    clock: Clock,
    store: Store,
    listener: TcpListener,
    router: axum::Router,
    /// HTTPS on the main address; `None` where it speaks plain HTTP.
    tls: Option<(tls::Acceptor, tls::Keeper)>,
    /// For the people who run Qimate; `None` where they have no address of their own.
    operations: Option<(TcpListener, axum::Router)>,
    turns: Arc<Turns>,
    delivery: Arc<Delivery>,
    notices: Notices,
    watch: Watch,
    webhook: Option<Webhook>,
    sightings: Arc<Sightings>,
    standing: Arc<Standing>,
}

/// Opens the store, listens, and wires everything. Nothing runs yet; connections wait.
///
/// # Errors
/// The data directory, the address or the certificate cannot be used, or a proxy URL is unusable.
pub async fn build(config: Config, clock: Clock) -> anyhow::Result<Server> {
    net::install_crypto();
    let metrics = Arc::new(Metrics::new());
    let store = Store::open(&config.storage, clock.now()).context(match config.chat.language {
        Language::Chinese => "无法打开数据库",
        Language::English => "cannot open the database",
    })?;
    let listener = TcpListener::bind(config.server.listen)
        .await
        .with_context(|| format!("cannot listen on {} (server.listen)", config.server.listen))?;

    let (wecom, model) = doctor::clients(&config, &clock, &metrics)?;
    let doctor = doctor::attach(config.clone(), clock.clone(), wecom.clone(), model.clone(), listener.local_addr()?)?;
    let standing = Arc::new(Standing::new(doctor, Database::Open(store.clone())));
    let sightings = Arc::<Sightings>::default();
    let counter = llm::tokens::TokenCounter::for_model(&config.llm.model);
    let meter = Meter::new(model.clone(), counter, Arc::clone(&metrics));

    let stops = Stops::default();
    for (lane, seq) in store.open_stops().await.context("cannot read the database")? {
        stops.request(&lane, seq);
    }
    let (backlogs, told) = mpsc::channel(BACKLOG_NOTICES);
    let intake = Intake::new(store.clone(), clock.clone(), stops.clone(), backlogs, &config.chat);
    let callback = Callback::new(
        config.wecom.corp_id.clone(),
        config.wecom.agent_id,
        AcceptedKeys::of(&config.wecom).context("the callback's Token or EncodingAESKey in [wecom]")?,
        intake,
        clock.clone(),
        Arc::clone(&sightings),
    );
    let readiness = Arc::new(Readiness::new(store.clone(), clock.clone()));
    let lately = Arc::new(Lately::new(clock.clone(), Arc::clone(&metrics)));
    let (hands, language) = (config.wecom.max_concurrent_sends, config.chat.language);
    let delivery = Delivery::new(store.clone(), clock.clone(), wecom.clone(), hands, language, Arc::clone(&metrics));
    let delivery = Arc::new(delivery);
    let figures = Arc::new(Figures::new(store.clone(), clock.clone(), config.storage.data_dir.clone()));
    let overview = Overview {
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
        figures,
        readiness: Arc::clone(&readiness),
        lately: Arc::clone(&lately),
        delivery: Arc::clone(&delivery),
        models: Models::new(model.clone()),
    };
    let web = Web {
        callback: Arc::new(callback),
        readiness,
        metrics,
        overview: Arc::new(overview),
        operator_key: config.server.operator_key.clone(),
        standing: Arc::clone(&standing),
    };
    let hearing = hearing(&config, wecom.clone(), &clock)?;
    let (chat, system_prompt) = (config.chat.clone(), config.llm.system_prompt.clone());
    let turns = Turns::new(store.clone(), clock.clone(), chat, system_prompt, stops, meter, Arc::clone(&lately))
        .with_hearing(hearing)
        .with_continuations(config.llm.max_continuations)
        .with_texts_in_the_log(config.log.message_text);
    let turns = Arc::new(turns);
    let (alerts, webhook) = alerts(&config, &store, &clock).await?;
    let (storage, parts) = (config.storage.clone(), Arc::clone(&delivery));
    let watch = Watch::new(store.clone(), clock.clone(), storage, parts, lately, model, alerts);
    let notices = Notices::new(store.clone(), clock.clone(), config.chat.clone(), told);
    let operations = match config.server.operations_listen {
        Some(address) => {
            listen_for_operators(address).await.map(|listener| (listener, web::operations_router(web.clone())))
        }
        None => None,
    };
    let router = web::router(web, &config.server.callback_path, &config.server.domain_files);
    let tls = tls::prepare(&config, &clock).await?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    info!(address = %listener.local_addr()?, scheme, path = %config.server.callback_path, "listening");
    Ok(Server {
        config,
        clock,
        store,
        listener,
        router,
        tls,
        operations,
        turns,
        delivery,
        notices,
        watch,
        webhook,
        sightings,
        standing,
    })
}

/// What hears voice messages, where a model for it is set.
fn hearing(config: &Config, wecom: wecom::client::Client, clock: &Clock) -> anyhow::Result<Option<Hearing>> {
    let Config { llm, voice, .. } = config;
    let http = net::http_client(llm.proxy.as_ref(), llm.connect_timeout).context("llm.proxy")?;
    let transcriber = llm::transcribe::Transcriber::new(http, voice, llm, clock.clone());
    Ok(transcriber.map(|transcriber| Hearing::new(wecom, transcriber, clock.clone(), voice)))
}

/// The alerts, and what posts them where a webhook is set.
async fn alerts(config: &Config, store: &Store, clock: &Clock) -> anyhow::Result<(Alerts, Option<Webhook>)> {
    let Config { wecom, server, alerts, .. } = config;
    let instance = server.public_url.clone().unwrap_or_else(|| format!("{}/{}", wecom.corp_id, wecom.agent_id));
    let http = net::http_client(None, WEBHOOK_CONNECT).context("alerts.webhook_url")?;
    let (hook, webhook) = webhook(http, alerts, instance, clock.clone()).unzip();
    let members = alerts.operators.clone();
    let operators = Operators { corp: wecom.corp_id.clone(), agent: wecom.agent_id, members };
    let audience = Audience { operators, hook, language: config.chat.language };
    let alerts = Alerts::open(store.clone(), alerts.clone(), audience, clock.now());
    Ok((alerts.await.context("cannot read the database")?, webhook))
}

/// Employees come first: where the operators' address is taken, as by a second instance, the company is served without.
async fn listen_for_operators(address: SocketAddr) -> Option<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Some(listener),
        Err(error) => {
            warn!(%error, %address, "cannot listen for operators (server.operations_listen); metrics are not answered");
            None
        }
    }
}

impl Server {
    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where it answers the people who run it.
    pub fn operations_addr(&self) -> Option<SocketAddr> {
        self.operations.as_ref().and_then(|(listener, _)| listener.local_addr().ok())
    }
}
