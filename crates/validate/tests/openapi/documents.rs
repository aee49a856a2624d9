//! What a document may look like, and what is wrong with one.

use std::error::Error;

use bartizan_validate::{Formats, OpenApi, OpenApiLayer, Patterns};

use crate::{document, layer, layer_with, send, statuses, support::post};

/// The place and the words of what is wrong.
fn wrong(text: &str) -> String {
    let error = OpenApi::new(text).map(|api| panic!("{api:?}: {text}")).unwrap_err();
    error.to_string()
}

#[test]
fn lay_06_what_is_wrong_is_told_with_its_place() {
    for (paths, expected) in [
        ("paths: []", "#/paths: must be an object"),
        ("paths: { x: {} }", "#/paths/x: a path begins with `/`"),
        ("paths: { '/{a}/{a}': {} }", "#/paths/~1{a}~1{a}: a name must not be in a path twice"),
        (
            "paths: { '/a/{b}': { get: {} } }",
            "#/paths/~1a~1{b}/get: the path's `b` is no parameter of the operation",
        ),
        (
            "paths: { '/a': { get: { parameters: [{ name: b, in: path, required: true, schema: {} }] } } }",
            "#/paths/~1a/get/parameters/0/name: is not in the path",
        ),
        (
            "paths: { '/{a}': { get: { parameters: [{ name: a, in: path, schema: {} }] } } }",
            "#/paths/~1{a}/get/parameters/0: a parameter of a path must be `required`",
        ),
        (
            "paths: { '/a': { get: { parameters: [{ name: b, in: body, schema: {} }] } } }",
            "#/paths/~1a/get/parameters/0/in: must be `query`, `path`, `header` or `cookie`",
        ),
        (
            "paths: { '/a': { get: { parameters: [{ name: b, in: query }] } } }",
            "#/paths/~1a/get/parameters/0: a parameter needs a `schema`, or a `content` with one media type",
        ),
        (
            "paths: { '/a': { get: { parameters: [{ name: b, in: query, style: matrix, schema: {} }] } } }",
            "#/paths/~1a/get/parameters/0/style: is no style of parameters in this place",
        ),
        (
            "paths: { '/a': { get: { parameters: [{ name: b, in: query, schema: {} }, { name: b, in: query, schema: {} }] } } }",
            "#/paths/~1a/get/parameters/1: this parameter is there twice",
        ),
        (
            "paths: { '/a': { get: { parameters: [{ $ref: '#/components/parameters/None' }] } } }",
            "#/paths/~1a/get/parameters/0/$ref: refers to what is not there: nothing is ever fetched",
        ),
        (
            "paths: { '/a': { get: { parameters: [{ $ref: 'https://example.com/x.yaml#/p' }] } } }",
            "#/paths/~1a/get/parameters/0/$ref: refers to what is not there: nothing is ever fetched",
        ),
        (
            "paths: { '/a': { $ref: '#/paths/~1a' } }",
            "#/paths/~1a: refers to itself, or through too many references",
        ),
        ("paths: { '/a': { $ref: '#/x', get: {} } }", "#/paths/~1a: has operations beside a `$ref`"),
        (
            "paths: { '/{a}': { get: { parameters: [{ name: a, in: path, required: true, schema: {} }] } }, '/{b}': { get: { parameters: [{ name: b, in: path, required: true, schema: {} }] } } }",
            "#/paths/~1{b}/get: is the same path as `/{a}`",
        ),
        (
            "paths: { '/a': { post: { requestBody: { content: { json: {} } } } } }",
            "#/paths/~1a/post/requestBody/content/json: is no media type, and no range of them",
        ),
        (
            "components: { schemas: { A: { properties: { b: { type: strin } } } } }",
            "#/components/schemas/A/properties/b/type: is not what a schema has here",
        ),
        (
            "components: { schemas: { A: { minimum: 1, exclusiveMinimum: true } } }",
            "#/components/schemas/A/exclusiveMinimum: is not what a schema has here",
        ),
        ("components: { schemas: { A: 7 } }", "#/components/schemas/A: must be a schema"),
        (
            "paths: { '/a': { post: { requestBody: { content: { application/json: { schema: { pattern: '(?=a)' } } } } } } }",
            "#/paths/~1a/post/requestBody/content/application~1json/schema: the schema cannot be compiled",
        ),
        (
            "paths: { '/a': { post: { requestBody: { content: { application/json: { schema: { $ref: '#/none' } } } } } } }",
            "#/paths/~1a/post/requestBody/content/application~1json/schema: the schema cannot be compiled",
        ),
        ("security: [{ key: [] }]", "#/security/0/key: is no security scheme of the document"),
        (
            "jsonSchemaDialect: https://example.com/own",
            "#/jsonSchemaDialect: must be OpenAPI's own dialect or one of JSON Schema's drafts, 4 or later",
        ),
        ("servers: {}\npaths: {}", "#/servers: must be a list"),
        ("servers: [{}]\npaths: {}", "#/servers/0: a server needs a `url`"),
        (
            "servers: [{ url: '/{v}' }]\npaths: { /a: { get: {} } }",
            "#/servers/0: the `url` names a variable that the server does not have",
        ),
    ] {
        assert_eq!(wrong(&document(paths)), expected, "{paths}");
    }
    assert_eq!(wrong("{}"), "#/openapi: must say which version of OpenAPI this is, as a string");
    assert_eq!(wrong("openapi: 2.0.0"), "#/openapi: must be a version 3.0 or 3.1");
    assert_eq!(wrong("swagger: '2.0'"), "#/openapi: must say which version of OpenAPI this is, as a string");
    let error = OpenApi::new("a: [").unwrap_err();
    assert_eq!(error.to_string(), "#: is neither YAML nor JSON");
    assert!(error.source().unwrap().to_string().contains("line"), "{:?}", error.source());
    let error = OpenApi::options().with_base_path("v1").build(&document("paths: {}")).unwrap_err();
    assert_eq!(error.place(), "base_path");
    let error =
        OpenApi::options().with_document("x.yaml#/a", "{}").build(&document("paths: {}")).unwrap_err();
    assert_eq!(error.place(), "x.yaml#/a");
    let error = OpenApi::options()
        .with_patterns(Patterns::Backtracking { steps: 0 })
        .build(&document("paths: { /a: { get: { parameters: [{ name: b, in: query, schema: {} }] } } }"))
        .unwrap_err();
    assert_eq!(error.place(), "patterns");
}

#[tokio::test]
async fn val_05_json_and_yaml_say_the_same() {
    let yaml = "
paths:
  /a:
    get:
      parameters: [{ name: n, in: query, schema: { type: integer } }]
      responses: { 200: { description: ok } }
";
    let json = r#"{"openapi":"3.1.0","info":{"title":"Test","version":"1"},"paths":{"/a":{"get":{
        "parameters":[{"name":"n","in":"query","schema":{"type":"integer"}}],
        "responses":{"200":{"description":"ok"}}}}}}"#;
    let layers = [layer(yaml), OpenApiLayer::new(OpenApi::new(json).unwrap())];
    for layer in layers {
        assert_eq!(statuses(&layer, ["/a?n=1", "/a?n=x"]).await, [200, 422]);
    }
    let twice = r#"{"openapi":"3.1.0","paths":{"/a":{},"/a":{}}}"#;
    assert_eq!(wrong(twice), "#: is neither YAML nor JSON");
}

const OLD: &str = "
openapi: 3.0.3
info: { title: Test, version: '1' }
paths:
  /orders:
    get:
      parameters:
        - { name: n, in: query, schema: { type: integer, minimum: 0, exclusiveMinimum: true, maximum: 9 } }
    post:
      requestBody: { content: { application/json: { schema: { $ref: '#/components/schemas/Order' } } } }
components:
  schemas:
    Order:
      type: object
      example: { anything: goes }
      discriminator: { propertyName: kind }
      properties:
        note: { type: string, nullable: true, example: 7 }
        kind: { type: string, enum: [a, null], nullable: true }
        list: { type: array, items: { type: number, maximum: 5, exclusiveMaximum: true } }
        other: { allOf: [{ $ref: '#/components/schemas/Note' }], nullable: true }
        sibling: { $ref: '#/components/schemas/Note', maxLength: 1 }
        parent: { $ref: '#/components/schemas/Order' }
    Note: { type: string }
";

#[tokio::test]
async fn val_05_schemas_of_3_0_mean_what_they_meant() {
    let layer = OpenApiLayer::new(OpenApi::new(OLD).unwrap());
    assert_eq!(
        statuses(&layer, ["/orders?n=1", "/orders?n=0", "/orders?n=9", "/orders?n=10"]).await,
        [200, 422, 200, 422]
    );
    for (body, expected) in [
        (r#"{"note":null,"kind":null,"list":[4.9],"sibling":"long"}"#, ""),
        (r#"{"note":7}"#, "#/note type"),
        (r#"{"list":[5]}"#, "#/list/0 exclusive_maximum"),
        // It has no type of its own that null could be added to.
        (r#"{"other":null}"#, "#/other type"),
        (r#"{"parent":{"parent":{"note":1}}}"#, "#/parent/parent/note type"),
    ] {
        let answer = send(&layer, post(body)).await;
        let found = if answer.seen.is_some() { String::new() } else { answer.errors().join(",") };
        assert_eq!(found, expected, "{body}");
    }
    assert!(OpenApi::new(&OLD.replace("3.0.3", "3.1.0")).is_err(), "a boolean is no bound there");
    let scoped = "
openapi: 3.0.3
paths: {}
security: [{ key: [a] }]
components: { securitySchemes: { key: { type: apiKey, in: header, name: k } } }
";
    assert_eq!(wrong(scoped), "#/security/0/key: must be empty: the scheme has no scopes");
}

#[tokio::test]
async fn val_05_references_reach_everywhere_and_other_documents() {
    let paths = "
paths:
  /a: { $ref: 'paths.yaml#/a' }
  /b:
    post:
      requestBody: { $ref: '#/components/requestBodies/B' }
components:
  requestBodies:
    B: { $ref: '#/components/requestBodies/C' }
    C: { content: { application/json: { schema: { $ref: 'https://example.com/tree#/$defs/tree' } } } }
";
    let options = OpenApi::options()
        .with_document(
            "paths.yaml",
            "a: { get: { parameters: [{ $ref: '#/p' }] } }\np: { name: n, in: query, schema: { $ref: 'schemas/n.yaml' } }",
        )
        .with_document("schemas/n.yaml", "{ type: integer, minimum: 3 }")
        .with_document(
            "https://example.com/tree",
            r##"{"$defs":{"tree":{"type":"object","properties":{"next":{"$ref":"#/$defs/tree"}},"additionalProperties":false}}}"##,
        );
    let layer = layer_with(paths, options);
    assert_eq!(statuses(&layer, ["/a?n=3", "/a?n=2", "/a?n=x"]).await, [200, 422, 422]);
    let mut request = post(r#"{"next":{"next":{"x":1}}}"#);
    *request.uri_mut() = "/b".parse().unwrap();
    assert_eq!(send(&layer, request).await.errors(), ["#/next/next/x additional_properties"]);
}

#[tokio::test]
async fn val_04_dialects_ids_and_dynamic_references() {
    let layer = layer(
        "
paths:
  /draft7: { post: { requestBody: { content: { application/json: { schema: { $schema: 'http://json-schema.org/draft-07/schema#', items: [{ type: string }] } } } } } }
  /oas: { post: { requestBody: { content: { application/json: { schema: { $schema: 'https://spec.openapis.org/oas/3.1/dialect/base', prefixItems: [{ type: string }] } } } } } }
  /id: { post: { requestBody: { content: { application/json: { schema: { $id: 'https://example.com/t', $dynamicAnchor: n, type: object, properties: { c: { items: { $dynamicRef: '#n' } } } } } } } } }
  /anchor: { post: { requestBody: { content: { application/json: { schema: { $ref: '#here' } } } } } }
  /named: { post: { requestBody: { content: { application/json: { schema: { $ref: 'https://example.com/t2#/properties/x' } } } } } }
  /whole: { post: { requestBody: { content: { application/json: { schema: { $ref: '#/components/schemas/C' } } } } } }
  /part: { post: { requestBody: { content: { application/json: { schema: { allOf: [{ $ref: '#/components/schemas/C/properties/x' }] } } } } } }
  /bool: { post: { requestBody: { content: { application/json: { schema: false } } } } }
  /uneval: { post: { requestBody: { content: { application/json: { schema: { $ref: '#/components/schemas/A', unevaluatedProperties: false } } } } } }
components:
  schemas:
    A: { properties: { a: {} } }
    B: { properties: { b: { $anchor: here, type: integer } } }
    C: { $id: 'https://example.com/t2', properties: { x: { $ref: '#/$defs/y' } }, $defs: { y: { type: integer } } }
",
    );
    for (path, body, expected) in [
        ("/draft7", "[1]", "#/0 type"),
        ("/oas", "[1]", "#/0 type"),
        ("/id", r#"{"c":[{"c":[1]}]}"#, "#/c/0/c/0 type"),
        ("/anchor", r#""x""#, "# type"),
        ("/named", r#""x""#, "# type"),
        ("/whole", r#"{"x":"x"}"#, "#/x type"),
        ("/part", r#""x""#, "# type"),
        ("/bool", "1", "# false_schema"),
        ("/uneval", r#"{"a":1,"b":1}"#, "#/b unevaluated_properties"),
    ] {
        let mut request = post(body);
        *request.uri_mut() = path.parse().unwrap();
        assert_eq!(send(&layer, request).await.errors(), [expected], "{path}");
    }
}

#[test]
fn val_05_the_report_tells_what_is_not_judged_and_what_does_not_fit() {
    let api = OpenApi::new(&document(
        "
servers: [{ url: /v1 }]
paths:
  /a/{x}:
    parameters: [{ name: x, in: path, required: true, schema: {} }]
    get: {}
    post: {}
    put: { requestBody: { content: { text/csv: {}, application/json: { schema: {} } } } }
    patch: { requestBody: { content: { application/json: { schema: {} } } } }
",
    ))
    .unwrap();
    let report = api.report();
    assert_eq!(report.operations(), ["GET /v1/a/{x}", "PATCH /v1/a/{x}", "POST /v1/a/{x}", "PUT /v1/a/{x}"]);
    assert_eq!(report.without_schema(), ["POST /v1/a/{x}", "PUT /v1/a/{x}"]);
    let compared = report.clone().against(["GET /v1/a/{id}", "PUT /v1/a/{id}", "/v1/b"]);
    assert_eq!(compared.missing_routes(), ["PATCH /v1/a/{x}", "POST /v1/a/{x}"]);
    assert_eq!(compared.undocumented_routes(), ["/v1/b"]);
    assert!(!compared.is_clean());
    assert!(report.against(["/v1/a/{id}"]).missing_routes().is_empty());
    assert!(compared.to_string().contains("routed, and not described: /v1/b\n"), "{compared}");
}

#[test]
fn lay_06_any_document_is_read_without_a_panic() {
    bolero::check!().with_type::<(String, u16, u8)>().for_each(|(text, place, with)| {
        let _ = OpenApi::new(text);
        let mut bytes = OLD.as_bytes().to_vec();
        let place = usize::from(*place) % bytes.len();
        bytes[place] = b"{}[]:,'-#&*! \n\t0aZ$/"[usize::from(*with) % 20];
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = OpenApi::options().with_formats(Formats::Assert).build(&text);
        }
    });
}
