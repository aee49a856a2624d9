//! What the umbrella crate says of its features, and what it says to put into a `Cargo.toml`.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    process::Command,
};

use serde_json::Value;

const ROOT_README: &str = include_str!("../../README.md");
const README: &str = include_str!("../../crates/bartizan/README.md");
const PRELUDE: &str = include_str!("../../crates/bartizan/src/prelude.rs");

/// Each feature of a crate, with what it turns on.
type Features = BTreeMap<String, Vec<String>>;

/// The crates of the workspace, with their features.
struct Workspace(Vec<Value>);

impl Workspace {
    fn read() -> Self {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs the tests");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
        Self(metadata["packages"].as_array().expect("the workspace has packages").clone())
    }

    fn package(&self, name: &str) -> &Value {
        self.0.iter().find(|package| package["name"] == name).unwrap_or_else(|| panic!("no crate is {name}"))
    }

    fn features(&self, name: &str) -> Features {
        serde_json::from_value(self.package(name)["features"].clone()).expect("features are lists of names")
    }

    /// The crates of ours that the umbrella brings together.
    fn members(&self) -> impl Iterator<Item = &str> {
        let dependencies = self.package("bartizan")["dependencies"].as_array().expect("it has some");
        dependencies
            .iter()
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|name| name.starts_with("bartizan-"))
    }
}

/// All that `feature` turns on within its crate, itself included.
fn closure(features: &Features, feature: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut next = vec![feature.to_owned()];
    while let Some(feature) = next.pop() {
        if let Some(more) = features.get(&feature)
            && reached.insert(feature)
        {
            next.extend(more.iter().cloned());
        }
    }
    reached
}

/// The rows of the table of features: the name, and whether `full` has it.
fn table() -> BTreeMap<&'static str, bool> {
    let mut rows = BTreeMap::new();
    for line in README.lines().skip_while(|line| !line.starts_with("| feature |")).skip(2) {
        let Some(row) = line.strip_prefix("| `") else { break };
        let (name, rest) = row.split_once("` |").expect("a name and more");
        let (in_full, what) = rest.split_once('|').expect("three columns");
        assert!(what.trim_end_matches('|').trim().len() > 1, "{name} says what it brings");
        assert!(rows.insert(name, in_full.trim() == "✓").is_none(), "{name} has two rows");
    }
    rows
}

#[test]
fn the_table_has_each_feature_once_and_no_other() {
    let features = Workspace::read().features("bartizan");
    let table = table();
    let missing: Vec<_> = features.keys().filter(|name| !table.contains_key(name.as_str())).collect();
    assert!(missing.is_empty(), "not in the table of crates/bartizan/README.md: {missing:?}");
    let unknown: Vec<_> = table.keys().filter(|name| !features.contains_key(**name)).collect();
    assert!(unknown.is_empty(), "no features of the crate: {unknown:?}");

    let full = closure(&features, "full");
    let wrong: Vec<_> = table
        .iter()
        .filter(|(name, in_full)| **name != "full" && full.contains(**name) != **in_full)
        .map(|(name, _)| name)
        .collect();
    assert!(wrong.is_empty(), "the column `full` is wrong for {wrong:?}");
}

#[test]
fn every_feature_of_every_crate_is_within_reach() {
    let workspace = Workspace::read();
    let enabled: BTreeSet<String> =
        workspace.features("bartizan").into_values().flatten().map(|name| name.replace("?/", "/")).collect();
    let mut out_of_reach = Vec::new();
    let mut members = 0;
    for member in workspace.members() {
        members += 1;
        let features = workspace.features(member);
        let reached: BTreeSet<String> = enabled
            .iter()
            .filter_map(|name| name.strip_prefix(member)?.strip_prefix('/'))
            .flat_map(|feature| closure(&features, feature))
            .collect();
        let missed = features.keys().filter(|name| *name != "default" && !reached.contains(*name));
        out_of_reach.extend(missed.map(|feature| format!("{member}/{feature}")));
    }
    assert!(members > 10, "the umbrella brings together {members} crates");
    assert!(out_of_reach.is_empty(), "no feature of the umbrella turns on {out_of_reach:#?}");
}

/// The names of layers among the words of a text.
fn layers(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| word.starts_with(char::is_uppercase) && word.ends_with("Layer")).collect()
}

/// What is named like a layer and is none to choose: traits, what `push` makes, and layers that others are made of.
const NO_LAYERS: [&str; 7] = [
    "ClientLayer",
    "IntoLayer",
    "Layer",
    "OptionalLayer",
    "ServerLayer",
    "ValidateLayer",
    "ValidateResponseLayer",
];

#[test]
fn the_table_and_the_prelude_have_every_layer_of_every_crate() {
    let workspace = Workspace::read();
    let table = ROOT_README.split("\n## ").find(|chapter| chapter.starts_with("The layers\n"));
    let (table, prelude) = (layers(table.expect("the README has a table of layers")), layers(PRELUDE));
    let mut count = 0;
    for member in workspace.members() {
        let manifest = Path::new(workspace.package(member)["manifest_path"].as_str().expect("a path"));
        let code = fs::read_to_string(manifest.with_file_name("src/lib.rs")).expect("a library");
        for export in code.split("pub use ").skip(1).filter_map(|export| export.split(';').next()) {
            for layer in layers(export).into_iter().filter(|layer| !NO_LAYERS.contains(layer)) {
                assert!(table.contains(layer), "{layer} of {member} is not in the README's table");
                assert!(prelude.contains(layer), "{layer} of {member} is not in the prelude");
                count += 1;
            }
        }
    }
    assert!(count > 25, "{count} layers: are they exported in another way?");
}

/// The manifests to copy, without `[dependencies]`.
fn manifests(readme: &str) -> Vec<&str> {
    let blocks = readme.split("```toml\n[dependencies]\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap_or_default()).collect()
}

#[test]
fn both_pages_say_the_same_dependencies() {
    assert_eq!(manifests(README).len(), 2, "one for axum, one for tonic");
    assert_eq!(manifests(README), manifests(ROOT_README));
}

/// The first example of the project's README, over axum.
fn over_axum() -> String {
    let block = ROOT_README.split("```rust\n").nth(1).and_then(|block| block.split("```").next());
    let block = block.expect("a stack in thirty lines");
    block.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

const OVER_TONIC: &str = r#"
use bartizan::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let stack = Stack::server()
        .push(ProblemLayer::new())
        .push(CorrelationIdLayer::new())
        .push(TraceContextLayer::new())
        .push(MetricsLayer::new())
        .push(AccessLogLayer::json(std::io::stdout()))
        .push(NormalizeLayer::new())
        .push(ClientAddrLayer::peer())
        .push(RateLimitLayer::new("200/s burst 400".parse()?).by(PerClientAddr))
        .push(ApiKeyLayer::new(StaticKeys::new([])?))
        .push(RateLimitLayer::new("50/s".parse()?).by(PerPrincipal));
    let mut server = tonic::transport::Server::builder().layer(stack.build());
    let _ = server.add_routes(tonic::service::Routes::default());
    Ok(())
}
"#;

#[test]
#[ignore = "builds two packages and all they depend on: `cargo xtask features` does"]
fn the_dependencies_to_copy_are_enough() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder of the workspace");
    let programs = [("over-axum", over_axum()), ("over-tonic", OVER_TONIC.to_owned())];
    for ((name, program), dependencies) in programs.into_iter().zip(manifests(README)) {
        let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let (_, rest) = dependencies.split_once("git = \"").expect("where bartizan comes from");
        let (git, _) = rest.split_once('"').expect("an address");
        let path = root.join("crates/bartizan");
        let dependencies = dependencies.replace(&format!("git = \"{git}\""), &format!("path = {path:?}"));
        let manifest = format!(
            "[package]\nname = \"{name}\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{dependencies}"
        );
        fs::create_dir_all(package.join("src")).expect("a folder for tests can be made");
        fs::write(package.join("Cargo.toml"), manifest).expect("and written to");
        fs::write(package.join("src/main.rs"), program).expect("and written to");
        // The versions that the workspace is tested with.
        fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).expect("and written to");
        let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["check", "--quiet", "--target-dir"])
            .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("copied"))
            .current_dir(&package)
            .status()
            .expect("cargo runs the tests");
        assert!(status.success(), "{name} does not compile with {dependencies}");
    }
}
