//! Every rule that a test cites by its name is written down in `docs/rules.md`, and every rule written down there is cited
//! by a test.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The families of rules. A function whose name starts with one of these and a number cites a rule.
const FAMILIES: [&str; 28] = [
    "asy", "aud", "aut", "azn", "cb", "cch", "cid", "cli", "err", "evt", "grpc", "idm", "jwk", "jwt", "key",
    "lay", "log", "obs", "pop", "rl", "rt", "sec", "sf", "trc", "trf", "upl", "val", "ver",
];

/// The rules that no test cites, and why. One that a test does cite, or that is no rule, has no place here.
const WITHOUT_A_TEST: [(&str, &[&str]); 7] = [
    ("no layer writes an audit trail", &["AUD-01", "AUD-02"]),
    (
        "no layer stores results by idempotency key",
        &["IDM-01", "IDM-02", "IDM-03", "IDM-04", "IDM-05", "IDM-06", "IDM-07", "IDM-08"],
    ),
    (
        "no layer caches responses",
        &[
            "CCH-01", "CCH-02", "CCH-03", "CCH-04", "CCH-05", "CCH-06", "CCH-07", "CCH-08", "CCH-09",
            "CCH-10", "CCH-11", "CCH-12",
        ],
    ),
    (
        "no layer takes requests to be done later, or publishes events",
        &["ASY-01", "ASY-02", "ASY-03", "ASY-04", "EVT-01", "EVT-02", "EVT-03"],
    ),
    ("no layer changes bodies, or selects versions", &["TRF-01", "VER-01", "VER-02", "VER-03", "VER-04"]),
    (
        "security headers and CORS are foreign layers, which keep their places in a stack (LAY-08)",
        &["SEC-01", "SEC-02", "SEC-03", "SEC-04"],
    ),
    (
        "structured fields are read and written by the crate `sfv`, or are few and fixed (RL-02, RL-03, RL-07)",
        &["SF-01", "SF-02"],
    ),
];

#[test]
fn every_rule_is_cited_by_a_test_or_said_to_have_none() {
    let rules = rules_of(&read(&root().join("docs/rules.md")));
    let cited: BTreeSet<_> = rust_files(root())
        .iter()
        .flat_map(|file| citations_in(&read(file)).into_values().flatten())
        .collect();
    let excepted: BTreeSet<_> =
        WITHOUT_A_TEST.iter().flat_map(|(_, ids)| ids.iter().map(ToString::to_string)).collect();
    let lines = |ids: Vec<&String>| ids.iter().map(|id| id.as_str()).collect::<Vec<_>>().join("\n");

    let unproven = lines(rules.iter().filter(|id| !cited.contains(*id) && !excepted.contains(*id)).collect());
    assert!(unproven.is_empty(), "no test has these rules in its name:\n{unproven}");
    let proven = lines(excepted.iter().filter(|id| cited.contains(*id)).collect());
    assert!(proven.is_empty(), "said to have no test, and have one:\n{proven}");
    let unknown = lines(excepted.iter().filter(|id| !rules.contains(*id)).collect());
    assert!(unknown.is_empty(), "said to have no test, and are no rules:\n{unknown}");
}

#[test]
fn every_rule_that_a_test_cites_is_written_down() {
    let rules = rules_of(&read(&root().join("docs/rules.md")));
    assert!(rules.len() >= 200, "docs/rules.md holds {} rules: has its format changed?", rules.len());

    let mut cited = 0;
    let mut unknown = Vec::new();
    for file in rust_files(root()) {
        let citations = citations_in(&read(&file));
        cited += citations.len();
        for (function, ids) in citations {
            for id in ids.iter().filter(|id| !rules.contains(*id)) {
                unknown.push(format!(
                    "{}: `{function}` cites {id}",
                    file.strip_prefix(root()).unwrap_or(&file).display()
                ));
            }
        }
    }
    assert!(cited > 0, "no test cites a rule: has the way to cite changed?");
    assert!(unknown.is_empty(), "not in docs/rules.md:\n{}", unknown.join("\n"));
}

#[test]
fn the_families_are_those_of_the_rules() {
    let rules = rules_of(&read(&root().join("docs/rules.md")));
    let written: BTreeSet<_> = rules
        .iter()
        .filter_map(|id| id.split_once('-'))
        .map(|(family, _)| family.to_ascii_lowercase())
        .collect();
    assert_eq!(written, FAMILIES.iter().map(ToString::to_string).collect());
}

#[test]
fn the_finder_sees_citations_and_nothing_else() {
    // Put together here, so that this file itself cites nothing.
    let sample = "
        async FN err_03_unknown_members_are_ignored() {}
        pub(crate) FN grpc_2_written_with_one_digit() {}
        FN rl_01_and_rl_99_two_rules() {}
        FN lay_01_lay_02_two_rules_in_a_row<T>(t: T) {}
        FN version_1_of_the_api() {}
        FN err_is_shown() {}
        FN plain_sentence_about_err_05() {}
    "
    .replace("FN", "fn");
    let expected: [(&str, &[&str]); 4] = [
        ("err_03_unknown_members_are_ignored", &["ERR-03"]),
        ("grpc_2_written_with_one_digit", &["GRPC-2"]),
        ("lay_01_lay_02_two_rules_in_a_row", &["LAY-01", "LAY-02"]),
        ("rl_01_and_rl_99_two_rules", &["RL-01", "RL-99"]),
    ];
    let expected: BTreeMap<_, _> = expected
        .into_iter()
        .map(|(name, ids)| (name.to_owned(), ids.iter().map(ToString::to_string).collect::<Vec<_>>()))
        .collect();
    assert_eq!(citations_in(&sample), expected);
}

#[test]
fn the_finder_reads_rules_by_their_mark() {
    let rules =
        rules_of("- ERR-01 M Body is\n- ERR-02 maybe\n- Map: API1\nsee ERR-03 P\n- RL-10 P Fail open.\n");
    assert_eq!(rules, BTreeSet::from(["ERR-01".to_owned(), "RL-10".to_owned()]));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the workspace")
}

/// The IDs of all rules of the text: a list item that starts with an ID and a mark.
fn rules_of(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.strip_prefix("- ")?.split(' ');
            let (id, mark) = (words.next()?, words.next()?);
            (matches!(mark, "M" | "S" | "P") && id.contains('-')).then(|| id.to_owned())
        })
        .collect()
}

/// The functions of a source text that cite rules, each with the IDs it cites.
fn citations_in(source: &str) -> BTreeMap<String, Vec<String>> {
    source
        .split("fn ")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default())
        .map(|name| (name.to_owned(), ids_of(name)))
        .filter(|(_, ids)| !ids.is_empty())
        .collect()
}

/// The IDs a name begins with: `rl_01_…`, `lay_01_lay_02_…`, `rl_01_and_rl_08_…`.
fn ids_of(name: &str) -> Vec<String> {
    let mut words = name.split('_').peekable();
    let mut ids = Vec::new();
    while let Some(family) = words.next_if(|word| FAMILIES.contains(word)) {
        let is_number = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
        let Some(number) = words.next_if(is_number) else { break };
        ids.push(format!("{}-{number}", family.to_ascii_uppercase()));
        words.next_if_eq(&"and");
    }
    ids
}

fn rust_files(root: &Path) -> Vec<PathBuf> {
    let mut folders = vec![root.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display())).path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                files.push(path);
            }
        }
    }
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
