//! The command line.
mod args;
mod config;
mod error;
mod progress;
mod pull;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::CliError;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed while working
  2  bad usage, settings or input; nothing was changed
  3  the model could not be found, downloaded or loaded

Settings: defaults < --config FILE < environment NPEDIT__SECTION__KEY < flags.
`npedit config show` prints them all.";

/// Edits images by instruction in a few denoising steps.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Download a model into the cache, or go on with a download that was cut
    Pull(pull::PullArgs),
    /// Show or check the settings
    Config(config::ConfigCommand),
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
        Command::Pull(args) => pull::run(&args),
        Command::Config(command) => config::run(&command),
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
