use crate::process::npedit;

#[test]
fn help_names_the_commands_and_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let text = npedit(dir.path(), &["--help"]).succeeds();
    for part in [
        "pull",
        "config",
        "Exit codes:",
        "  3  the model could not be found",
    ] {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
    assert!(
        npedit(dir.path(), &["--version"])
            .succeeds()
            .contains(env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn bad_arguments_exit_with_2() {
    let dir = tempfile::tempdir().unwrap();
    npedit(dir.path(), &[]).fails_with(2, &["Usage"]);
    npedit(dir.path(), &["frobnicate"]).fails_with(2, &["frobnicate"]);
    npedit(dir.path(), &["pull"]).fails_with(2, &["REFERENCE"]);
    npedit(dir.path(), &["pull", "hf:onlyowner"]).fails_with(2, &["hf:owner/name@revision"]);
    npedit(dir.path(), &["pull", "some/dir"]).fails_with(2, &["some/dir", "hf:owner/name"]);
}

#[test]
fn openapi_prints_the_committed_description() {
    let dir = tempfile::tempdir().unwrap();
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/npedit.json");
    assert_eq!(
        npedit(dir.path(), &["openapi"]).succeeds(),
        std::fs::read_to_string(committed).unwrap()
    );
}
