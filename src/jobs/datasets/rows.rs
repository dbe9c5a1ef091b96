//! Rows as they were sent to rows that a run reads.
use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::{
    DatasetError, LineNote, LineProblem, Report, Sent, SentFiles, SetLimits,
    archive::{plain_path, unpack},
    table::{self, find_table},
};
use crate::pipelines::{
    edit_type::EditType,
    image::{ImageLimits, SourceFormat, decode},
};

/// One row of a table; any other column is an error.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentRow {
    pub image: String,
    pub instruction: String,
    pub edited_caption: Option<String>,
    pub source_caption: Option<String>,
    pub edit_type: Option<EditType>,
    pub object: Option<String>,
}

/// A row with its image in it.
#[derive(Clone, Debug)]
pub struct Item {
    /// Without an image's path.
    pub row: SentRow,
    pub image: Vec<u8>,
}

/// Rows that can be used, and what was wrong with the others.
#[derive(Debug)]
pub(super) struct UsableRows {
    pub rows: Vec<UsableRow>,
    /// By the path that the rows name.
    pub images: SentFiles,
    /// Of what was sent; the kept rows are not counted yet.
    pub report: Report,
}

/// A row whose image is there.
#[derive(Debug)]
pub(super) struct UsableRow {
    /// Of what was sent, counted from 1.
    pub line: usize,
    /// With the path under which its image is kept.
    pub row: SentRow,
}

/// Longer texts than any encoder reads are a mistake.
const MAX_TEXT_BYTES: usize = 8192;

pub(super) fn read(sent: Sent, limits: &SetLimits) -> Result<UsableRows, DatasetError> {
    let (rows, problems, files) = match sent {
        Sent::Archive(bytes) => table_of(unpack(&bytes, &limits.archive)?)?,
        Sent::Files(files) => table_of(files)?,
        Sent::Items(items) => {
            let mut files = SentFiles::new();
            let rows = items.into_iter().enumerate().map(|(index, item)| {
                let image = format!("item-{index}");
                files.insert(image.clone(), item.image);
                (index + 1, SentRow { image, ..item.row })
            });
            (rows.collect(), Vec::new(), files)
        }
    };
    check((rows, problems), files, limits)
}

type Table = (Vec<(usize, SentRow)>, Vec<LineProblem>, SentFiles);

fn table_of(mut files: SentFiles) -> Result<Table, DatasetError> {
    let path = find_table(&files)?;
    let bytes = files.remove(&path).unwrap_or_default();
    let (rows, problems) = table::read(&path, &bytes)?;
    // images lie beside their table
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let within = files.into_iter().filter_map(|(path, bytes)| {
        let path = match folder.is_empty() {
            true => path,
            false => path.strip_prefix(folder)?.strip_prefix('/')?.to_owned(),
        };
        Some((path, bytes))
    });
    Ok((rows, problems, within.collect()))
}

fn check(
    (sent, mut problems): table::Read,
    files: SentFiles,
    limits: &SetLimits,
) -> Result<UsableRows, DatasetError> {
    if sent.len() > limits.max_rows {
        return Err(DatasetError::TooManyRows {
            rows: sent.len(),
            max: limits.max_rows,
        });
    }
    let mut report = Report::default();
    let mut decoded = Decoded::new(&files, &limits.images);
    let mut seen: HashMap<(String, String), usize> = HashMap::new();
    let (mut rows, mut images) = (Vec::new(), SentFiles::new());
    for (line, row) in sent {
        if let Some(problem) = unusable(&row) {
            problems.push(LineProblem { line, problem });
            continue;
        }
        let image = match decoded.image(&row.image) {
            Ok(image) => image,
            Err(problem) => {
                report.unreadable.push(LineNote { line, problem });
                continue;
            }
        };
        let key = (image.clone(), row.instruction.trim().to_owned());
        if let Some(first) = seen.insert(key, line) {
            let problem = format!("the same image and instruction as line {first}");
            report.duplicates.push(LineNote { line, problem });
            continue;
        }
        if let Some(bytes) = files.get(&decoded.path(&row.image)) {
            images.insert(image.clone(), bytes.clone());
        }
        let caption = row.edited_caption.as_deref().unwrap_or_default();
        if caption.trim().is_empty() {
            report.missing_captions += 1;
        }
        let row = SentRow { image, ..row };
        rows.push(UsableRow { line, row });
    }
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.line);
        return Err(DatasetError::Rows { problems });
    }
    if rows.is_empty() {
        return Err(DatasetError::Empty);
    }
    Ok(UsableRows {
        rows,
        images,
        report,
    })
}

/// What is wrong with a row, whatever its image is.
fn unusable(row: &SentRow) -> Option<String> {
    if plain_path(&row.image).is_none() {
        return Some("image leads out of the upload; name a file of it".into());
    }
    if row.instruction.trim().is_empty() {
        return Some("the instruction is empty; say what to change".into());
    }
    let texts = [
        ("instruction", Some(&row.instruction)),
        ("edited_caption", row.edited_caption.as_ref()),
        ("source_caption", row.source_caption.as_ref()),
        ("object", row.object.as_ref()),
    ];
    let long = texts.into_iter().find_map(|(name, text)| {
        let bytes = text.map_or(0, String::len);
        (bytes > MAX_TEXT_BYTES).then_some((name, bytes))
    });
    long.map(|(name, bytes)| format!("{name} has {bytes} bytes, at most {MAX_TEXT_BYTES} are read"))
}

/// Images by the path that a row names, each decoded once.
struct Decoded<'a> {
    files: &'a SentFiles,
    limits: &'a ImageLimits,
    known: BTreeMap<String, Result<String, String>>,
}

impl<'a> Decoded<'a> {
    fn new(files: &'a SentFiles, limits: &'a ImageLimits) -> Self {
        Self {
            files,
            limits,
            known: BTreeMap::new(),
        }
    }

    fn path(&self, name: &str) -> String {
        plain_path(name).unwrap_or_default()
    }

    /// Where the image is kept: named by its content.
    fn image(&mut self, name: &str) -> Result<String, String> {
        let path = self.path(name);
        if let Some(known) = self.known.get(&path) {
            return known.clone();
        }
        let image = match self.files.get(&path) {
            None => Err(format!("there is no file {name:?} in the upload")),
            Some(bytes) => match decode(bytes, self.limits) {
                Ok(image) => Ok(format!("images/{}.{}", image.sha256, ending(image.format))),
                Err(error) => Err(format!("{name:?}: {error}")),
            },
        };
        self.known.insert(path, image.clone());
        image
    }
}

fn ending(format: SourceFormat) -> &'static str {
    match format {
        SourceFormat::Png => "png",
        SourceFormat::Jpeg => "jpg",
        SourceFormat::Webp => "webp",
    }
}
