//! JSON Schema 2020-12.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bartizan_validate::{JsonSchema, OpenApi, OpenApiLayer};
use serde_json::Value;

use crate::support::{post, send};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suites/json-schema")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What the suite serves at `http://localhost:1234`.
fn remotes() -> Vec<(String, Value)> {
    let folder = folder().join("remotes");
    let uri = |path: &Path| {
        let path = path.strip_prefix(&folder).unwrap().to_str().unwrap().replace('\\', "/");
        format!("http://localhost:1234/{path}")
    };
    files(&folder).iter().map(|path| (uri(path), read(path))).collect()
}

/// A schema, and documents with whether they keep it.
struct Group {
    name: String,
    schema: Value,
    tests: Vec<(String, Value, bool)>,
}

fn groups() -> Vec<Group> {
    let mut groups = Vec::new();
    for file in files(&folder().join("draft2020-12")) {
        let stem = file.file_stem().unwrap().to_str().unwrap().to_owned();
        for group in read(&file).as_array().unwrap() {
            let test = |test: &Value| {
                let name = test["description"].as_str().unwrap().to_owned();
                (name, test["data"].clone(), test["valid"].as_bool().unwrap())
            };
            groups.push(Group {
                name: format!("{stem}: {}", group["description"].as_str().unwrap()),
                schema: group["schema"].clone(),
                tests: group["tests"].as_array().unwrap().iter().map(test).collect(),
            });
        }
    }
    let tests: usize = groups.iter().map(|group| group.tests.len()).sum();
    assert!(tests > 1_200, "the suite is here: {tests}");
    groups
}

#[test]
fn val_04_the_required_part_of_the_official_suite() {
    let remotes = remotes();
    let mut wrong = Vec::new();
    for Group { name, schema, tests } in groups() {
        let options = remotes.iter().fold(JsonSchema::options(), |options, (uri, document)| {
            options.with_document(uri, document.clone())
        });
        let compiled = match options.build(&schema) {
            Ok(compiled) => compiled,
            Err(error) => {
                wrong.push(format!(
                    "{name}: {:?}",
                    std::error::Error::source(&error).map(ToString::to_string)
                ));
                continue;
            }
        };
        for (test, document, valid) in tests {
            let violations = compiled.violations(&document);
            if violations.is_empty() != valid {
                wrong.push(format!("{name}: {test}: {violations:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The same schemas, of a body in a description of an API, and the documents as requests.
#[tokio::test]
async fn val_05_the_required_part_of_the_official_suite_in_a_description() {
    const API: &str = "
openapi: 3.1.0
info: { title: Suite, version: '1' }
paths: { /orders: { post: { requestBody: { content: { application/json: { schema: { $ref: schema.json } } } } } } }
";
    let remotes = remotes();
    let mut wrong = Vec::new();
    for Group { name, schema, tests } in groups() {
        let options = OpenApi::options().with_document("schema.json", schema.to_string());
        let options = remotes.iter().fold(options, |options, (uri, document)| {
            options.with_document(uri.clone(), document.to_string())
        });
        let layer = match options.build(API) {
            Ok(api) => OpenApiLayer::new(api),
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                wrong.push(format!("{name}: {error}: {source:?}"));
                continue;
            }
        };
        for (test, document, valid) in tests {
            let answer = send(&layer, post(document.to_string())).await;
            if answer.seen.is_some() != valid {
                wrong.push(format!("{name}: {test}: {}", String::from_utf8_lossy(answer.response.body())));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
