//! The command line.
mod adapter;
mod args;
mod bundle;
mod config;
mod edit;
mod error;
mod finetune;
mod health;
mod input;
mod judge_check;
mod key;
mod openapi;
mod output_file;
mod progress;
mod pull;
mod score;
mod serve;
mod signal;
mod train;
mod worker;
mod world;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::CliError;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed while working
  2  bad usage, settings or input; nothing was changed
  3  the model could not be found, downloaded or loaded
  130  a training run was stopped; the same command goes on

Settings: defaults < --config FILE < environment NPEDIT__SECTION__KEY < flags.
`npedit config show` prints them all.";

/// Edits images by instruction in a few denoising steps, and judges edits.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Edit an image
    Edit(edit::EditArgs),
    /// Judge an edit: was the instruction carried out, is the rest as it was?
    Score(score::ScoreArgs),
    /// Tell how far a judge can be trusted, on labelled edits
    JudgeCheck(judge_check::JudgeCheckArgs),
    /// Train the editor by a recipe: without pairs, from photos and instructions
    Train(train::TrainArgs),
    /// Serve the HTTP API
    Serve(serve::ServeArgs),
    /// Train an adapter from photos and instructions, here or on a server, and hear whether it is better
    Finetune(finetune::FinetuneArgs),
    /// Run fine-tuning jobs, without serving
    Worker(worker::WorkerArgs),
    /// Ask a running service whether it is ready
    Health(health::HealthArgs),
    /// Download a model into the cache, or go on with a download that was cut
    Pull(pull::PullArgs),
    /// Show or check the settings
    Config(config::ConfigCommand),
    /// Look at an adapter, or write it as another program reads it
    Adapter(adapter::AdapterCommand),
    /// Make, revoke and list the keys of the HTTP API
    Key(key::KeyCommand),
    /// Make bundles
    Bundle(bundle::BundleCommand),
    /// Draw the scenes of the tiny world, and check what judges them
    World(world::WorldCommand),
    /// Print the OpenAPI description of the HTTP API
    Openapi,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::Edit(args) => edit::run(&args),
        Command::Score(args) => score::run(&args),
        Command::JudgeCheck(args) => judge_check::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Finetune(args) => finetune::run(&args),
        Command::Worker(args) => worker::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Pull(args) => pull::run(&args),
        Command::Config(command) => config::run(&command),
        Command::Adapter(command) => adapter::run(&command),
        Command::Key(command) => key::run(&command),
        Command::Bundle(command) => bundle::run(&command),
        Command::World(command) => world::run(&command),
        Command::Openapi => openapi::run(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
