//! `qimate plan` and `qimate grant`: who may use how much. A running daemon feels a change within a second.

use std::collections::BTreeSet;

use anyhow::{anyhow, bail, ensure};
use serde_json::{Value, json};

use super::{actor, key, print, say, tell};
use crate::{
    clock::Clock,
    config::Config,
    model::{
        id::{CorpId, MemberId},
        json::{
            self,
            plan::{WantedPlan, WrongPlan},
        },
        quota::{
            amounts::{Amounts, Measure, parse_amount, show_money},
            plan::{AtLimit, Limit, Plan, Right, is_plan_name},
            subject::Subject,
        },
    },
    store::{
        Store,
        plans::{Holder, Removed, Rules},
    },
};

/// Whom a command is about, as it was written.
#[derive(Clone, Debug)]
pub enum Whom {
    /// Each member that has no plan of their own.
    Everyone,
    /// All members of the enterprise together.
    Company,
    /// All members of a department together, those below it included.
    Department(u64),
    /// One member.
    Member(MemberId),
    /// One API key, by its public id.
    Key(String),
}

/// What a plan is to be.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// `requests=50/day` and the like.
    pub limits: Vec<String>,
    /// Answers at once.
    pub concurrent: Option<u32>,
    /// The aliases that may be used; empty for all.
    pub models: Vec<String>,
    /// What may not be used beside words.
    pub without: Vec<Right>,
    /// The alias that answers beyond the limits.
    pub then: Option<String>,
}

/// Prints the plans, to whom they are attached, and what was granted.
///
/// # Errors
/// There is no database, or it cannot be read.
pub async fn list(config: &Config, as_json: bool) -> anyhow::Result<()> {
    let rules = Store::open_beside(&config.storage)?.rules(Clock::System.now()).await?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&in_json(&rules))?);
        return Ok(());
    }
    if rules.plans.is_empty() {
        let none = say(
            config,
            "还没有额度方案。例如：qimate plan set 标准 --limit requests=50/day，然后 qimate plan attach 标准 --everyone",
            "no plans yet; for example: qimate plan set standard --limit requests=50/day, then \
             qimate plan attach standard --everyone",
        );
        println!("{none}");
    }
    for (name, plan) in &rules.plans {
        println!("{name}");
        for line in described(config, plan) {
            println!("    {line}");
        }
        for (holder, _) in rules.attachments().iter().filter(|(_, attached)| attached == name) {
            println!("    {} {}", say(config, "用于", "for"), shown_holder(config, holder));
        }
    }
    for grant in rules.grants() {
        let (id, until, amounts) =
            (grant.id, config.chat.time_zone.local(grant.until), shown_amounts(config, grant.amounts));
        let whom = shown_holder(config, &grant.subject);
        println!(
            "{}",
            tell(
                config,
                || format!("追加 {id}：{whom} {amounts}，到 {until} 为止（{}）", grant.reason),
                || format!("grant {id}: {whom} {amounts} until {until} ({})", grant.reason),
            )
        );
    }
    Ok(())
}

/// Saves a plan, new or changed.
///
/// # Errors
/// The name or a limit is wrong, or the database cannot be written.
pub async fn set(config: &Config, name: &str, wanted: &Wanted, as_json: bool) -> anyhow::Result<()> {
    ensure!(
        is_plan_name(name),
        "{}",
        say(
            config,
            "方案名应为 1 到 40 个字母、汉字、数字、_ 或 -",
            "a plan's name has 1 to 40 letters, digits, _ or -"
        )
    );
    let asked = WantedPlan {
        limits: wanted.limits.clone(),
        concurrent: wanted.concurrent,
        models: Some(wanted.models.clone()).filter(|models| !models.is_empty()),
        without: wanted.without.iter().map(|right| right.as_str().to_owned()).collect(),
        then: wanted.then.clone(),
    };
    let plan = asked.parse(&config.llm.aliases()).map_err(|wrong| told(config, wanted, &wrong))?;
    Store::open_beside(&config.storage)?.save_plan(&actor(), name, &plan, Clock::System.now()).await?;
    let words = || [vec![name.to_owned()], described(config, &plan)].concat().join("\n    ");
    print(as_json, words, &json!(json::plan::Plan::of(name, &plan)))
}

fn told(config: &Config, wanted: &Wanted, wrong: &WrongPlan) -> anyhow::Error {
    let limit = |at: &usize| wanted.limits.get(*at).map_or("", String::as_str);
    match wrong {
        WrongPlan::Limit { at, why } => anyhow!("--limit {}: {why}", limit(at)),
        WrongPlan::Twice { at } => {
            anyhow!("--limit {}: {}", limit(at), say(config, "同一时段只能限制一次", "this is limited already"))
        }
        WrongPlan::Model { alias, known, .. } => anyhow!(tell(
            config,
            || format!("没有模型 {alias}；可用的有 {}", known.join(", ")),
            || format!("there is no model {alias}; there are {}", known.join(", ")),
        )),
        WrongPlan::TooManyLimits | WrongPlan::NoModel | WrongPlan::Right { .. } => anyhow!("{wrong}"),
    }
}

/// Removes a plan.
///
/// # Errors
/// There is none, it is attached to somebody, or the database cannot be written.
pub async fn remove(config: &Config, name: &str, as_json: bool) -> anyhow::Result<()> {
    match Store::open_beside(&config.storage)?.remove_plan(&actor(), name, Clock::System.now()).await? {
        Removed::Yes => {
            let words = || tell(config, || format!("已删除 {name}"), || format!("removed {name}"));
            print(as_json, words, &json!({ "removed": name }))
        }
        Removed::NotThere => bail!(no_such(config, name)),
        Removed::Attached(holders) => bail!(tell(
            config,
            || format!("{name} 还用于 {holders} 处；请先 qimate plan detach"),
            || format!("{name} is attached in {holders} places; `qimate plan detach` first"),
        )),
    }
}

/// Attaches a plan.
///
/// # Errors
/// There is no such plan, or the database cannot be written.
pub async fn attach(config: &Config, name: &str, whom: &Whom, as_json: bool) -> anyhow::Result<()> {
    let store = Store::open_beside(&config.storage)?;
    let holders = holders(config, &store, whom).await?;
    for holder in &holders {
        ensure!(store.attach_plan(&actor(), holder, name, Clock::System.now()).await?, no_such(config, name));
    }
    let words = || tell(config, || format!("{name} 已生效"), || format!("{name} is in force"));
    print(as_json, words, &json!({ "plan": name, "for": keys_of(&holders) }))
}

/// Takes the plan away that is attached there.
///
/// # Errors
/// There is none, or the database cannot be written.
pub async fn detach(config: &Config, whom: &Whom, as_json: bool) -> anyhow::Result<()> {
    let store = Store::open_beside(&config.storage)?;
    let mut detached = Vec::new();
    for holder in holders(config, &store, whom).await? {
        if store.detach_plan(&actor(), &holder, Clock::System.now()).await? {
            detached.push(holder);
        }
    }
    ensure!(!detached.is_empty(), "{}", say(config, "那里没有方案", "no plan is attached there"));
    print(as_json, || say(config, "已取消", "detached").to_owned(), &json!({ "detached": keys_of(&detached) }))
}

/// Lets somebody use more for some days.
///
/// # Errors
/// Nothing is granted, an amount is wrong, or the database cannot be written.
pub async fn grant(
    config: &Config,
    whom: &Whom,
    amounts: &[(Measure, String)],
    (days, reason): (u32, &str),
    as_json: bool,
) -> anyhow::Result<()> {
    let mut granted = Amounts::ZERO;
    for (measure, text) in amounts {
        let amount = parse_amount(text, *measure).map_err(|error| anyhow!("--{measure} {text}: {error}"))?;
        match measure {
            Measure::Requests => granted.requests = amount,
            Measure::Tokens => granted.tokens = amount,
            Measure::Money => granted.money = amount,
        }
    }
    ensure!(
        granted != Amounts::ZERO,
        "{}",
        say(config, "请至少给出 --requests、--tokens 或 --money", "say how much: --requests, --tokens or --money")
    );
    let now = Clock::System.now();
    let until = now + std::time::Duration::from_secs(u64::from(days) * 86_400);
    let store = Store::open_beside(&config.storage)?;
    let (shown, until_then) = (shown_amounts(config, granted), config.chat.time_zone.local(until));
    let (mut words, mut grants) = (Vec::new(), Vec::new());
    for holder in holders(config, &store, whom).await? {
        let Holder::One(subject) = holder else {
            bail!("{}", say(config, "请指明 --member、--key 或 --company", "say whom: --member, --key or --company"));
        };
        let id = store.grant(&actor(), &subject, granted, until, reason, now).await?;
        words.push(tell(
            config,
            || format!("已追加（编号 {id}）：{shown}，到 {until_then} 为止"),
            || format!("granted (number {id}): {shown} until {until_then}"),
        ));
        grants.push(json!(json::grant::Grant::of(id, &subject.to_string(), granted, until, reason)));
    }
    print(as_json, || words.join("\n"), &grants.into())
}

/// Takes a grant back.
///
/// # Errors
/// There is none of this number, or the database cannot be written.
pub async fn revoke(config: &Config, id: i64, as_json: bool) -> anyhow::Result<()> {
    let gone = Store::open_beside(&config.storage)?.revoke_grant(&actor(), id, Clock::System.now()).await?;
    ensure!(gone, "{}", tell(config, || format!("没有编号为 {id} 的追加"), || format!("there is no grant {id}")));
    print(as_json, || say(config, "已收回", "taken back").to_owned(), &json!({ "revoked": id }))
}

/// For whom that is, in each enterprise that is served.
async fn holders(config: &Config, store: &Store, whom: &Whom) -> anyhow::Result<Vec<Holder>> {
    let corps: BTreeSet<&str> = config.apps.iter().map(|app| app.wecom.corp_id.as_str()).collect();
    let corps = corps.into_iter().filter_map(|corp| CorpId::parse(corp).ok());
    Ok(match whom {
        Whom::Everyone => vec![Holder::EveryMember],
        Whom::Key(id) => {
            let key = key::find(config, store, id).await?;
            vec![Holder::One(Subject::key(&key.corp, &key.id))]
        }
        Whom::Company => corps.map(|corp| Holder::One(Subject::company(&corp))).collect(),
        Whom::Department(id) => corps.map(|corp| Holder::One(Subject::department(&corp, *id))).collect(),
        Whom::Member(member) => corps.map(|corp| Holder::One(Subject::member(&corp, member))).collect(),
    })
}

fn no_such(config: &Config, name: &str) -> String {
    tell(
        config,
        || format!("没有名为 {name} 的方案；qimate plan 会列出全部"),
        || format!("there is no plan {name}; `qimate plan` shows them"),
    )
}

/// A plan, a line for each thing that it says.
fn described(config: &Config, plan: &Plan) -> Vec<String> {
    let mut lines: Vec<String> = plan.limits.iter().map(Limit::to_string).collect();
    if lines.is_empty() {
        lines.push(say(config, "没有用量限制", "no limits").to_owned());
    }
    lines.extend(plan.concurrent.map(|concurrent| format!("concurrent={concurrent}")));
    if let Some(models) = &plan.models {
        lines.push(format!("models={}", models.iter().map(String::as_str).collect::<Vec<_>>().join(",")));
    }
    if !plan.without.is_empty() {
        lines
            .push(format!("without={}", plan.without.iter().map(|right| right.as_str()).collect::<Vec<_>>().join(",")));
    }
    if let AtLimit::Model(alias) = &plan.at_limit {
        lines.push(tell(config, || format!("用完后由 {alias} 回答"), || format!("then answered by {alias}")));
    }
    lines
}

fn shown_amounts(config: &Config, amounts: Amounts) -> String {
    let currency = &config.team.currency;
    let [requests, tokens, money] = Measure::ALL.map(|measure| amounts.get(measure));
    let parts = [
        (requests > 0).then(|| format!("requests +{requests}")),
        (tokens > 0).then(|| format!("tokens +{tokens}")),
        (money > 0).then(|| format!("money +{} {currency}", show_money(money))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The holder's key as people read it.
fn shown_holder(config: &Config, key: &str) -> String {
    match key.split_once('/') {
        None => say(config, "没有单独方案的每个员工", "each member without a plan of their own").to_owned(),
        Some(("company", _)) => say(config, "全公司合计", "the whole company together").to_owned(),
        Some(("key", rest)) => {
            let id = rest.split_once('/').map_or(rest, |(_, id)| id);
            tell(config, || format!("密钥 {id}"), || format!("key {id}"))
        }
        Some(("department", rest)) => {
            let id = rest.split_once('/').map_or(rest, |(_, id)| id);
            tell(config, || format!("部门 {id} 合计"), || format!("department {id} together"))
        }
        Some((_, rest)) => rest.split_once('/').map_or(rest, |(_, member)| member).to_owned(),
    }
}

fn in_json(rules: &Rules) -> Value {
    let attachments = rules.attachments();
    let plans = rules.plans.iter().map(|(name, plan)| json!(json::plan::Plan::of(name, plan).held(&attachments)));
    let grants = rules.grants().into_iter();
    let grants = grants.map(|grant| {
        json!(json::grant::Grant::of(grant.id, &grant.subject, grant.amounts, grant.until, &grant.reason))
    });
    json!({ "plans": plans.collect::<Vec<_>>(), "grants": grants.collect::<Vec<_>>() })
}

/// The holders as `qimate plan --json` names them.
fn keys_of(holders: &[Holder]) -> Vec<String> {
    holders.iter().map(Holder::key).collect()
}
