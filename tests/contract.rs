//! What clients can rely on: the committed OpenAPI is the served one, and documents every error code.
#![allow(clippy::unwrap_used)]
use std::{fs, path::PathBuf};

use npedit::{
    http::{Code, document},
    training::recipe::Recipe,
};
use serde_json::Value;

fn committed() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("openapi/npedit.json")
}

fn generated() -> String {
    let mut json = document().to_pretty_json().unwrap();
    json.push('\n');
    json
}

fn openapi() -> Value {
    serde_json::from_str(&generated()).unwrap()
}

#[test]
fn the_committed_openapi_is_the_generated_one() {
    let committed = fs::read_to_string(committed()).unwrap_or_default();
    assert!(
        committed == generated(),
        "openapi/npedit.json is out of date: cargo test --test contract -- --ignored"
    );
}

#[test]
#[ignore = "writes openapi/npedit.json; run it after a change to routes or wire types"]
fn regenerate_openapi() {
    fs::write(committed(), generated()).unwrap();
}

#[test]
fn every_error_code_is_in_the_schema() {
    let openapi = openapi();
    let listed = openapi["components"]["schemas"]["Code"]["enum"]
        .as_array()
        .unwrap();
    let listed: Vec<_> = listed.iter().map(|name| name.as_str().unwrap()).collect();
    let codes: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(listed, codes);
}

#[test]
fn every_error_code_of_an_operation_is_documented_with_its_status() {
    let openapi = openapi();
    let paths = openapi["paths"].as_object().unwrap();
    let operations = paths
        .values()
        .flat_map(|path| path.as_object().unwrap().values());
    let responses: Vec<_> = operations
        .flat_map(|operation| operation["responses"].as_object().unwrap())
        .collect();
    for code in Code::ALL {
        // The router answers these two where no operation is.
        if matches!(code, Code::RouteNotFound | Code::MethodNotAllowed) {
            continue;
        }
        let documented = responses.iter().any(|(status, response)| {
            let text = response["description"].as_str().unwrap();
            **status == code.status().as_u16().to_string()
                && text.contains(&format!("`{}`", code.name()))
        });
        assert!(documented, "{} is in no operation", code.name());
    }
}

#[test]
fn every_error_answer_has_both_media_types() {
    let openapi = openapi();
    let mut seen = 0;
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                if status.starts_with(['4', '5']) {
                    seen += 1;
                    for media_type in ["application/json", "application/problem+json"] {
                        let schema = &response["content"][media_type]["schema"]["$ref"];
                        assert_eq!(
                            schema, "#/components/schemas/Problem",
                            "{path} {status} {media_type}"
                        );
                    }
                }
            }
        }
    }
    assert!(seen > 10);
}

#[test]
fn json_and_multipart_take_the_same_fields_and_no_others() {
    let openapi = openapi();
    let schema = |name: &str| openapi["components"]["schemas"][name].clone();
    let names = |schema: &Value| {
        let mut names: Vec<_> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        names.sort();
        names
    };
    let (json, multipart) = (schema("EditBody"), schema("EditMultipart"));
    assert_eq!(names(&json), names(&multipart));
    let (item, parts) = (schema("ScoreItem"), schema("ScoreMultipart"));
    assert_eq!(names(&item), names(&parts));
    let closed = ["Receipt", "Question", "ScoreBatch"].map(schema);
    for closed in [&json, &multipart, &item, &parts]
        .into_iter()
        .chain(&closed)
    {
        assert_eq!(closed["additionalProperties"], false);
    }
}

#[test]
fn every_reference_resolves() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let openapi = openapi();
    let mut found = Vec::new();
    references(&openapi, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(openapi.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn every_recipe_compiles() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("configs/recipes");
    let mut compiled = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // the manual has every key and names no rows
        if path.is_file() && !path.ends_with("default.toml") {
            Recipe::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            compiled += 1;
        }
    }
    assert!(compiled >= 3);
}
