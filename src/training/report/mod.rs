//! `report.html` of a finished run: one file that needs nothing else, made of what the run's directory holds.
mod chart;
mod metrics;
mod page;
mod panel;
mod pictures;

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use self::{metrics::Metrics, panel::Panel, pictures::Drawn};
use super::run::{Grid, RunDirectory};
use crate::config::Layers;

/// What a report says beside what the run's directory holds.
#[derive(Clone, Debug)]
pub struct Finished<'a> {
    /// The recipe, key by key.
    pub settings: &'a Layers,
    /// What people call the things that `run.json` has hashes of.
    pub names: BTreeMap<&'static str, String>,
    /// What the run made, and where it lies.
    pub result: Vec<(&'static str, String)>,
    /// The rows of every sample grid.
    pub grid: &'a Grid,
    /// One a row of the grid.
    pub instructions: Vec<&'a str>,
}

/// Writes the report, anew where there is one; answers where.
///
/// # Errors
/// The path that cannot be read or written, and why.
pub fn write(
    directory: &RunDirectory,
    finished: &Finished,
) -> Result<PathBuf, (PathBuf, io::Error)> {
    // 1 read        metrics.jsonl, run.json, samples/
    let at = |path: PathBuf| move |error| (path, error);
    let metrics = Metrics::read(&directory.metrics()).map_err(at(directory.metrics()))?;
    let identity = directory.identity().map_err(at(directory.path().into()))?;
    let drawn = first_and_last(directory).map_err(at(directory.path().into()))?;
    // 2 draw        curves to SVG, grids to pictures
    let panels = Panel::of(&metrics);
    let rows = pictures::rows(finished.grid, &drawn);
    // 3 write       whole or not at all
    let page = page::render(&page::Page {
        finished,
        metrics: &metrics,
        identity: &identity,
        panels: &panels,
        rows: &rows,
    });
    let path = directory.report();
    let part = path.with_extension("part");
    let written = fs::write(&part, page).and_then(|()| fs::rename(&part, &path));
    written.map_err(at(path.clone()))?;
    Ok(path)
}

/// The first and the last grid that were drawn.
fn first_and_last(directory: &RunDirectory) -> io::Result<Vec<Drawn>> {
    let samples = directory.samples()?.into_iter();
    let mut drawn: Vec<Drawn> = samples.map(|(step, path)| Drawn { step, path }).collect();
    drawn.sort_by_key(|drawn| drawn.step);
    if drawn.len() > 2 {
        drawn.drain(1..drawn.len() - 1);
    }
    Ok(drawn)
}

#[cfg(test)]
mod tests;
