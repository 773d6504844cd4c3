//! Many who wait for a slow model at the same time.

use std::time::Duration;

use crate::{company::Company, figure::Figure, model::Manner, statistics::quantile};

const MEMBERS: usize = 1000;
const QUESTIONS: usize = 6;

pub(crate) async fn run() -> anyhow::Result<Vec<Figure>> {
    let settings = [("QIMATE_CHAT__MAX_CONCURRENT_TURNS", "1000")];
    let mut company = Company::open(Manner::After(Duration::from_secs(1)), Duration::ZERO, &settings).await?;
    let outcome = company.ask("m", MEMBERS, QUESTIONS).answered().await?;
    company.daemon.kill().await?;
    Ok(vec![
        Figure::new(
            format!("answered, of {} questions (1000 at most)", MEMBERS * QUESTIONS),
            outcome.per_second(),
            "/s",
        )
        .floor_at_least(500.0),
        Figure::ms("ack p99", quantile(&outcome.acks(), 0.99)),
    ])
}
