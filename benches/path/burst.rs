//! A whole department asks in the same instant, and nothing was configured for it.

use std::{sync::Arc, time::Duration};

use crate::{
    company::Company,
    figure::Figure,
    http::Callers,
    model::Manner,
    statistics::{median, quantile},
};

const MEMBERS: usize = 300;
const ROUNDS: usize = 3;

pub(crate) async fn run() -> anyhow::Result<Vec<Figure>> {
    let api_delay = Duration::from_millis(20);
    let mut company = Company::open(Manner::After(Duration::from_millis(500)), api_delay, &[]).await?;
    // Nobody waits for a connection: what is measured is the daemon.
    company.callers = Arc::new(Callers::connect(company.daemon.address, MEMBERS).await?);
    company.ask("early", 10, 1).answered().await?;
    let (mut lasts, mut acks) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let outcome = company.ask(&format!("round{round}m"), MEMBERS, 1).answered().await?;
        lasts.push(outcome.took.as_secs_f64());
        acks.push(quantile(&outcome.acks(), 0.99).as_secs_f64() * 1e3);
    }
    company.daemon.kill().await?;
    let answered = Figure::new(format!("answered, of {MEMBERS}"), MEMBERS as f64, "").floor_at_least(MEMBERS as f64);
    Ok(vec![
        answered,
        Figure::new(format!("the last answer, median of {ROUNDS} rounds"), median(&lasts), "s").floor_at_most(2.0),
        Figure::new(format!("ack p99, median of {ROUNDS} rounds"), median(&acks), "ms").floor_at_most(24.0),
    ])
}
