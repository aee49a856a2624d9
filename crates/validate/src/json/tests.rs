use serde_json::Value;

use super::*;

fn fault(text: impl AsRef<[u8]>) -> (&'static str, String, String) {
    let violation = check(text.as_ref(), &JsonLimits::new()).unwrap_err();
    (violation.code(), violation.pointer().unwrap(), violation.detail().to_owned())
}

#[test]
fn val_03_what_is_json_passes() {
    for text in [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1.5e+10",
        "1E-7",
        "\"\"",
        "{}",
        "[]",
        " [ 1 , 2 ] ",
        "\t\r\n{ }\n",
        r#"{"a":{"b":[{"c":null}]},"d":"\u00e9\ud83d\ude00\/\""}"#,
        r#"[{"a":1},{"a":2}]"#,
        r#"{"":0,"a":{"":1}}"#,
        "\"ü😀\u{7f}\u{2028}\"",
        "[\"12345678\\\"\",\"1234567\\\\\"]",
    ] {
        assert_eq!(check(text.as_bytes(), &JsonLimits::new()), Ok(text));
        assert!(serde_json::from_str::<Value>(text).is_ok(), "{text}");
    }
}

#[test]
fn val_03_what_is_not_json_is_refused_at_its_place() {
    for (text, pointer, at) in [
        ("", "#", 0),
        (" ", "#", 1),
        ("NaN", "#", 0),
        ("[Infinity]", "#/0", 1),
        ("[1,-Infinity]", "#/1", 4),
        ("nul", "#", 0),
        ("truee", "#", 4),
        ("01", "#", 1),
        ("1.", "#", 2),
        (".5", "#", 0),
        ("+1", "#", 0),
        ("1e", "#", 2),
        ("- 1", "#", 1),
        ("0x1", "#", 1),
        ("[1,]", "#/1", 3),
        ("[1 2]", "#/0", 3),
        ("[1}", "#/0", 2),
        ("{\"a\":1,}", "#/a", 7),
        ("{\"a\" 1}", "#/a", 5),
        ("{a:1}", "#", 1),
        ("{'a':1}", "#", 1),
        ("{\"a\":[{\"b/c\":tru}]}", "#/a/0/b~1c", 13),
        ("{} {}", "#", 3),
        ("[]//", "#", 2),
        ("\"abc", "#", 4),
        ("\"a\tb\"", "#", 2),
        ("\"\\x\"", "#", 1),
        ("\"\\u12\"", "#", 1),
        ("\"\\u+123\"", "#", 1),
        ("[[", "#/0/0", 2),
        ("\0", "#", 0),
    ] {
        let (code, seen, detail) = fault(text);
        assert_eq!((code, seen.as_str()), ("json_syntax", pointer), "{text}");
        assert!(detail.ends_with(&format!("at byte {at}")), "{text}: {detail}");
        assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
    }
}

#[test]
fn val_03_bad_encodings_are_refused() {
    for (bytes, at) in [
        (&b"\xef\xbb\xbf{}"[..], 0),
        (b"\"\xff\"", 1),
        (b"\"\xc0\xaf\"", 1),
        (b"\"\xed\xa0\x80\"", 1),
        (b"\xff\xfe{\0}\0", 0),
        (br#""\ud800""#, 1),
        (br#""\udc00""#, 1),
        (br#""\ud800\ud800""#, 1),
        (br#""\ud83dx""#, 1),
        (br#"{"\ud800":1}"#, 2),
    ] {
        let (code, _, detail) = fault(bytes);
        assert_eq!(code, "json_encoding", "{bytes:?}");
        assert!(detail.ends_with(&format!("at byte {at}")), "{bytes:?}: {detail}");
    }
}

#[test]
fn val_03_a_name_that_stands_twice_is_refused_however_it_is_written() {
    for (text, pointer) in [
        (r#"{"a":1,"a":1}"#, "#/a"),
        (r#"{"a":1,"b":{"c":1,"d":2,"c":3}}"#, "#/b/c"),
        (r#"{"a":1,"\u0061":2}"#, "#/a"),
        (r#"{"\u0061":1,"x":0,"\u0061":2,"y":1}"#, "#/a"),
        (r#"{"\ud83d\ude00":1,"😀":2}"#, "#/%F0%9F%98%80"),
        (r#"{"":1,"":2}"#, "#/"),
    ] {
        let (code, seen, _) = fault(text);
        assert_eq!((code, seen.as_str()), ("duplicate_key", pointer), "{text}");
    }
    let many = |last: &str| {
        let members: Vec<_> = (0..9_000).map(|index| format!("\"k{index}\":0")).collect();
        format!("{{{},\"{last}\":1}}", members.join(","))
    };
    assert_eq!(fault(many("k4321")).1, "#/k4321");
    assert!(check(many("k9000").as_bytes(), &JsonLimits::new()).is_ok());
}

#[test]
fn val_02_the_limits_are_exact() {
    let limits = JsonLimits::new();
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let items = |count: usize| format!("[{}]", vec!["0"; count].join(","));
    let members = |count: usize| {
        let members: Vec<_> = (0..count).map(|index| format!("\"{index}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    let key = |length: usize| format!("{{\"{}\":0}}", "k".repeat(length));
    let string = |length: usize| format!("\"{}\"", "s".repeat(length));
    let number = |length: usize| "1".repeat(length);
    let cases: [(&dyn Fn(usize) -> String, usize); 6] = [
        (&nested, limits.max_depth()),
        (&items, limits.max_members()),
        (&members, limits.max_members()),
        (&key, limits.max_key()),
        (&string, limits.max_string()),
        (&number, limits.max_number()),
    ];
    for (make, most) in cases {
        assert!(check(make(most).as_bytes(), &limits).is_ok());
        let (code, _, detail) = fault(make(most + 1));
        assert_eq!(code, "json_limit", "{detail}");
        assert!(detail.ends_with(&format!("at most {most} allowed")), "{detail}");
    }
}

#[test]
fn val_02_ten_million_levels_end_at_the_sixty_fifth() {
    let deep = vec![b'['; 10_000_000];
    let info = allocation_counter::measure(|| {
        assert_eq!(fault(&deep).0, "json_limit");
    });
    assert!(info.bytes_max < 64 * 1024, "{info:?}");
}

/// Documents that differ from JSON in a byte or two are more telling than random bytes.
fn mutated(mut text: Vec<u8>, changes: &[(u16, u8)]) -> Vec<u8> {
    const TELLING: &[u8] = b"{}[]:,\"\\u0189-+.eEtn \x00\x1f\xff\xc3";
    for (place, with) in changes.iter().take(3) {
        if !text.is_empty() {
            let place = usize::from(*place) % text.len();
            text[place] = TELLING[usize::from(*with) % TELLING.len()];
        }
    }
    text
}

const SEED: &str =
    r#"{"id":"a\u00e9\ud83d\ude00","n":[-1.5e3,0,10],"o":{"x":null,"y":true,"z":[]},"s":"tail"}"#;

#[test]
fn val_03_accepts_what_serde_json_accepts_less_what_is_stricter() {
    bolero::check!().with_type::<(Vec<u8>, Vec<(u16, u8)>)>().for_each(|(random, changes)| {
        for bytes in [random.clone(), mutated(SEED.into(), changes)] {
            let ours = check(&bytes, &JsonLimits::new());
            let theirs = serde_json::from_slice::<Value>(&bytes);
            match (&ours, &theirs) {
                (Ok(_), Ok(_)) | (Err(_), Err(_)) => {}
                // The grammar has no largest number; whoever parses one decides.
                (Ok(_), Err(error)) => {
                    assert!(error.to_string().starts_with("number out of range"), "{error}");
                }
                (Err(fault), Ok(_)) => {
                    assert!(matches!(fault.code(), "duplicate_key" | "json_limit"), "{fault:?}");
                }
            }
        }
    });
}
