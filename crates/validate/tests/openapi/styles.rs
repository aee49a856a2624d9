//! Every style of parameters, in every place that may have it.

use bartizan_testkit::TestBody;
use http::Request;

use crate::{errors, get, layer, send};

/// A parameter `color` of this type, and a value that it must have.
fn operation(place: &str, style: &str, explode: bool, schema: &str, value: &str) -> String {
    let path = if place == "path" { "/x/{color}" } else { "/x" };
    let required = if place == "path" { ", required: true" } else { "" };
    format!(
        "paths:\n  {path}:\n    get:\n      parameters:\n        - {{ name: color, in: {place}, style: {style}, \
         explode: {explode}{required}, schema: {{ {schema}, const: {value} }} }}\n"
    )
}

const STRING: &str = "type: string";
const INTEGER: &str = "type: integer";
const LIST: &str = "type: array, items: { type: string }";
const NUMBERS: &str = "type: array, items: { type: integer }";
const OBJECT: &str =
    "type: object, properties: { R: { type: integer }, G: { type: integer }, s: { type: string } }";

#[tokio::test]
async fn val_05_every_style_is_read() {
    // The rows of the table in OpenAPI's "Style Values", and what follows from RFC 6570.
    let cases: &[(&str, &str, bool, &str, &str, &str)] = &[
        ("path", "simple", false, STRING, "blue", "blue"),
        ("path", "simple", false, INTEGER, "7", "7"),
        ("path", "simple", false, LIST, "[blue, black]", "blue,black"),
        ("path", "simple", true, LIST, "[blue, black]", "blue,black"),
        ("path", "simple", false, LIST, "['a,b', c]", "a%2Cb,c"),
        ("path", "simple", false, OBJECT, "{ R: 100, G: 200 }", "R,100,G,200"),
        ("path", "simple", true, OBJECT, "{ R: 100, G: 200 }", "R=100,G=200"),
        ("path", "label", false, STRING, "blue", ".blue"),
        ("path", "label", false, LIST, "[blue, black]", ".blue,black"),
        ("path", "label", false, LIST, "[blue, black]", ".blue.black"),
        ("path", "label", true, LIST, "[blue, black]", ".blue.black"),
        ("path", "label", false, OBJECT, "{ R: 100, G: 200 }", ".R,100,G,200"),
        ("path", "label", true, OBJECT, "{ R: 100, G: 200 }", ".R=100.G=200"),
        ("path", "matrix", false, STRING, "blue", ";color=blue"),
        ("path", "matrix", false, STRING, "''", ";color"),
        ("path", "matrix", false, NUMBERS, "[1, 2]", ";color=1,2"),
        ("path", "matrix", true, NUMBERS, "[1, 2]", ";color=1;color=2"),
        ("path", "matrix", false, OBJECT, "{ R: 100, G: 200 }", ";color=R,100,G,200"),
        ("path", "matrix", true, OBJECT, "{ R: 100, G: 200 }", ";R=100;G=200"),
        ("query", "form", true, STRING, "blue", "color=blue"),
        ("query", "form", true, STRING, "'a b+c'", "color=a+b%2Bc"),
        ("query", "form", true, STRING, "''", "color="),
        ("query", "form", true, STRING, "''", "color"),
        ("query", "form", true, LIST, "[blue, black]", "color=blue&x=1&color=black"),
        ("query", "form", true, LIST, "['a,b']", "color=a,b"),
        ("query", "form", false, LIST, "[blue, black]", "color=blue,black"),
        ("query", "form", false, LIST, "['a,b', c]", "color=a%2Cb,c"),
        ("query", "form", false, NUMBERS, "[1, 2]", "color=1,2"),
        ("query", "form", false, NUMBERS, "[]", "color="),
        ("query", "form", false, OBJECT, "{ R: 100, G: 200 }", "color=R,100,G,200"),
        (
            "query",
            "form",
            true,
            "type: object, properties: { R: { type: integer }, G: { type: integer } }, additionalProperties: false",
            "{ R: 100, G: 200 }",
            "R=100&G=200&other=1",
        ),
        ("query", "spaceDelimited", false, LIST, "[blue, black]", "color=blue%20black"),
        ("query", "spaceDelimited", false, LIST, "[blue, black]", "color=blue+black"),
        ("query", "spaceDelimited", true, LIST, "[blue, black]", "color=blue&color=black"),
        ("query", "spaceDelimited", false, OBJECT, "{ R: 100, G: 200 }", "color=R%20100%20G%20200"),
        ("query", "pipeDelimited", false, LIST, "[blue, black]", "color=blue%7Cblack"),
        ("query", "pipeDelimited", false, NUMBERS, "[1, 2, 3]", "color=1%7c2%7C3"),
        ("query", "pipeDelimited", false, OBJECT, "{ R: 100, G: 200 }", "color=R%7C100%7CG%7C200"),
        ("query", "deepObject", true, OBJECT, "{ R: 100, G: 200 }", "color[R]=100&color[G]=200"),
        ("query", "deepObject", true, OBJECT, "{ R: 100, s: '7' }", "color%5BR%5D=100&color%5Bs%5D=7"),
        (
            "query",
            "deepObject",
            true,
            "type: object, properties: { o: { properties: { n: { type: integer } } }, l: { type: array, items: { type: integer } } }",
            "{ o: { n: 1 }, l: [1, 2] }",
            "color[o][n]=1&color[l]=1&color[l][]=2",
        ),
        ("header", "simple", false, STRING, "blue", "blue"),
        ("header", "simple", false, STRING, "'50%25'", "50%25"),
        ("header", "simple", false, NUMBERS, "[1, 2]", "1, 2"),
        ("header", "simple", false, OBJECT, "{ R: 100, G: 200 }", "R, 100, G, 200"),
        ("header", "simple", true, OBJECT, "{ R: 100, G: 200 }", "R=100, G=200"),
        ("cookie", "form", true, STRING, "a b", "x=1; color=a%20b"),
        ("cookie", "form", true, INTEGER, "7", "color=7"),
        ("cookie", "form", false, NUMBERS, "[1, 2]", "color=1,2"),
        ("cookie", "form", true, NUMBERS, "[1, 2]", "color=1; color=2"),
        ("cookie", "form", false, OBJECT, "{ R: 100, G: 200 }", "color=R,100,G,200"),
    ];
    for (place, style, explode, schema, value, written) in cases {
        let layer = layer(&operation(place, style, *explode, schema, value));
        let request = match *place {
            "path" => get(&format!("/x/{written}")),
            "query" => get(&format!("/x?{written}")),
            "header" => Request::get("/x").header("Color", *written).body(TestBody::empty()).unwrap(),
            _ => Request::get("/x").header("cookie", *written).body(TestBody::empty()).unwrap(),
        };
        let answer = send(&layer, request).await;
        let told = String::from_utf8_lossy(answer.response.body()).into_owned();
        assert!(answer.seen.is_some(), "{place} {style} explode={explode} {written}: {told}");
    }
}

#[tokio::test]
async fn val_05_what_is_not_of_its_style_is_refused() {
    for (place, style, explode, schema, written, expected) in [
        ("path", "label", false, STRING, "blue", "400 path color parameter_syntax"),
        ("path", "matrix", false, STRING, ";colour=blue", "400 path color parameter_syntax"),
        ("path", "matrix", true, LIST, ";color=a;colour=b", "400 path color parameter_syntax"),
        ("path", "simple", false, OBJECT, "R,100,G", "400 path color parameter_syntax"),
        ("path", "simple", true, OBJECT, "R,100", "400 path color parameter_syntax"),
        ("path", "simple", false, STRING, "%zz", "400 path color parameter_encoding"),
        ("path", "simple", false, STRING, "%ff", "400 path color parameter_encoding"),
        ("path", "simple", false, INTEGER, "seven", "422 path color type"),
        ("query", "form", true, INTEGER, "color=1&color=2", "400 query color parameter_repeated"),
        ("query", "form", false, LIST, "color=1&color=2", "400 query color parameter_repeated"),
        ("query", "form", true, STRING, "color=%e4", "400 query color parameter_encoding"),
        ("query", "form", true, INTEGER, "color=", "422 query color type"),
        ("query", "form", true, NUMBERS, "color=1&color=x", "422 query color type"),
        ("query", "deepObject", true, OBJECT, "color[R=1", "400 query color parameter_syntax"),
        ("query", "deepObject", true, OBJECT, "color[R]x=1", "400 query color parameter_syntax"),
        ("query", "deepObject", true, OBJECT, "color[R]=1&color[R]=2", "400 query color parameter_repeated"),
        ("query", "deepObject", true, OBJECT, "color[R]=x", "422 query color type"),
        (
            "query",
            "deepObject",
            true,
            OBJECT,
            "color[a][b][c][d][e][f][g]=x",
            "400 query color parameter_syntax",
        ),
    ] {
        let operation = operation(place, style, explode, schema, "x").replace(", const: x", "");
        let answer = send(
            &layer(&operation),
            get(&if place == "path" { format!("/x/{written}") } else { format!("/x?{written}") }),
        )
        .await;
        assert!(answer.seen.is_none(), "{written}");
        assert_eq!(format!("{} {}", answer.status(), errors(&answer).join(",")), expected, "{written}");
    }
}

#[tokio::test]
async fn val_05_a_value_of_several_types_is_read_as_each() {
    let layer = layer(
        "paths:
  /x:
    get:
      parameters:
        - { name: n, in: query, schema: { anyOf: [{ type: integer, maximum: 9 }, { type: string, pattern: '^1' }] } }
        - { name: l, in: query, explode: false, schema: { oneOf: [{ type: integer }, { type: array, items: { type: integer }, minItems: 2 }] } }
        - { name: any, in: query, schema: {} }
        - { name: z, in: query, schema: { type: string, pattern: '^[0-9]+$' } }
",
    );
    let found = crate::statuses(
        &layer,
        [
            "/x?n=5",
            "/x?n=10",
            "/x?n=20",
            "/x?l=5",
            "/x?l=5,6",
            "/x?l=x",
            "/x?any=1&any=2",
            "/x?any=t",
            "/x?z=007",
        ],
    )
    .await;
    assert_eq!(found, [200, 200, 422, 200, 200, 422, 200, 200, 200]);
}
