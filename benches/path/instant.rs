//! What everything but the model costs: a model that answers at once.

use std::time::Duration;

use crate::{company::Company, figure::Figure, model::Manner, statistics::quantile};

const MEMBERS: usize = 800;
/// Below half of what a member may be sent in a minute, so that nothing is merged.
const QUESTIONS: usize = 12;

pub(crate) async fn run() -> anyhow::Result<Vec<Figure>> {
    let mut company = Company::open(Manner::After(Duration::ZERO), Duration::ZERO, &[]).await?;
    company.ask("early", 50, 2).answered().await?;
    let outcome = company.ask("m", MEMBERS, QUESTIONS).answered().await?;
    company.daemon.kill().await?;
    Ok(vec![
        Figure::new(format!("answered, of {} questions", MEMBERS * QUESTIONS), outcome.per_second(), "/s")
            .floor_at_least(1500.0)
            .goal_at_least(4000.0),
        Figure::ms("ack p99", quantile(&outcome.acks(), 0.99)),
    ])
}
