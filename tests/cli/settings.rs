use std::fs;

use crate::process::{command, finish, npedit};

#[test]
fn show_prints_values_with_their_layer() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mine.toml"), "[edit]\nmax_n = 2\n").unwrap();
    let mut show = command(dir.path(), &["config", "show", "--config", "mine.toml"]);
    let text = finish(show.env("NPEDIT__SERVER__PORT", "9000").output().unwrap()).succeeds();
    let line = |key: &str| text.lines().find(|line| line.starts_with(key)).unwrap();
    assert!(line("max_n").starts_with("max_n = 2 ") && line("max_n").ends_with("# mine.toml"));
    assert!(line("port").ends_with("# environment NPEDIT__SERVER__PORT"));
    assert!(line("host").ends_with("# default"));
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn what_show_prints_is_itself_a_settings_file() {
    let dir = tempfile::tempdir().unwrap();
    let shown = npedit(dir.path(), &["config", "show"]).succeeds();
    fs::write(dir.path().join("shown.toml"), shown).unwrap();
    npedit(dir.path(), &["config", "check", "--config", "shown.toml"]).succeeds();
}

#[test]
fn no_password_of_a_database_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    for (scheme, action) in [("postgres", "show"), ("mysql", "check")] {
        let mut shown = command(dir.path(), &["config", action]);
        let url = format!("{scheme}://npedit:s3cr@t@db/npedit");
        let run = shown.env("NPEDIT__STORAGE__DATABASE_URL", url).output();
        let run = run.unwrap();
        let said = [run.stdout, run.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(
            said.contains(&format!("{scheme}://npedit:***@db/npedit")),
            "{said}"
        );
        assert!(!said.contains("s3cr"), "{said}");
    }
}

#[test]
fn no_key_of_the_caption_model_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let mut shown = command(dir.path(), &["config", "show"]);
    shown
        .env("NPEDIT__CAPTIONS__BASE_URL", "http://127.0.0.1:1/v1")
        .env("NPEDIT__CAPTIONS__MODEL", "eyes")
        .env("NPEDIT_CAPTIONS_API_KEY", "sk-secret");
    let said = finish(shown.output().unwrap()).succeeds();
    assert!(said.contains("http://127.0.0.1:1/v1"), "{said}");
    assert!(!said.contains("secret"), "{said}");
    let mut checked = command(dir.path(), &["config", "check"]);
    checked.env("NPEDIT__CAPTIONS__BASE_URL", "https://sk-secret@a.org/v1");
    let run = finish(checked.output().unwrap());
    run.fails_with(2, &["captions.base_url", "captions.model", "api_key_file"]);
    assert!(!run.stderr.contains("sk-secret"), "{}", run.stderr);
}

#[test]
fn check_reports_every_mistake() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("bad.toml"),
        "[server]\nprot = 1\nhost = \"x\"\n[edit]\nmax_steps = 9\n",
    )
    .unwrap();
    npedit(dir.path(), &["config", "check", "--config", "bad.toml"]).fails_with(
        2,
        &[
            "3 mistakes",
            "server.prot",
            "did you mean server.port?",
            "server.host = \"x\"",
            "edit.max_steps = 9",
            "bad.toml",
        ],
    );
    npedit(dir.path(), &["config", "check", "--config", "none.toml"]).fails_with(2, &["none.toml"]);
}
