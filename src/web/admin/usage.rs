//! What was used: what `qimate usage` shows.

use schemars::JsonSchema;
use serde::Serialize;

use super::{answer::One, ask::Ask, problem::Problem, route::Route};
use crate::{
    model::operator::Scope,
    store::ledger::{
        Span,
        totals::{Dimension, Grain, Totals},
    },
};

/// By what sums are made, and their words.
const BY: [(&str, Dimension); 6] = [
    ("member", Dimension::Member),
    ("department", Dimension::Department),
    ("app", Dimension::App),
    ("model", Dimension::Model),
    ("upstream", Dimension::Upstream),
    ("key", Dimension::ApiKey),
];
/// What is told where nobody says of when.
const LAST: &str = "30d";

pub(super) fn routes() -> Vec<Route> {
    let says = "Sums of what model calls took: over time, or of each name. Days are those of the configured time zone; a \
                call is in it within a second.";
    vec![
        Route::get("/admin/api/usage", Scope::Read, ("getUsage", says), get)
            .filter("by", "`time` (the default), `member`, `department`, `app`, `model`, `upstream` or `key`")
            .filter(
                "last",
                "the last so many days or hours, as `30d` (the default) or `24h`; not beside `from` and `to`",
            )
            .filter("from", "the first day, as `2026-11-01`")
            .filter("to", "the last day"),
    ]
}

/// What was used in a span of time.
#[derive(Debug, Serialize, JsonSchema)]
struct Usage {
    /// When it begins.
    from_ms: i64,
    /// Before when it ends.
    until_ms: i64,
    /// What money is counted in.
    currency: String,
    /// Over time the oldest first; of names the most expensive first.
    lines: Vec<Line>,
    /// All of it.
    total: Totals,
}

/// A sum.
#[derive(Debug, Serialize, JsonSchema)]
struct Line {
    /// Of whom or what: `CORP/USERID`, `CORP/NUMBER`, an alias; `CORP/#NUMBER` of a member who was erased. `null`: over
    /// time, or calls without a name.
    name: Option<String>,
    /// When the day or the hour begins; `null`: of a name.
    at_ms: Option<i64>,
    /// The figures.
    #[serde(flatten)]
    totals: Totals,
}

async fn get(ask: Ask) -> Result<One<Usage>, Problem> {
    let served = &ask.here.served;
    let (span, grain) = span(&ask)?;
    let lines: Vec<Line> = match ask.query("by") {
        None | Some("time") => {
            let sums = served.books.over_time(grain, span).await?;
            sums.into_iter().map(|(at, totals)| Line { name: None, at_ms: Some(at.as_millis()), totals }).collect()
        }
        Some(word) => {
            let Some((_, dimension)) = BY.iter().find(|(known, _)| *known == word) else {
                let known = BY.map(|(known, _)| known).join(", ");
                return Err(Problem::parameter("by", format!("expected time, {known}")));
            };
            let sums = served.books.by(*dimension, grain, span).await?;
            sums.into_iter().map(|line| Line { name: line.name, at_ms: None, totals: line.totals }).collect()
        }
    };
    Ok(One::unversioned(Usage {
        from_ms: span.from.as_millis(),
        until_ms: span.until.as_millis(),
        currency: served.currency.clone(),
        total: lines.iter().fold(Totals::default(), |all, line| all.plus(line.totals)),
        lines,
    }))
}

fn span(ask: &Ask) -> Result<(Span, Grain), Problem> {
    let zone = &ask.here.served.zone;
    match (ask.query("last"), ask.query("from"), ask.query("to")) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
            Err(Problem::parameter("last", "say either the last so many days, or from and to"))
        }
        (last, None, None) => Span::last(last.unwrap_or(LAST), zone, ask.now)
            .map_err(|wrong| Problem::parameter("last", wrong.to_string())),
        (None, from, to) => {
            let span = Span::dates(from, to, zone, ask.now);
            let wrong = if from.is_some() { "from" } else { "to" };
            span.map(|span| (span, Grain::Day)).map_err(|why| Problem::parameter(wrong, why.to_string()))
        }
    }
}
