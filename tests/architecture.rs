//! Imports flow one way, and files stay small.
#![allow(clippy::unwrap_used)]
use std::{
    fs,
    path::{Path, PathBuf},
};

/// `(module, modules it may name)`. A module missing from the table fails the test.
/// `config` and `telemetry` are open to every layer and are added by the test.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("telemetry", &[]),
    ("fetch", &[]),
    ("nn", &[]),
    ("world", &[]),
    ("storage", &[]),
    ("access", &["storage"]),
    ("models", &["nn", "world"]), // a bundle for the world knows its words
    ("adapters", &["nn", "storage"]),
    ("pipelines", &["models", "nn"]),
    ("engine", &["pipelines", "models", "adapters", "nn"]),
    (
        "training",
        &["pipelines", "models", "adapters", "nn", "world"],
    ),
    (
        "jobs",
        &[
            "training",
            "engine",
            "adapters",
            "storage",
            "pipelines",
            "world", // draws the demo and regression sets
        ],
    ),
    ("http", &["engine", "adapters", "jobs", "access", "fetch"]),
    (
        "app",
        &[
            "access",
            "fetch",
            "http",
            "jobs",
            "engine",
            "training",
            "pipelines",
            "models",
            "adapters",
            "storage",
            "nn",
        ],
    ),
    (
        "cli",
        &[
            "access",
            "app",
            "http",
            "jobs",
            "engine",
            "training",
            "pipelines",
            "models",
            "adapters",
            "storage", // keys need no service
            "nn",
            "world",
        ],
    ),
];
const OPEN_TO_ALL: &[&str] = &["config", "telemetry"];
const MAX_LINES: usize = 400;

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
}

fn ident(text: &str) -> String {
    text.trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// Top-level modules named after `crate::`, in `crate::a::..` and in `crate::{a, b::{..}}`.
fn named_modules(source: &str) -> Vec<String> {
    let code: String = source
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect();
    let mut modules = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            modules.push(ident(rest));
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' | ',' if depth == 0 => {
                    modules.push(ident(&group[start..at]));
                    start = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    modules.retain(|module| !module.is_empty());
    modules
}

#[test]
fn imports_flow_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut broken = Vec::new();
    for file in files {
        let name = file.strip_prefix(&src).unwrap();
        let source = fs::read_to_string(&file).unwrap();
        if source.lines().count() > MAX_LINES {
            broken.push(format!("{}: over {MAX_LINES} lines", name.display()));
        }
        let in_nn = name.starts_with("nn");
        if !in_nn && source.contains("candle_nn") {
            broken.push(format!(
                "{}: names candle_nn (its fused ops drop gradients; go through crate::nn)",
                name.display()
            ));
        }
        if name.components().count() == 1 {
            continue; // lib.rs, main.rs, app.rs, cli.rs: the composition root may name anything
        }
        let owner = name.iter().next().unwrap().to_string_lossy().into_owned();
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(module, _)| *module == owner) else {
            broken.push(format!("{owner}: not in MAY_IMPORT"));
            continue;
        };
        for module in named_modules(&source) {
            if module != owner
                && !allowed.contains(&module.as_str())
                && !OPEN_TO_ALL.contains(&module.as_str())
            {
                broken.push(format!("{}: {owner} -> {module}", name.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_rules_catch_what_they_forbid() {
    assert_eq!(
        named_modules("use crate::{http::Problem, nn::{Linear, Conv2d}}; crate::engine::run()"),
        ["http", "nn", "engine"]
    );
    assert!(named_modules("// crate::http is only mentioned").is_empty());
}

#[test]
fn test_and_bench_files_stay_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for dir in ["tests", "benches", "examples"] {
        if root.join(dir).is_dir() {
            rust_files(&root.join(dir), &mut files);
        }
    }
    assert!(!files.is_empty());
    for file in files {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= MAX_LINES, "{}: {lines} lines", file.display());
    }
}
