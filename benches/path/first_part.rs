//! How soon a finished paragraph is on its way to the member.

use std::time::Duration;

use anyhow::{Context, ensure};

use crate::{company::Company, figure::Figure, model::Manner, statistics::quantile, wecom};

/// Asking one after the other.
const MEMBERS: usize = 100;

pub(crate) async fn run() -> anyhow::Result<Vec<Figure>> {
    let mut company = Company::open(Manner::Paragraphs, Duration::ZERO, &[]).await?;
    let mut times = Vec::with_capacity(MEMBERS);
    for n in 0..MEMBERS + 5 {
        let (member, text) = (format!("m{n}"), format!("第{n}问：怎样报销出差的费用？"));
        let mut chat = company.wecom.chat(&member);
        company.callers.call(&company.sealer.question(&member, &text)).await?;
        let first = wecom::next(&mut chat).await?;
        let border_at = company.model.border_at().context("the model wrote a paragraph")?;
        let second = wecom::next(&mut chat).await?;
        ensure!(first.holds(&text) && second.holds("第二段"), "the answer came otherwise than it was written");
        times.push(first.at.saturating_duration_since(border_at));
    }
    company.daemon.kill().await?;
    // The first few make connections.
    let times = &times[5..];
    Ok(vec![
        Figure::ms(format!("from the border to the request, p50 of {MEMBERS}"), quantile(times, 0.5))
            .floor_at_most(10.0),
        Figure::ms("p99", quantile(times, 0.99)),
    ])
}
