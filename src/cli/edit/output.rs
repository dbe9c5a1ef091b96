//! Where results go: checked before the work, written whole or not at all.
use std::{
    io,
    io::Write,
    iter,
    path::{Path, PathBuf},
};

use super::EditArgs;
use crate::{
    cli::{
        error::{CliError, Unusable},
        input::STREAM,
        output_file::{check_free, write_whole},
    },
    config::{self, FormatChoice},
    pipelines::{
        image::{self, OutputFormat},
        request::EditOutput,
    },
};

/// The files of one edit.
pub(super) struct Outputs {
    /// One per image; empty for stdout.
    images: Vec<PathBuf>,
    noise: Option<PathBuf>,
    format: OutputFormat,
}

impl Outputs {
    /// Names the files of `count` images and makes sure that they can be written and are no input.
    pub fn plan(args: &EditArgs, count: usize, defaults: &config::Edit) -> Result<Self, Unusable> {
        let format = format(args, defaults)?;
        let to_stdout = args.output == Path::new(STREAM);
        if to_stdout && count > 1 {
            return Err(Unusable::SeveralToStdout { count });
        }
        let images = match count {
            _ if to_stdout => Vec::new(),
            1 => vec![args.output.clone()],
            _ => (1..=count)
                .map(|number| numbered(&args.output, number))
                .collect(),
        };
        let outputs: Vec<&PathBuf> = images.iter().chain(&args.save_latents).collect();
        for (at, output) in outputs.iter().enumerate() {
            let inputs = iter::once(&args.image).chain(&args.latents);
            let taken: Vec<&Path> = inputs
                .chain(outputs[..at].iter().copied())
                .map(PathBuf::as_path)
                .collect();
            check_free(output, &taken)?;
        }
        Ok(Self {
            images,
            noise: args.save_latents.clone(),
            format,
        })
    }

    /// Writes images and noise, and says on stderr what each file is.
    pub fn write(&self, output: &EditOutput) -> Result<(), CliError> {
        for (number, edited) in output.images.iter().enumerate() {
            let bytes = image::encode(&edited.rgb, &self.format).map_err(Unusable::Option)?;
            let shown = match self.images.get(number) {
                Some(path) => {
                    write_whole(path, &bytes)?;
                    path.display().to_string()
                }
                None => {
                    io::stdout()
                        .lock()
                        .write_all(&bytes)
                        .map_err(CliError::Stdout)?;
                    "stdout".to_owned()
                }
            };
            let (width, height) = edited.rgb.dimensions();
            let seed = edited
                .seed
                .map_or_else(|| "given noise".to_owned(), |seed| format!("seed {seed}"));
            eprintln!("{shown}: {width}x{height}, {seed}");
        }
        if let Some(path) = &self.noise {
            output.noise.save(path)?;
            eprintln!("{}: the noise", path.display());
        }
        let stages: Vec<String> = output
            .timings
            .iter()
            .map(|(stage, time)| {
                format!(
                    "{} {:.2}",
                    format!("{stage:?}").to_lowercase(),
                    time.as_secs_f64()
                )
            })
            .collect();
        eprintln!(
            "edited in {:.2} s ({})",
            output.timings.total().as_secs_f64(),
            stages.join(", ")
        );
        Ok(())
    }
}

/// What `--format` says, else the extension, else the settings; quality goes with JPEG alone.
fn format(args: &EditArgs, defaults: &config::Edit) -> Result<OutputFormat, Unusable> {
    let extension = args
        .output
        .extension()
        .map(|extension| extension.to_string_lossy().to_lowercase());
    let default = match defaults.output_format {
        FormatChoice::Png => "png",
        FormatChoice::Jpeg => "jpeg",
        FormatChoice::Webp => "webp",
    };
    let name = args
        .format
        .as_deref()
        .or(extension.as_deref())
        .unwrap_or(default);
    let is_jpeg = matches!(name, "jpg" | "jpeg");
    let quality = args
        .quality
        .or(is_jpeg.then_some(defaults.output_quality.into()));
    OutputFormat::parse(name, quality).map_err(Unusable::Option)
}

/// `out.png` -> `out-3.png`
fn numbered(path: &Path, number: usize) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path
        .extension()
        .map(|extension| format!(".{}", extension.to_string_lossy()))
        .unwrap_or_default();
    path.with_file_name(format!("{stem}-{number}{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_numbered_before_the_extension() {
        assert_eq!(
            numbered(Path::new("a/out.png"), 2),
            Path::new("a/out-2.png")
        );
        assert_eq!(numbered(Path::new("out"), 1), Path::new("out-1"));
        assert_eq!(numbered(Path::new("v1.2.jpg"), 3), Path::new("v1.2-3.jpg"));
    }
}
