//! Under which paths a service answers.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{OpenApiError, document::Place};

/// The most paths that the variables of one server may make.
const MAX_PATHS: usize = 256;

/// The base paths of the servers that `holder` lists, without a slash at their end; `None` when it lists none.
pub(super) fn base_paths(
    holder: &Map<String, Value>,
    place: &Place,
) -> Result<Option<Vec<String>>, OpenApiError> {
    let Some(servers) = holder.get("servers") else { return Ok(None) };
    let place = place.child("servers");
    let Value::Array(servers) = servers else { return Err(OpenApiError::at(&place, "must be a list")) };
    let mut paths = BTreeSet::new();
    for (at, server) in servers.iter().enumerate() {
        let place = place.child(&at.to_string());
        let url = server
            .get("url")
            .and_then(Value::as_str)
            .ok_or_else(|| OpenApiError::at(&place, "a server needs a `url`"))?;
        for url in substituted(url, server.get("variables"), &place)? {
            let path = path_of(&url);
            if path.contains(['{', '}']) {
                return Err(OpenApiError::at(
                    &place,
                    "the `url` names a variable that the server does not have",
                ));
            }
            paths.insert(path);
        }
    }
    Ok((!paths.is_empty()).then(|| paths.into_iter().collect()))
}

/// The URL with each value that its variables may have.
fn substituted(url: &str, variables: Option<&Value>, place: &Place) -> Result<Vec<String>, OpenApiError> {
    let mut urls = vec![url.to_owned()];
    let Some(Value::Object(variables)) = variables else { return Ok(urls) };
    for (name, variable) in variables {
        let mark = format!("{{{name}}}");
        if !url.contains(&mark) {
            continue;
        }
        let listed = variable.get("enum").and_then(Value::as_array).into_iter().flatten();
        let values: BTreeSet<_> = listed.chain(variable.get("default")).filter_map(Value::as_str).collect();
        if values.is_empty() {
            return Err(OpenApiError::at(&place.child("variables").child(name), "needs a `default`"));
        }
        urls = urls.iter().flat_map(|url| values.iter().map(|value| url.replace(&mark, value))).collect();
        if urls.len() > MAX_PATHS {
            return Err(OpenApiError::at(place, "has too many values of variables"));
        }
    }
    Ok(urls)
}

/// The path of a URL, which may be relative, without a slash at its end.
fn path_of(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => match url.strip_prefix("//") {
            Some(rest) => rest.find('/').map_or("", |at| &rest[at..]),
            None => url,
        },
    };
    let path = path.trim_start_matches("./").trim_end_matches('/');
    if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn val_05_the_base_path_is_that_of_the_servers() {
        for (servers, expected) in [
            (json!([{ "url": "https://api.example.com/v1/" }, { "url": "/v2" }]), vec!["/v1", "/v2"]),
            (json!([{ "url": "https://api.example.com" }]), vec![""]),
            (json!([{ "url": "https://api.example.com:8443/a/b?x#y" }]), vec!["/a/b"]),
            (
                json!([{ "url": "//api.example.com/v1" }, { "url": "v3" }, { "url": "./v4" }]),
                vec!["/v1", "/v3", "/v4"],
            ),
            (
                json!([{ "url": "https://{host}/{base}/x", "variables": {
                    "host": { "default": "a" }, "base": { "default": "v1", "enum": ["v1", "v2"] },
                } }]),
                vec!["/v1/x", "/v2/x"],
            ),
        ] {
            let holder = Map::from_iter([("servers".to_owned(), servers.clone())]);
            let found = base_paths(&holder, &Place::root()).unwrap().unwrap();
            assert_eq!(found, expected, "{servers}");
        }
        assert_eq!(base_paths(&Map::new(), &Place::root()).unwrap(), None);
    }
}
