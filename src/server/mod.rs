//! Where things are wired, started and stopped. The only room that knows everybody, and the only one that reads the
//! whole configuration.

mod app;
pub mod commands;
pub mod doctor;
pub mod init;
mod lifecycle;
mod listen;
mod privacy;
mod programs;
pub mod settings;
pub mod status;
pub mod telemetry;
mod tls;
pub mod upstreams;
mod watch;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::net::TcpListener;
use tracing::{info, warn};

pub use self::lifecycle::Stop;
use self::{
    app::{App, Shared},
    watch::Watch,
};
use crate::{
    admin::{Admin, SecondFactors, felt},
    alert::{
        alerts::{Alerts, Audience},
        webhook::{Webhook, webhook},
    },
    api::Api,
    chat::{
        directory::{Directory, Range},
        lately::Lately,
        models::Models,
        stops::Stops,
    },
    clock::Clock,
    config::{self, Config, tls::Tls},
    doctor::{Database, standing::Standing},
    llm::moderation::Moderator,
    mcp::servers::Servers,
    meter::{House, Identifiers, Recorder, allowances::Allowances, tally::Tally},
    metrics::Metrics,
    model::id::CorpId,
    net::{
        self,
        fetch::{Bounds, Fetcher},
    },
    safety::guard::Guard,
    store::{
        Store,
        alerts::Operators,
        ledger::{Books, Ledger},
    },
    web::{
        self, Figures, Https, Overview, Readiness, Web,
        admin::{self, Administration, UnderWay},
        status::Served,
    },
};

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
    apps: Vec<App>,
    servers: Arc<Servers>,
    watch: Watch,
    webhook: Option<Webhook>,
    standing: Arc<Standing>,
    allowances: Arc<Allowances>,
    directory: Directory,
    /// What answers programs; `None` where none are served.
    api: Option<Api>,
    admin: Admin,
    /// Who is told when what is in memory is to be read again.
    asked: felt::Asked,
    ledger: Ledger,
}

/// Opens the store, listens, and wires everything. Nothing runs yet; connections wait.
///
/// # Errors
/// The data directory, the address or the certificate cannot be used, or a proxy URL is unusable.
pub async fn build(config: Config, clock: Clock) -> anyhow::Result<Server> {
    net::install_crypto();
    let metrics = Arc::new(Metrics::new());
    let store = Store::open(&config.storage, clock.now());
    let store = store.map_err(|error| settings::not_opened(error, config.chat.language))?;
    let store = store.with_privacy(config.apps.iter().map(|app| (app.key(), config.of(app).chat.privacy)));
    let shorter =
        |app| config.of(app).chat.keep.filter(|keep| *keep < config.storage.keep).map(|keep| (app.key(), keep));
    let store = store.with_days(config.apps.iter().filter_map(shorter));
    let listener = TcpListener::bind(config.server.listen)
        .await
        .with_context(|| format!("cannot listen on {} (server.listen)", config.server.listen))?;

    let model = doctor::router(&config, &clock, &metrics)?;
    let lately = Arc::new(Lately::new(clock.clone(), Arc::clone(&metrics)));
    let stops = Stops::default();
    for (lane, seq) in store.open_stops().await.context("cannot read the database")? {
        stops.request(&lane, seq);
    }
    let tally = Arc::new(Tally::new(clock.clone()));
    let allowances = Allowances::open(store.clone(), clock.clone(), config.chat.time_zone.clone()).await;
    let allowances = Arc::new(allowances.context("cannot read the plans")?);
    let ledger = Ledger::start(&config.storage, config.chat.time_zone.clone(), clock.clone());
    let ledger = ledger.context("cannot begin to remember model calls")?;
    let servers = Arc::new(Servers::new(&config.tools, clock.clone()).context("tools.mcp")?);
    let own_keys = programs::own_keys(&config, &store, &clock, &allowances);
    let shared = Shared {
        store: store.clone(),
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
        stops,
        model: model.clone(),
        lately: Arc::clone(&lately),
        house: house(&config, &clock, &tally)?,
        allowances: Arc::clone(&allowances),
        recorder: Recorder::new(ledger.clone(), clock.clone()),
        identifiers: Identifiers::new(&store.usage_key().await.context("cannot read the database")?),
        fetcher: fetcher(&config, &clock)?,
        servers: Arc::clone(&servers),
        own_keys,
    };
    let (mut wecom, mut apps, mut ranges) = (Vec::new(), Vec::new(), Vec::new());
    for app in config.apps.iter() {
        let client = doctor::client(app, &clock, &Arc::new(metrics.of_app(app.name.as_ref())))?;
        apps.push(App::wire(&config.of(app), &client, &shared)?);
        ranges.push(Range { app: app.key(), corp: app.wecom.corp_id.clone(), wecom: client.clone() });
        wecom.push(client);
    }

    let directory = Directory::new(store.clone(), clock.clone(), ranges, config.team.sync, Arc::clone(&allowances));
    let doctor = doctor::attach(config.clone(), clock.clone(), wecom, model.clone(), listener.local_addr()?)?;
    let standing = Arc::new(Standing::new(doctor, Database::Open(store.clone())));
    let readiness = Arc::new(Readiness::new(store.clone(), clock.clone()));
    let figures = Arc::new(Figures::new(store.clone(), clock.clone(), config.storage.data_dir.clone()));
    let overview = Overview {
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
        figures,
        readiness: Arc::clone(&readiness),
        lately: Arc::clone(&lately),
        apps: config.apps.iter().zip(&apps).map(|(app, parts)| served(app, parts, &metrics)).collect(),
        models: Models::new(model.clone()),
    };
    let web = Web {
        readiness,
        metrics,
        overview: Arc::new(overview),
        operator_key: config.server.operator_key.clone(),
        standing: Arc::clone(&standing),
        store: store.clone(),
        proxies: config.v1.trusted_proxies.clone(),
        public_url: config.server.public_url.clone(),
    };
    let (alerts, webhook) = alerts(&config, &store, &clock).await?;
    let ways = ways(&config, &apps);
    let watch =
        Watch::new(store.clone(), clock.clone(), config.storage.clone(), ways, lately, model, alerts).with_tally(tally);
    let operations = match config.server.operations_listen {
        Some(address) => {
            let router = web::with_headers(web::operations_router(web.clone(), address.ip()), Https::Unknown);
            listen_for_operators(address).await.map(|listener| (listener, router))
        }
        None => None,
    };
    let callbacks = apps.iter().map(|app| (app.path.as_str(), Arc::clone(&app.callback)));
    let programs = programs::wire(&config, &shared).await?;
    let hand_out = programs::hand_out(&config, programs.as_ref(), &shared);
    let master_keys = config.secrets.keys.clone().map(Arc::new);
    let second_factors = SecondFactors { rule: config.admin.second_factor, keys: master_keys.clone() };
    let admin = Admin::open(store.clone(), clock.clone(), second_factors).await.context("cannot read the operators")?;
    let (felt, asked) = felt::channel();
    let administration = Administration {
        admin: admin.clone(),
        store: store.clone(),
        felt,
        under_way: UnderWay::default(),
        served: Arc::new(served_here(&config, Books::of(&config.storage)?)),
        master_keys,
        clock: clock.clone(),
        public_url: config.server.public_url.clone(),
        proxies: config.v1.trusted_proxies.clone(),
    };
    let router =
        web::router(web, callbacks, &config.server.domain_files, programs.as_ref(), hand_out.as_ref(), &administration);
    let router = web::with_headers(router, https(&config));
    let tls = tls::prepare(&config, &clock).await?;
    let watch = watch.with_certificate(tls.as_ref().map(|(_, keeper)| keeper.certified()));
    let scheme = if tls.is_some() { "https" } else { "http" };
    let paths = apps.iter().map(|app| app.path.as_str()).collect::<Vec<_>>().join(", ");
    info!(address = %listener.local_addr()?, scheme, path = %paths, "listening");
    Ok(Server {
        config,
        clock,
        store,
        listener,
        router,
        tls,
        operations,
        apps,
        servers,
        watch,
        webhook,
        standing,
        allowances,
        directory,
        api: programs.map(|programs| programs.api),
        admin,
        asked,
        ledger,
    })
}

/// How browsers come to the main address, as far as that is known.
fn https(Config { tls, server, .. }: &Config) -> Https {
    match (tls, &server.public_url) {
        (Tls::Off, Some(url)) if url.starts_with("https://") => Https::Outside,
        (Tls::Off, _) => Https::Unknown,
        _ => Https::Here,
    }
}

/// What operators' requests may name.
fn served_here(config: &Config, books: Books) -> admin::Served {
    let mut corps: Vec<CorpId> = config.apps.iter().map(|app| app.wecom.corp_id.clone()).collect();
    corps.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    corps.dedup();
    admin::Served {
        corps,
        models: config.llm.aliases(),
        models_of_keys: config.llm.every_alias(),
        zone: config.chat.time_zone.clone(),
        books,
        currency: config.team.currency.clone(),
    }
}

/// What reads web pages, within `[web]`.
fn fetcher(config: &Config, clock: &Clock) -> anyhow::Result<Fetcher> {
    let config::Web { allow_hosts, ports, max_bytes, timeout, proxy, .. } = &config.web;
    let bounds = Bounds { bytes: *max_bytes, time: *timeout, ports: ports.clone(), hosts: allow_hosts.clone() };
    Fetcher::new(bounds, proxy.as_ref(), clock.clone()).context("web.proxy")
}

/// The rules for what is sent to models and comes from them.
fn house(config: &Config, clock: &Clock, tally: &Arc<Tally>) -> anyhow::Result<House> {
    let Config { safety, llm, .. } = config;
    let moderator = match safety.moderation_url {
        Some(_) => {
            let http = net::http_client(llm.proxy.as_ref(), llm.connect_timeout).context("llm.proxy")?;
            Moderator::new(http, safety, llm, clock.clone())
        }
        // A client has its own copy of every root certificate.
        None => None,
    };
    let guard = Guard::new(safety.mask, Arc::clone(&safety.rules)).moderated(moderator.is_some());
    Ok(House { guard: Arc::new(guard), moderator, tally: Arc::clone(tally) })
}

/// The alerts, and what posts them where a webhook is set.
async fn alerts(config: &Config, store: &Store, clock: &Clock) -> anyhow::Result<(Alerts, Option<Webhook>)> {
    let Config { server, alerts, .. } = config;
    let wecom = &config.speaker().wecom;
    let instance = server.public_url.clone().unwrap_or_else(|| format!("{}/{}", wecom.corp_id, wecom.agent_id));
    let http = net::http_client(None, WEBHOOK_CONNECT).context("alerts.webhook_url")?;
    let (hook, webhook) = webhook(http, alerts, instance, clock.clone()).unzip();
    let members = alerts.operators.clone();
    let operators = Operators { corp: wecom.corp_id.clone(), agent: wecom.agent_id, members };
    let audience = Audience { operators, hook, language: config.chat.language };
    let alerts = Alerts::open(store.clone(), alerts.clone(), audience, clock.now());
    Ok((alerts.await.context("cannot read the database")?, webhook))
}

/// An application as the status shows it.
fn served(app: &config::App, parts: &App, metrics: &Metrics) -> Served {
    Served {
        name: app.to_string(),
        app: app.key(),
        delivery: Arc::clone(&parts.delivery),
        metrics: metrics.of_app(app.name.as_ref()),
    }
}

/// The ways to WeCom, that of the application which tells the operators first.
fn ways(config: &Config, apps: &[App]) -> Vec<watch::Way> {
    let mut ways: Vec<_> = config.apps.iter().zip(apps).collect();
    let speaker = config.speaker().key();
    ways.sort_by_key(|(app, _)| app.key() != speaker);
    let way = |(app, parts): (&config::App, &App)| watch::Way {
        name: app.to_string().into(),
        app: app.key(),
        delivery: Arc::clone(&parts.delivery),
    };
    ways.into_iter().map(way).collect()
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
