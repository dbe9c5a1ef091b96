//! `npedit config`: what the settings are and who set them.
use std::io::{self, Write};

use clap::{Args, Subcommand};

use super::{args::SettingsArgs, error::CliError};
use crate::config::{Layer, Layers};

#[derive(Debug, Args)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print every setting with the layer that it comes from
    Show(SettingsArgs),
    /// Report all mistakes at once
    Check(SettingsArgs),
}

pub(super) fn run(command: &ConfigCommand) -> Result<(), CliError> {
    match &command.action {
        Action::Show(settings) => {
            show(&settings.load()?.layers, &mut io::stdout().lock()).map_err(CliError::Stdout)
        }
        Action::Check(settings) => {
            let changed = settings
                .load()?
                .layers
                .iter()
                .filter(|(_, _, layer)| **layer != Layer::Default)
                .count();
            writeln!(
                io::stdout(),
                "the settings are valid ({changed} set by a file, the environment or a flag)"
            )
            .map_err(CliError::Stdout)
        }
    }
}

/// TOML that reads back, with each value's layer as a comment.
fn show(layers: &Layers, out: &mut impl Write) -> io::Result<()> {
    let mut section = "";
    for (key, setting, layer) in layers.iter() {
        let (of, name) = key.split_once('.').unwrap_or(("", key));
        if of != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            writeln!(out, "{gap}[{of}]")?;
            section = of;
        }
        writeln!(out, "{:<40} # {layer}", format!("{name} = {setting}"))?;
    }
    Ok(())
}
