use std::{collections::HashMap, fs, path::PathBuf, time::Duration};

use super::*;

fn env(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect()
}

fn file(text: &str) -> (tempfile::TempDir, Given) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("settings.toml");
    fs::write(&path, text).unwrap();
    (
        dir,
        Given {
            file: Some(path),
            flags: Vec::new(),
        },
    )
}

fn issues(given: &Given, vars: &[(&str, &str)]) -> Vec<Issue> {
    Config::load_with(given, env(vars)).unwrap_err().0
}

#[test]
fn every_file_in_configs_compiles() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut seen = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        // A table of questions is no settings file.
        let settings = !path.ends_with("questions.toml");
        if !settings || path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        seen += 1;
        let given = Given {
            file: Some(path.clone()),
            flags: Vec::new(),
        };
        if let Err(error) = Config::load_with(&given, HashMap::new()) {
            panic!("{}: {error}", path.display());
        }
    }
    assert!(seen >= 2);
}

#[test]
fn the_defaults_are_those_of_the_manual() {
    let config = Config::load_with(&Given::default(), HashMap::new())
        .unwrap()
        .config;
    assert_eq!(config.server.port, 8080);
    assert_eq!(config.server.shutdown_grace, Duration::from_secs(30));
    assert_eq!(config.model.reference, None);
    assert_eq!(config.model.device, DeviceChoice::Auto);
    assert_eq!(config.edit.max_steps, 8);
    assert_eq!(config.edit.output_format, FormatChoice::Png);
    assert!(config.judge.enabled && config.judge.questions_file.is_none());
    assert_eq!(config.judge.overall, OverallChoice::Product);
    assert_eq!(config.log.format, LogFormat::Auto);
}

#[test]
fn every_key_of_the_manual_has_a_comment() {
    let mut previous = "";
    for line in layers::DEFAULTS.lines() {
        if line.contains(" = ") && !line.starts_with('#') {
            let dtype_group = line.contains("_dtype") && previous.contains("_dtype");
            assert!(
                previous.starts_with('#') || dtype_group,
                "no comment above: {line}"
            );
        }
        previous = line;
    }
}

#[test]
fn later_layers_win_and_are_named() {
    let (_dir, given) = file("[server]\nport = 1001\nhost = \"0.0.0.0\"\n[edit]\nmax_n = 2\n");
    let path = given.file.clone().unwrap();
    let given = given
        .flag("server.port", Some(Setting::Integer(1003)), "--port")
        .flag("server.host", None, "--host");
    let vars = env(&[
        ("NPEDIT__SERVER__PORT", "1002"),
        ("NPEDIT__EDIT__MAX_N", "3"),
        ("NPEDIT_GOLDEN_DIR", "x"),
    ]);
    let loaded = Config::load_with(&given, vars).unwrap();
    assert_eq!(
        (loaded.config.server.port, loaded.config.edit.max_n),
        (1003, 3)
    );
    assert_eq!(loaded.layers.get("server.port").1, Layer::Flag("--port"));
    assert_eq!(
        loaded.layers.get("edit.max_n").1,
        Layer::Env("NPEDIT__EDIT__MAX_N".into())
    );
    assert_eq!(loaded.layers.get("server.host").1, Layer::File(path));
    assert_eq!(loaded.layers.get("log.level").1, Layer::Default);
}

#[test]
fn an_unknown_key_is_named_with_the_one_that_was_meant() {
    let (_dir, given) = file("[server]\nprot = 1\n[colour]\nred = 1\n");
    let text = ConfigError(issues(&given, &[])).to_string();
    assert!(text.contains("server.prot"), "{text}");
    assert!(text.contains("did you mean server.port?"), "{text}");
    assert!(text.contains("colour.red"), "{text}");
    assert!(text.contains("settings.toml"), "{text}");
}

#[test]
fn three_mistakes_in_three_layers_are_three_issues() {
    let (_dir, given) = file("[edit]\nmax_n = 0\n");
    let given = given.flag("server.host", Some(Setting::Text("here".into())), "--host");
    let found = issues(&given, &[("NPEDIT__ENGINE__QUEUE_DEPTH", "many")]);
    assert_eq!(found.len(), 3, "{found:?}");
    for (key, layer) in [
        ("edit.max_n", "settings.toml"),
        ("server.host", "flag --host"),
        (
            "engine.queue_depth",
            "environment NPEDIT__ENGINE__QUEUE_DEPTH",
        ),
    ] {
        let issue = found.iter().find(|issue| issue.key == key).unwrap();
        assert!(
            issue.layer.contains(layer) && !issue.advice.is_empty(),
            "{issue}"
        );
    }
    let text = ConfigError(found).to_string();
    assert!(text.starts_with("3 mistakes in the settings:\n"), "{text}");
    assert!(text.contains("\n  edit.max_n = 0 ("), "{text}");
    assert!(text.contains("must be from 1 to 64"), "{text}");
}

#[test]
fn values_of_the_wrong_kind_are_refused_not_converted() {
    for (text, key) in [
        ("[edit]\nmax_n = 1.5\n", "edit.max_n"),
        ("[edit]\nmax_n = \"2\"\n", "edit.max_n"),
        ("[server]\nport = 65536\n", "server.port"),
        ("[server]\nport = -1\n", "server.port"),
        ("[server]\nhost = 1\n", "server.host"),
        ("[model]\noffline = \"yes\"\n", "model.offline"),
        ("[model]\ndevice = \"tpu\"\n", "model.device"),
        ("[model]\nreference = [\"a\"]\n", "model.reference"),
        ("[log]\nlevel = \"info,=,\"\n", "log.level"),
        ("[storage]\ndata_dir = \"\"\n", "storage.data_dir"),
        ("[judge]\nenabled = 1\n", "judge.enabled"),
        ("[judge]\noverall = \"sum\"\n", "judge.overall"),
        ("[judge]\nmax_best_of = 1\n", "judge.max_best_of"),
        ("[judge]\nmax_items = 0\n", "judge.max_items"),
        ("server = 3\n", "server"),
    ] {
        let (_dir, given) = file(text);
        let found = issues(&given, &[]);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert_eq!(found[0].key, key, "{text}");
    }
}

#[test]
fn settings_that_contradict_each_other_are_reported() {
    let found = issues(
        &Given::default(),
        &[("NPEDIT__SERVER__MAX_BODY_BYTES", "1000")],
    );
    assert!(
        found[0].advice.contains("server.max_body_bytes"),
        "{found:?}"
    );
    let found = issues(
        &Given::default(),
        &[("NPEDIT__MODEL__GENERATOR", "weights.pt")],
    );
    assert!(found[0].advice.contains("model.reference"), "{found:?}");
}

#[test]
fn a_missing_or_broken_file_is_named() {
    let given = Given {
        file: Some("/nowhere/at all.toml".into()),
        flags: Vec::new(),
    };
    let text = ConfigError(issues(&given, &[])).to_string();
    assert!(text.contains("/nowhere/at all.toml"), "{text}");
    let (_dir, given) = file("[server\n");
    let text = ConfigError(issues(&given, &[])).to_string();
    assert!(
        text.contains("line 1") && text.contains("settings.toml"),
        "{text}"
    );
}

#[test]
fn the_hub_offline_switch_is_a_layer_below_our_own() {
    let loaded = Config::load_with(&Given::default(), env(&[("HF_HUB_OFFLINE", "1")])).unwrap();
    assert!(loaded.config.model.offline);
    assert_eq!(
        loaded.layers.get("model.offline").1,
        Layer::Env("HF_HUB_OFFLINE".into())
    );
    let both = env(&[("HF_HUB_OFFLINE", "1"), ("NPEDIT__MODEL__OFFLINE", "false")]);
    assert!(
        !Config::load_with(&Given::default(), both)
            .unwrap()
            .config
            .model
            .offline
    );
    assert!(
        !Config::load_with(&Given::default(), env(&[("HF_HUB_OFFLINE", "0")]))
            .unwrap()
            .config
            .model
            .offline
    );
}

#[test]
fn lists_of_keys_hosts_and_origins_are_read_and_refused_whole() {
    let hash = "ab".repeat(32);
    let keys = format!("ci:edit+score:{hash}, ops:admin:{hash}");
    let good = env(&[
        ("NPEDIT__AUTH__KEYS", &keys),
        (
            "NPEDIT__FETCH__ALLOWED_HOSTS",
            "a.example.org, *.example.com:8443",
        ),
        (
            "NPEDIT__SERVER__CORS_ORIGINS",
            "https://a.example.org,http://localhost:5173",
        ),
    ]);
    let config = Config::load_with(&Given::default(), good).unwrap().config;
    assert_eq!(config.auth.keys.len(), 2);
    assert_eq!(config.fetch.allowed_hosts.len(), 2);
    assert_eq!(config.server.cors_origins[1], "http://localhost:5173");
    let any = env(&[("NPEDIT__SERVER__CORS_ORIGINS", "*")]);
    assert!(Config::load_with(&Given::default(), any).is_ok());
    for origins in [
        "*, https://a.org",
        "https://a.org/",
        "a.org",
        "https://",
        "https://u@a.org",
    ] {
        let bad = [
            ("NPEDIT__AUTH__KEYS", "ci:edit:plain-secret"),
            ("NPEDIT__FETCH__ALLOWED_HOSTS", "a.example.org,10.0.0.1"),
            ("NPEDIT__SERVER__CORS_ORIGINS", origins),
        ];
        let found = issues(&Given::default(), &bad);
        let keys: Vec<&str> = found.iter().map(|issue| issue.key.as_str()).collect();
        let expected = ["server.cors_origins", "auth.keys", "fetch.allowed_hosts"];
        assert_eq!(keys, expected, "{origins}");
        assert!(!ConfigError(found).to_string().contains("plain-secret"));
    }
}
