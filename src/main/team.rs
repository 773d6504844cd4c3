//! The flags of the commands for who may use how much.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use qimate::{
    config::Config,
    model::{
        id::MemberId,
        quota::{amounts::Measure, plan::Right},
    },
    server::commands::{
        key,
        plan::{self, Wanted, Whom},
        usage::{self, By, Form, When},
    },
    store::ledger::totals::Dimension,
};

/// Of `qimate plan`.
#[derive(Debug, Subcommand)]
pub(crate) enum Plan {
    /// Show the plans, whom they are for, and what was granted (the default).
    List {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Make a plan, or change it: what is not given is not limited.
    Set {
        /// Its name.
        name: String,
        /// MEASURE=AMOUNT/WINDOW: requests, tokens or money; hour, day, week, month, lifetime, or such as 5h.
        #[arg(long = "limit", value_name = "LIMIT")]
        limits: Vec<String>,
        /// Answers at once.
        #[arg(long, value_name = "NUMBER")]
        concurrent: Option<u32>,
        /// The models that may be used; all without it.
        #[arg(long, value_name = "ALIAS,...", value_delimiter = ',')]
        models: Vec<String>,
        /// What may not be used: pictures (to be looked at), voice (questions), drawing, speech (answers), tools.
        #[arg(long, value_name = "WHAT,...", value_delimiter = ',', value_parser = right)]
        without: Vec<Right>,
        /// The model that answers when a limit of this plan is reached; it refuses without it.
        #[arg(long, value_name = "ALIAS")]
        then: Option<String>,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Remove a plan that is for nobody.
    Remove {
        /// Its name.
        name: String,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Put a plan in force for somebody.
    Attach {
        /// Its name.
        name: String,
        #[command(flatten)]
        whom: WhomFlags,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Take the plan away that is in force for somebody.
    Detach {
        #[command(flatten)]
        whom: WhomFlags,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
}

/// Of `qimate grant`.
#[derive(Debug, Subcommand)]
pub(crate) enum Grant {
    /// Let somebody use more than the plan for some days.
    Add {
        #[command(flatten)]
        whom: WhomFlags,
        /// So many questions more.
        #[arg(long, value_name = "NUMBER")]
        requests: Option<String>,
        /// So many model tokens more.
        #[arg(long, value_name = "NUMBER")]
        tokens: Option<String>,
        /// So much money more.
        #[arg(long, value_name = "AMOUNT")]
        money: Option<String>,
        /// For so many days.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Take a grant back.
    Revoke {
        /// Its number in `qimate plan`.
        id: i64,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
}

/// Of `qimate key`.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a key. It is shown this once; only its hash is kept.
    #[command(group(ArgGroup::new("owner").required(true)))]
    Create {
        /// What people call it.
        name: String,
        /// Whose programs use it: what bounds the member bounds the key.
        #[arg(long, group = "owner", value_name = "USERID", value_parser = super::member)]
        member: Option<MemberId>,
        /// A program of the company uses it.
        #[arg(long, group = "owner")]
        service: bool,
        /// The models that may be asked; all without it.
        #[arg(long, value_name = "ALIAS,...", value_delimiter = ',')]
        models: Vec<String>,
        /// What may be asked: chat, responses, embeddings, images, speech, transcriptions, models; all without it.
        #[arg(long, value_name = "WORD,...", value_delimiter = ',')]
        endpoints: Vec<String>,
        /// From where it may be used, such as 10.0.0.0/8; from everywhere without it.
        #[arg(long = "from", value_name = "NETWORK,...", value_delimiter = ',')]
        networks: Vec<String>,
        /// For so many days; for ever without it.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: Option<u32>,
        /// What another system calls it: the same again changes that key instead of making a second.
        #[arg(long, value_name = "TEXT")]
        external_id: Option<String>,
        /// The enterprise, where several are served.
        #[arg(long, value_name = "CORP_ID")]
        corp: Option<String>,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Show the keys, never their secrets (the default).
    List {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Show one key, never its secret.
    Show {
        /// Its id in `qimate key list`.
        id: String,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Give a key a new secret. The one of before stays good for a while.
    Rotate {
        /// Its id in `qimate key list`.
        id: String,
        /// For so many hours; 0 for not at all.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(0..=720))]
        grace_hours: u32,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Take a key back, for good.
    Revoke {
        /// Its id in `qimate key list`.
        id: String,
    },
}

impl Key {
    /// Does it.
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<()> {
        match self {
            Self::Create { name, member, service: _, models, endpoints, networks, days, external_id, corp, json } => {
                let wanted = key::Wanted { name, member, corp, models, endpoints, networks, days, external_id };
                key::create(config, wanted, json).await
            }
            Self::List { json } => key::list(config, json).await,
            Self::Show { id, json } => key::show(config, &id, json).await,
            Self::Rotate { id, grace_hours, json } => key::rotate(config, &id, grace_hours, json).await,
            Self::Revoke { id } => key::revoke(config, &id).await,
        }
    }
}

/// Whom it is about.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("whom").required(true)))]
pub(crate) struct WhomFlags {
    /// Each member that has no plan of their own.
    #[arg(long, group = "whom")]
    everyone: bool,
    /// All members together.
    #[arg(long, group = "whom")]
    company: bool,
    /// All members of a department together, those below it included; its number in WeCom.
    #[arg(long, group = "whom", value_name = "NUMBER")]
    department: Option<u64>,
    /// One member.
    #[arg(long, group = "whom", value_name = "USERID", value_parser = super::member)]
    member: Option<MemberId>,
    /// One API key, beside whatever its member may use.
    #[arg(long, group = "whom", value_name = "ID")]
    key: Option<String>,
}

impl WhomFlags {
    fn whom(self) -> Whom {
        let Self { everyone: _, company, department, member, key } = self;
        match (member, department, key) {
            (Some(member), ..) => Whom::Member(member),
            (_, Some(department), _) => Whom::Department(department),
            (.., Some(key)) => Whom::Key(key),
            _ if company => Whom::Company,
            _ => Whom::Everyone,
        }
    }
}

impl Plan {
    /// Does it.
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<()> {
        match self {
            Self::List { json } => plan::list(config, json).await,
            Self::Set { name, limits, concurrent, models, without, then, json } => {
                plan::set(config, &name, &Wanted { limits, concurrent, models, without, then }, json).await
            }
            Self::Remove { name, json } => plan::remove(config, &name, json).await,
            Self::Attach { name, whom, json } => plan::attach(config, &name, &whom.whom(), json).await,
            Self::Detach { whom, json } => plan::detach(config, &whom.whom(), json).await,
        }
    }
}

impl Grant {
    /// Does it.
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<()> {
        match self {
            Self::Add { whom, requests, tokens, money, days, reason, json } => {
                let amounts = [(Measure::Requests, requests), (Measure::Tokens, tokens), (Measure::Money, money)];
                let amounts: Vec<_> =
                    amounts.into_iter().filter_map(|(measure, text)| Some((measure, text?))).collect();
                plan::grant(config, &whom.whom(), &amounts, (days, &reason), json).await
            }
            Self::Revoke { id, json } => plan::revoke(config, id, json).await,
        }
    }
}

fn right(text: &str) -> Result<Right, String> {
    Right::parse(text).ok_or_else(|| {
        let all = Right::ALL.map(Right::as_str).join(", ");
        format!("expected some of {all}")
    })
}

/// Of `qimate usage`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Usage {
    #[command(subcommand)]
    action: Option<UsageAction>,
    /// What to sum up by; days without it.
    #[arg(long, value_enum, default_value_t)]
    by: UsageBy,
    #[command(flatten)]
    when: WhenFlags,
    /// As JSON, for programs.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// As CSV, for spreadsheets.
    #[arg(long)]
    csv: bool,
}

#[derive(Debug, Subcommand)]
enum UsageAction {
    /// Make the sums again from the calls that are kept, after somebody has changed rows of usage.db by hand, or
    /// chat.time_zone.
    Rebuild {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Write the calls one by one: who, which model, how much, how it ended. Nothing that was said.
    Export {
        #[command(flatten)]
        when: WhenFlags,
        /// As CSV, which is what there is.
        #[arg(long, required = true)]
        csv: bool,
        /// The file to write; the standard output without one.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum UsageBy {
    Member,
    Department,
    Model,
    Upstream,
    App,
    #[default]
    Day,
}

/// About when.
#[derive(Debug, Args)]
struct WhenFlags {
    /// The first day, as 2026-11-01.
    #[arg(long, value_name = "DATE", conflicts_with = "last")]
    from: Option<String>,
    /// The last day.
    #[arg(long, value_name = "DATE", conflicts_with = "last")]
    to: Option<String>,
    /// The last days, or hours, with this one.
    #[arg(long, value_name = "30d", default_value = "30d")]
    last: String,
}

impl WhenFlags {
    fn when(self) -> When {
        match self {
            Self { from: None, to: None, last } => When::Last(last),
            Self { from, to, .. } => When::Dates(from, to),
        }
    }
}

impl Usage {
    /// Does it.
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<()> {
        let Self { action, by, when, json, csv } = self;
        match action {
            Some(UsageAction::Export { when, csv: _, out }) => {
                return usage::export(config, &when.when(), out.as_deref()).await;
            }
            Some(UsageAction::Rebuild { json }) => return usage::rebuild(config, json).await,
            None => {}
        }
        let by = match by {
            UsageBy::Member => By::Name(Dimension::Member),
            UsageBy::Department => By::Name(Dimension::Department),
            UsageBy::Model => By::Name(Dimension::Model),
            UsageBy::Upstream => By::Name(Dimension::Upstream),
            UsageBy::App => By::Name(Dimension::App),
            UsageBy::Day => By::Time,
        };
        let form = match (json, csv) {
            (true, _) => Form::Json,
            (false, true) => Form::Csv,
            (false, false) => Form::Table,
        };
        usage::usage(config, by, &when.when(), form).await
    }
}
