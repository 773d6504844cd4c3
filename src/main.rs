//! The command line: flags and subcommands, and nothing else.
#![forbid(unsafe_code)]

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};
use qimate::{
    clock::Clock,
    config::{Config, Environment, Loaded, OpenAi},
    sandbox::demo,
    server::{self, Stop, commands, telemetry},
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
    /// Try Qimate on this machine: WeCom and, without OPENAI_API_KEY, the model are played.
    Demo {
        /// Say this, print the exchange, and end.
        #[arg(long, value_name = "TEXT")]
        say: Option<String>,
        /// The port of the page, on loopback; the next free one where it is taken.
        #[arg(long, default_value_t = 8787)]
        port: u16,
    },
    /// Show every setting with its value and where it came from; secrets are starred. Exits 2 when something is wrong.
    CheckConfig,
    /// Messages that could not be delivered.
    DeadLetters {
        #[command(subcommand)]
        action: Option<DeadLetters>,
    },
    /// Ask the daemon on this machine whether it is ready; exits 1 when it is not.
    Healthcheck,
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
    let cli = Cli::parse();
    let environment = Environment::of_process();
    let command = cli.command.unwrap_or(Command::Serve);
    if let Command::Demo { say, port } = command {
        let real_model = environment.openai().map(|OpenAi { api_key, base_url, model }| demo::RealModel {
            api_key,
            base_url,
            model,
        });
        let options = demo::Options { say, port, real_model, environment: environment.of_the_system() };
        return exit(demo::run(options).await);
    }
    let loaded = match Config::load(cli.config.as_deref(), &environment) {
        Ok(loaded) => loaded,
        Err(faults) => {
            eprintln!(
                "{faults}\n\n`qimate demo` tries Qimate without any of this; config.example.toml explains every setting."
            );
            return ExitCode::from(MISCONFIGURED);
        }
    };
    exit(run(command, loaded).await)
}

async fn run(command: Command, loaded: Loaded) -> anyhow::Result<()> {
    let config = loaded.config.clone();
    match command {
        Command::Serve => serve(config).await,
        // Handled before there is a configuration.
        Command::Demo { .. } => Ok(()),
        Command::CheckConfig => {
            print!("{}", loaded.describe());
            Ok(())
        }
        Command::DeadLetters { action } => match action.unwrap_or(DeadLetters::List) {
            DeadLetters::List => commands::list_dead_letters(&config).await,
            DeadLetters::Retry { id } => commands::retry_dead_letters(&config, id).await,
            DeadLetters::Drop { id, all: _ } => commands::drop_dead_letters(&config, id).await,
        },
        Command::Healthcheck => commands::healthcheck(&config).await,
    }
}

async fn serve(config: Config) -> anyhow::Result<()> {
    telemetry::init(&config.log)?;
    let stop = Stop::new();
    stop.on_signals().context("cannot watch for signals")?;
    server::build(config, Clock::System).await?.run(stop).await
}

fn exit(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("qimate: {error:#}");
            ExitCode::FAILURE
        }
    }
}
