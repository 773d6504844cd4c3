//! The flags of the commands for who administers by HTTP.

use clap::Subcommand;
use qimate::{
    config::Config,
    model::operator::{OperatorName, Role, Scope},
    server::commands::operator::{self, WantedToken},
};

/// Of `qimate operator`.
#[derive(Debug, Subcommand)]
pub(crate) enum Operator {
    /// Make an operator. Shows, this once, a code that is good for 30 minutes: with it they set their own password, and get
    /// their second factor.
    Create {
        /// The name by which they log in: letters, digits and . _ - @; large and small letters are the same.
        #[arg(value_parser = name)]
        name: OperatorName,
        /// owner: everything; operator: everything but the operators and secrets; auditor: looks and changes nothing.
        #[arg(long, default_value = "operator", value_parser = role, value_name = "owner|operator|auditor")]
        role: Role,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Show the operators (the default).
    List {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Show one operator with their tokens, never a secret.
    Show {
        /// Their name.
        #[arg(value_parser = name)]
        name: OperatorName,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// The way back in: takes the password and the second factor away, ends all sessions, and shows a new code, good for 30
    /// minutes.
    Reset {
        /// Their name.
        #[arg(value_parser = name)]
        name: OperatorName,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Shut an operator out at once: ends all sessions and revokes all tokens.
    Disable {
        /// Their name.
        #[arg(value_parser = name)]
        name: OperatorName,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Let an operator in again who was shut out; they log in with the password and the second factor of before.
    Enable {
        /// Their name.
        #[arg(value_parser = name)]
        name: OperatorName,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Tokens by which programs administer.
    Token {
        #[command(subcommand)]
        action: Token,
    },
}

/// Of `qimate operator token`.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token for a program of an operator. It is shown this once; only its hash is kept.
    Create {
        /// The operator in whose name it administers.
        #[arg(value_parser = name)]
        name: OperatorName,
        /// What it may: read (look at everything but secrets), people, plans, keys, operators, secrets (change
        /// these).
        #[arg(long, required = true, value_delimiter = ',', value_parser = scope, value_name = "WORD,...")]
        scopes: Vec<Scope>,
        /// What it is for, to tell it from others.
        #[arg(long, value_name = "TEXT", default_value = "")]
        label: String,
        /// Its last day, such as 2026-12-31, or never; the 90th day from now without it.
        #[arg(long, value_name = "DATE")]
        expires: Option<String>,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Take a token back, for good. A running Qimate refuses it within a second.
    Revoke {
        /// Its id in `qimate operator show`.
        id: String,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
}

impl Operator {
    /// Does it.
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<()> {
        match self {
            Self::Create { name, role, json } => operator::create(config, &name, role, json).await,
            Self::List { json } => operator::list(config, json).await,
            Self::Show { name, json } => operator::show(config, &name, json).await,
            Self::Reset { name, json } => operator::reset(config, &name, json).await,
            Self::Disable { name, json } => operator::disable(config, &name, json).await,
            Self::Enable { name, json } => operator::enable(config, &name, json).await,
            Self::Token { action: Token::Create { name, scopes, label, expires, json } } => {
                operator::create_token(config, WantedToken { operator: name, scopes, label, expires }, json).await
            }
            Self::Token { action: Token::Revoke { id, json } } => operator::revoke_token(config, &id, json).await,
        }
    }
}

fn name(text: &str) -> Result<OperatorName, String> {
    OperatorName::parse(text).map_err(|error| error.to_string())
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| format!("expected {}", Role::ALL.map(Role::as_str).join(", ")))
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| format!("expected some of {}", Scope::ALL.map(Scope::as_str).join(", ")))
}
