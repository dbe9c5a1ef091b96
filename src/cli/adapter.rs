//! `npedit adapter`: adapters as files.
use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, ValueEnum};

use super::error::CliError;
use crate::adapters::{self, Found, Pair, Scaling, Target};

#[derive(Debug, Args)]
pub(super) struct AdapterCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what an adapter is
    Show {
        /// A .safetensors file, or a directory with one adapter
        path: PathBuf,
    },
    /// Write an adapter as another program reads it
    Convert(ConvertArgs),
}

#[derive(Debug, Args)]
struct ConvertArgs {
    /// A .safetensors file, or a directory with one adapter
    path: PathBuf,
    /// Directory that does not exist yet, or is empty
    out: PathBuf,
    /// Who is to read it
    #[arg(long, value_enum)]
    to: Reader,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Reader {
    /// ZImagePipeline.load_lora_weights
    Diffusers,
    /// PeftModel.from_pretrained, on a model whose `transformer` is adapted
    Peft,
}

pub(super) fn run(command: &AdapterCommand) -> Result<(), CliError> {
    match &command.action {
        Action::Show { path } => {
            show(&adapters::read(path)?, &mut io::stdout().lock()).map_err(CliError::Stdout)
        }
        Action::Convert(args) => convert(args),
    }
}

fn convert(args: &ConvertArgs) -> Result<(), CliError> {
    let adapter = adapters::read(&args.path)?.adapter;
    if !is_free(&args.out) {
        return Err(CliError::NotEmpty(args.out.clone()));
    }
    let target = match args.to {
        Reader::Diffusers => Target::Diffusers,
        Reader::Peft => Target::Peft,
    };
    let file = adapters::write(&adapter, &args.out, target)?;
    eprintln!("{}: adapter {}", file.display(), adapter.id());
    Ok(())
}

/// Not there, or there and empty.
fn is_free(directory: &Path) -> bool {
    match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn show(found: &Found, out: &mut impl Write) -> io::Result<()> {
    let Found { adapter, layout } = found;
    let pairs = || adapter.pairs().values();
    let dtypes: BTreeSet<&str> = pairs()
        .flat_map(|pair| [&pair.a, &pair.b])
        .map(|tensor| tensor.dtype().as_str())
        .collect();
    let scaling = match adapter.config().scaling {
        Scaling::Standard => "alpha / rank",
        Scaling::RankStabilised => "alpha / sqrt(rank)",
    };
    let base = adapter.config().base.as_deref();
    for (key, value) in [
        ("id", adapter.id().to_string()),
        ("layout", layout.to_string()),
        ("base", base.unwrap_or("not said").to_owned()),
        ("modules", adapter.pairs().len().to_string()),
        ("rank", range(pairs().map(|pair| pair.rank() as f64))),
        ("alpha", range(pairs().map(alpha))),
        ("scale", scaling.to_owned()),
        ("dtype", dtypes.into_iter().collect::<Vec<_>>().join(", ")),
        ("parameters", adapter.parameters().to_string()),
    ] {
        writeln!(out, "{key:<11}{value}")?;
    }
    Ok(())
}

/// In single precision, which its decimals are those of.
fn alpha(pair: &Pair) -> f64 {
    let shown = (pair.alpha as f32).to_string();
    shown.parse().unwrap_or(pair.alpha)
}

fn range(values: impl Iterator<Item = f64> + Clone) -> String {
    let least = values.clone().fold(f64::INFINITY, f64::min);
    let most = values.fold(f64::NEG_INFINITY, f64::max);
    if least == most {
        return least.to_string();
    }
    format!("{least} to {most}")
}
