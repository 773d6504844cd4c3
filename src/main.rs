//! The command line: flags and subcommands, and nothing else.
#![forbid(unsafe_code)]

#[path = "main/audit.rs"]
mod audit;
#[path = "main/init.rs"]
mod first;
#[path = "main/operators.rs"]
mod operators;
#[path = "main/people.rs"]
mod people;
#[path = "main/pipe.rs"]
mod pipe;
#[path = "main/secrets.rs"]
mod secrets;
#[path = "main/team.rs"]
mod team;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use qimate::{
    clock::Clock,
    config::{Config, Environment, Faults, Loaded, OpenAi, chat},
    model::id::MemberId,
    sandbox::{demo, set_up},
    server::{self, Stop, commands, doctor::Options, init, status, telemetry, upstreams},
    store::restore::WhatIsOpen,
};

/// 企伴 Qimate: an AI colleague inside WeCom for every employee.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    /// The configuration file; otherwise $QIMATE_CONFIG, or ./config.toml if it is there.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the company (the default).
    Serve,
    /// Set Qimate up: asks for what is needed, writes the configuration, and waits for WeCom's verification.
    Init(Box<first::InitFlags>),
    /// Try Qimate on this machine: WeCom and, without OPENAI_API_KEY, the model are played.
    Demo {
        /// Say this, print the exchange, and end.
        #[arg(long, value_name = "TEXT")]
        say: Option<String>,
        /// The port of the page, on loopback; the next free one where it is taken.
        #[arg(long, default_value_t = 8787)]
        port: u16,
        /// Practise the set-up: plays WeCom's console and starts no daemon; you do, with `qimate init`.
        #[arg(long, conflicts_with = "say")]
        set_up: bool,
    },
    /// Show every setting with its value and where it came from; secrets are starred. Exits 2 when something is wrong.
    CheckConfig,
    /// Messages that could not be delivered.
    DeadLetters {
        #[command(subcommand)]
        action: Option<DeadLetters>,
    },
    /// Write a checked copy of the database to a file, also while the daemon serves.
    Backup {
        /// The file to write.
        file: PathBuf,
        /// Replace the file if it is there.
        #[arg(long)]
        force: bool,
    },
    /// Put a backup in the place of the database, which is kept aside; the daemon must not be running.
    Restore {
        /// The backup.
        file: PathBuf,
        /// What becomes of questions and messages that were open in the backup and may have been answered since.
        #[arg(long, value_enum, default_value_t)]
        open: Open,
    },
    /// Who may ask: roles, dates, hours, blocks. A running daemon feels a change within a second. Also what is stored of
    /// one member, for a data-protection request.
    Member {
        #[command(subcommand)]
        action: Option<people::Member>,
    },
    /// The departments of the address book, and the hours in which questions are answered.
    Department {
        #[command(subcommand)]
        action: Option<people::Department>,
    },
    /// Who may use how much: plans, whom they are for. A running daemon feels a change at once.
    Plan {
        #[command(subcommand)]
        action: Option<team::Plan>,
    },
    /// Keys by which programs ask at /v1. A running daemon feels a change at once.
    Key {
        #[command(subcommand)]
        action: Option<team::Key>,
    },
    /// Who administers by HTTP at /admin/api: accounts, and tokens for programs. A running daemon feels a change within a
    /// second.
    Operator {
        #[command(subcommand)]
        action: Option<operators::Operator>,
    },
    /// Secrets of the configuration, encrypted in the database: put in, replaced, never shown. A running Qimate uses them
    /// after its next start.
    Secrets {
        #[command(subcommand)]
        action: Option<secrets::Secrets>,
    },
    /// Let somebody use more than their plan for some days.
    Grant {
        #[command(subcommand)]
        action: team::Grant,
    },
    /// What administrators changed, and whether the log of it is whole.
    Audit {
        #[command(subcommand)]
        action: Option<audit::Audit>,
    },
    /// What model calls took: by day, member, department, model, upstream or application.
    Usage(team::Usage),
    /// Bring the database to this version without starting.
    Migrate {
        /// Only say what a start would do. Exits 0 for nothing, 1 for a migration, 2 for what cannot be migrated.
        #[arg(long)]
        check: bool,
    },
    /// Write a configuration file from the config.json of a chatgpt-on-wechat deployment.
    ImportCow {
        /// The config.json.
        file: PathBuf,
        /// The file to write.
        #[arg(long, value_name = "FILE", default_value = "config.toml")]
        out: PathBuf,
    },
    /// How the daemon on this machine is doing: queues, answers, WeCom, the model. Exits 1 when none answers.
    Status {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Which keys of the models are set aside. `upstreams clear` has them asked again. Exits 1 when no daemon answers.
    Upstreams {
        #[command(subcommand)]
        action: Option<Upstreams>,
    },
    /// Find out what is wrong with the set-up, and how to mend it. Exits 1 when something is.
    Doctor {
        /// As a JSON array.
        #[arg(long)]
        json: bool,
        /// Also send this member a test message.
        #[arg(long, value_name = "USERID", value_parser = member)]
        send_to: Option<MemberId>,
    },
    /// Ask the daemon on this machine whether it is ready; exits 1 when it is not.
    Healthcheck,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Open {
    /// Soon after the backup as "answer", where WeCom hides what arrives twice; from 3.5 hours on as "hold".
    #[default]
    ByAge,
    /// Answer and send everything: nothing is lost, some may be said twice.
    Answer,
    /// Make everything a dead letter: nothing is said twice, somebody must decide.
    Hold,
}

impl From<Open> for WhatIsOpen {
    fn from(open: Open) -> Self {
        match open {
            Open::ByAge => Self::ByAge,
            Open::Answer => Self::Answer,
            Open::Hold => Self::Hold,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Upstreams {
    /// Have every key asked again that was set aside or rests, because it is mended.
    Clear,
}

#[derive(Debug, Subcommand)]
enum DeadLetters {
    /// Show them (the default).
    List,
    /// Send one again, or all.
    Retry {
        /// Its id; all without one.
        id: Option<i64>,
    },
    /// Delete one, or all.
    Drop {
        /// Its id.
        #[arg(required_unless_present = "all")]
        id: Option<i64>,
        /// Delete all.
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
}

/// What a wrong configuration ends with; clap ends so on wrong flags.
const MISCONFIGURED: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    pipe::end_when_nobody_reads();
    let cli = Cli::parse();
    let environment = Environment::of_process();
    let command = cli.command.unwrap_or(Command::Serve);
    if let Command::Init(flags) = command {
        return exit(init::run(flags.options(cli.config), &environment).await);
    }
    if let Command::Demo { port, set_up: true, .. } = command {
        return exit(set_up::run(port).await);
    }
    if let Command::Demo { say, port, .. } = command {
        let real_model = environment.openai().map(|OpenAi { api_key, base_url, model }| demo::RealModel {
            api_key,
            base_url,
            model,
        });
        let options = demo::Options { say, port, real_model, environment: environment.of_the_system() };
        return exit(demo::run(options).await);
    }
    if let Command::ImportCow { file, out } = &command {
        return exit(commands::import_cow::import_cow(file, out));
    }
    let gathered = Config::gather(cli.config.as_deref(), &environment);
    // What they are for may be missing without them.
    if let Command::Secrets { action } = command {
        let action = action.unwrap_or(secrets::Secrets::List { json: false });
        return match action.run(&gathered).await {
            Ok(outcome) => exit_in(gathered.language(), outcome),
            Err(faults) => misconfigured(&faults),
        };
    }
    // The database that holds them may be the one that is missing.
    if let Command::Restore { file, open } = command {
        return match gathered.basics_alone() {
            Ok(basics) => exit_in(basics.language, commands::backup::restore(&basics, &file, open.into())),
            Err(faults) => misconfigured(&faults),
        };
    }
    let (loaded, unread) = match server::settings::complete(gathered) {
        Ok(loaded) => loaded,
        Err(faults) => {
            if let Command::Doctor { json, send_to } = command {
                return examined(server::doctor::run_misconfigured(&faults, &Options { json, send_to }));
            }
            return misconfigured(&faults);
        }
    };
    if let Command::Migrate { check: true } = command {
        return commands::backup::migrate_check(&loaded.config);
    }
    if let Command::Doctor { json, send_to } = command {
        return examined(server::doctor::run(loaded.config, &Options { json, send_to }).await);
    }
    let language = loaded.config.chat.language;
    if let (Command::Serve, Some(error)) = (&command, unread) {
        return exit_in(language, Err(server::settings::not_opened(error, language)));
    }
    exit_in(language, Box::pin(run(command, loaded)).await)
}

fn misconfigured(faults: &Faults) -> ExitCode {
    eprintln!("{faults}\n\n{}", commands::advice(faults.language()));
    ExitCode::from(MISCONFIGURED)
}

async fn run(command: Command, loaded: Loaded) -> anyhow::Result<()> {
    let config = loaded.config.clone();
    match command {
        Command::Serve => Box::pin(serve(loaded)).await,
        // Handled before.
        Command::Init(_) | Command::Demo { .. } | Command::Doctor { .. } | Command::ImportCow { .. } => Ok(()),
        Command::Secrets { .. } | Command::Restore { .. } => Ok(()),
        Command::CheckConfig => {
            print!("{}", loaded.describe());
            for hint in loaded.hints() {
                eprintln!("{hint}");
            }
            Ok(())
        }
        Command::DeadLetters { action } => match action.unwrap_or(DeadLetters::List) {
            DeadLetters::List => commands::list_dead_letters(&config).await,
            DeadLetters::Retry { id } => commands::retry_dead_letters(&config, id).await,
            DeadLetters::Drop { id, all: _ } => commands::drop_dead_letters(&config, id).await,
        },
        Command::Backup { file, force } => commands::backup::backup(&config, &file, force),
        Command::Member { action } => {
            Box::pin(action.unwrap_or(people::Member::List { json: false }).run(&config)).await
        }
        Command::Department { action } => action.unwrap_or(people::Department::List { json: false }).run(&config).await,
        Command::Plan { action } => action.unwrap_or(team::Plan::List { json: false }).run(&config).await,
        Command::Key { action } => action.unwrap_or(team::Key::List { json: false }).run(&config).await,
        Command::Operator { action } => {
            Box::pin(action.unwrap_or(operators::Operator::List { json: false }).run(&config)).await
        }
        Command::Grant { action } => action.run(&config).await,
        Command::Audit { action } => action.unwrap_or_else(audit::Audit::usual).run(&config).await,
        Command::Usage(usage) => usage.run(&config).await,
        Command::Migrate { .. } => commands::backup::migrate(&config),
        Command::Status { json } => status::status(&config, json).await,
        Command::Upstreams { action: None } => upstreams::list(&config).await,
        Command::Upstreams { action: Some(Upstreams::Clear) } => upstreams::clear(&config).await,
        Command::Healthcheck => commands::healthcheck(&config).await,
    }
}

async fn serve(loaded: Loaded) -> anyhow::Result<()> {
    telemetry::init(&loaded.config.log)?;
    server::settings::log(&loaded);
    let config = loaded.config;
    let stop = Stop::new();
    stop.on_signals().context("cannot watch for signals")?;
    server::build(config, Clock::System).await?.run(stop).await
}

fn member(text: &str) -> Result<MemberId, String> {
    MemberId::parse(text).map_err(|error| error.to_string())
}

/// Whether the doctor found all well; what keeps it from looking ends like a wrong configuration.
fn examined(outcome: anyhow::Result<bool>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("qimate: {error:#}");
            ExitCode::from(MISCONFIGURED)
        }
    }
}

fn exit(outcome: anyhow::Result<()>) -> ExitCode {
    exit_in(chat::Language::English, outcome)
}

/// Errors that are known are told in the configuration's language.
fn exit_in(language: chat::Language, outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("qimate: {}", commands::told(&error, language));
            ExitCode::FAILURE
        }
    }
}
