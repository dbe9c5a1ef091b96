use image::RgbImage;

use super::*;

const DEFAULTS: &str = "stage = \"np_edit\"\nsteps = 3\n[data]\nrows = \"\"\n";

fn directory() -> (tempfile::TempDir, RunDirectory, Grid) {
    let folder = tempfile::tempdir().unwrap();
    let directory = RunDirectory::new(folder.path().join("run"));
    let grid = Grid {
        sizes: vec![(16, 16)],
    };
    fs::create_dir_all(directory.path().join("samples")).unwrap();
    for step in [2, 3, 30] {
        let shade = RgbImage::from_pixel(16, 16, image::Rgb([step; 3]));
        let picture = grid.draw(&[[shade.clone(), shade.clone(), shade]]);
        picture.save(directory.sample(step.into())).unwrap();
    }
    let metrics = (1..=30).map(|step| {
        serde_json::json!({"step": step, "loss": 3.0 / f64::from(step), "grad_norm": 1.0, "wall_secs": 2.5, "judge_calls": 6 * step}).to_string()
    });
    let metrics: Vec<_> = metrics.collect();
    fs::write(directory.metrics(), metrics.join("\n")).unwrap();
    let identity = r#"{"base": "abc", "rows": "def"}"#;
    fs::write(directory.path().join("run.json"), identity).unwrap();
    (folder, directory, grid)
}

#[test]
fn a_report_is_one_file_that_names_everything_and_escapes_it() {
    let (folder, directory, grid) = directory();
    let recipe = folder.path().join("recipe.toml");
    fs::write(&recipe, "[data]\nrows = \"<script>alert(1)</script>\"\n").unwrap();
    let (settings, issues) = Layers::over(DEFAULTS, &recipe);
    assert!(issues.is_empty());
    let finished = Finished {
        settings: &settings,
        names: BTreeMap::from([("base", "my <bundle>".to_owned())]),
        result: vec![("adapter", "sha256-1234".to_owned())],
        grid: &grid,
        instructions: vec!["make it \"blue\" & <b>bold</b>"],
    };
    let path = write(&directory, &finished).unwrap();
    let page = fs::read_to_string(&path).unwrap();
    for part in [
        "<h1>np_edit</h1>",
        "<b>30</b>",
        "1 min 15 s",
        "<b>180</b>",
        "sha256-1234",
        "my &lt;bundle&gt;",
        "<b>bold</b>"
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('/', "&#x2f;")
            .as_str(),
        "after step 2<",
        "after step 30<",
        "<svg",
        "grad_norm",
        "steps = 3",
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(page.contains(part), "no {part:?} in {page}");
    }
    assert!(!page.contains("<script") && !page.contains("after step 3<"));
    // nothing is fetched: every address is the page's own
    for (at, _) in page.match_indices("src=\"") {
        assert!(page[at + 5..].starts_with("data:image/png;base64,"));
    }
    assert!(!page.contains("href=") && !page.contains("url("));
    let again = write(&directory, &finished).unwrap();
    assert_eq!(fs::read_to_string(again).unwrap(), page);
}

#[test]
fn a_run_without_metrics_says_which_file_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let directory = RunDirectory::new(folder.path().into());
    let (settings, _) = Layers::over(DEFAULTS, &folder.path().join("none.toml"));
    let finished = Finished {
        settings: &settings,
        names: BTreeMap::new(),
        result: Vec::new(),
        grid: &Grid { sizes: Vec::new() },
        instructions: Vec::new(),
    };
    let (path, _) = write(&directory, &finished).unwrap_err();
    assert_eq!(path, directory.metrics());
}
