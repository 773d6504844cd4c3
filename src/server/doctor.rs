//! `qimate doctor`: looks at the set-up beside a daemon that may run, and prints what it finds.

use std::{
    io::{IsTerminal, Write, stdout},
    net::SocketAddr,
    sync::Arc,
};

use anyhow::Context;

use crate::{
    clock::Clock,
    config::{self, Config, Faults},
    doctor::{self, Database, Doctor, SendTest, finding::Report, render::Look, surroundings::Surroundings},
    llm,
    metrics::Metrics,
    model::id::MemberId,
    net,
    store::Store,
    wecom,
};

/// How the command answers.
#[derive(Clone, Debug)]
pub struct Options {
    /// As JSON instead of text.
    pub json: bool,
    /// Who gets a test message.
    pub send_to: Option<MemberId>,
}

/// Examines the set-up. Gives whether nothing is broken.
///
/// # Errors
/// It cannot be examined: no HTTP client can be built, or nobody takes what is printed.
pub async fn run(config: Config, options: &Options) -> anyhow::Result<bool> {
    net::install_crypto();
    let clock = Clock::System;
    let database = match Store::open_beside(&config.storage) {
        Ok(store) => Database::Open(store),
        Err(error) => Database::Failed(error),
    };
    let metrics = Arc::new(Metrics::new());
    let wecom = config.apps.iter().map(|app| client(app, &clock, &metrics)).collect::<Result<_, _>>()?;
    let model = router(&config, &clock, &metrics)?;
    let listen = config.server.listen;
    let doctor = attach(config, clock, wecom, model, listen)?;
    let send = options.send_to.clone().map_or(SendTest::Unasked, SendTest::To);
    print(&doctor.examine(&database, &send).await, options)
}

/// Prints a configuration's faults as findings. Gives that something is broken.
///
/// # Errors
/// Nobody takes what is printed.
pub fn run_misconfigured(faults: &Faults, options: &Options) -> anyhow::Result<bool> {
    print(&doctor::misconfigured(faults), options)
}

/// What calls WeCom in the name of `app`.
pub(super) fn client(
    app: &config::App,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<wecom::client::Client> {
    let settings = &app.wecom;
    let http = net::http_client(settings.proxy.as_ref(), settings.timeout).context("wecom.proxy")?;
    Ok(wecom::client::Client::new(http, settings, clock.clone(), Arc::clone(metrics)))
}

/// What asks the models.
pub(super) fn router(config: &Config, clock: &Clock, metrics: &Arc<Metrics>) -> anyhow::Result<llm::router::Router> {
    llm::router::Router::new(&config.llm, clock.clone(), Arc::clone(metrics)).context("llm.proxy")
}

/// A doctor for this machine, with these clients and this address of the daemon.
pub(super) fn attach(
    config: Config,
    clock: Clock,
    wecom: Vec<wecom::client::Client>,
    model: llm::router::Router,
    listen: SocketAddr,
) -> anyhow::Result<Doctor> {
    let http = net::http_client(None, config.apps.first.wecom.timeout)?;
    Ok(Doctor { config, clock, wecom, model, http, listen, surroundings: Surroundings::of_this_machine() })
}

fn print(report: &Report, options: &Options) -> anyhow::Result<bool> {
    let mut out = stdout().lock();
    if options.json {
        serde_json::to_writer_pretty(&mut out, &report.findings)?;
        writeln!(out)?;
    } else {
        let look = if out.is_terminal() { Look::Coloured } else { Look::Plain };
        write!(out, "{}", report.render(look))?;
    }
    Ok(report.is_well())
}
