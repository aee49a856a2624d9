//! Members cut out of a JSON text, which stays as it is otherwise.

use std::{borrow::Cow, collections::HashMap};

/// The path of a member, from the root.
pub(super) type Path = Vec<Cow<'static, str>>;

/// `text`, which is JSON, without the members at `paths`. Takes time linear in both.
pub(super) fn cut(text: &str, paths: &[Path]) -> String {
    let mut tree = Tree::default();
    for path in paths {
        tree.insert(path);
    }
    let mut cutter = Cutter { text, at: 0, out: String::with_capacity(text.len()) };
    cutter.value(Some(&tree));
    cutter.copy(text.len());
    cutter.out
}

/// What is to be cut at and below a place.
#[derive(Default)]
struct Tree<'a> {
    cut: bool,
    below: HashMap<&'a str, Self>,
}

impl<'a> Tree<'a> {
    fn insert(&mut self, path: &'a [Cow<'static, str>]) {
        let mut node = self;
        for segment in path {
            node = node.below.entry(segment).or_default();
        }
        node.cut = true;
    }
}

struct Cutter<'a> {
    text: &'a str,
    /// What lies before was copied or cut.
    at: usize,
    out: String,
}

impl Cutter<'_> {
    fn copy(&mut self, end: usize) {
        self.out.push_str(&self.text[self.at..end]);
        self.at = end;
    }

    fn peek(&self, at: usize) -> u8 {
        self.text.as_bytes().get(at).copied().unwrap_or_default()
    }

    fn space(&self, mut at: usize) -> usize {
        while self.peek(at).is_ascii_whitespace() {
            at += 1;
        }
        at
    }

    /// Copies one value, without what `tree` cuts below it.
    fn value(&mut self, tree: Option<&Tree<'_>>) {
        let start = self.space(self.at);
        match (tree, self.peek(start)) {
            (Some(tree), b'{') => self.object(start, tree),
            (Some(tree), b'[') => self.array(start, tree),
            _ => self.copy(self.end(start)),
        }
    }

    fn object(&mut self, start: usize, tree: &Tree<'_>) {
        self.copy(start + 1);
        let mut kept = false;
        loop {
            let name = self.space(self.at);
            if self.peek(name) != b'"' {
                return self.copy(name + 1);
            }
            let name_end = self.end(name);
            let value = self.space(self.space(name_end) + 1);
            let known: Cow<'_, str> =
                serde_json::from_str(&self.text[name..name_end]).map_or_else(|_| "".into(), Cow::Owned);
            let below = tree.below.get(&*known);
            if below.is_some_and(|below| below.cut) {
                self.at = self.end(value);
            } else {
                if kept {
                    self.out.push(',');
                }
                kept = true;
                self.copy(value);
                self.value(below);
            }
            let end = self.space(self.at);
            if self.peek(end) == b',' {
                self.at = end + 1;
            } else {
                return self.copy(end + 1);
            }
        }
    }

    fn array(&mut self, start: usize, tree: &Tree<'_>) {
        self.copy(start + 1);
        for index in 0.. {
            let item = self.space(self.at);
            if self.peek(item) == b']' {
                return self.copy(item + 1);
            }
            self.value(tree.below.get(index.to_string().as_str()));
            let end = self.space(self.at);
            let more = self.peek(end) == b',';
            self.copy(end + 1);
            if !more {
                return;
            }
        }
    }

    /// Where the value that begins at `at` ends.
    fn end(&self, mut at: usize) -> usize {
        let bytes = self.text.as_bytes();
        let mut depth = 0_usize;
        let mut string = false;
        while at < bytes.len() {
            match (bytes[at], string) {
                (b'\\', true) => at += 1,
                (b'"', true) => {
                    string = false;
                    if depth == 0 {
                        return at + 1;
                    }
                }
                (_, true) => {}
                (b'"', false) => string = true,
                (b'{' | b'[', false) => depth += 1,
                (b'}' | b']', false) if depth == 0 => return at,
                (b'}' | b']', false) => {
                    depth -= 1;
                    if depth == 0 {
                        return at + 1;
                    }
                }
                (b',' | b' ' | b'\n' | b'\r' | b'\t', false) if depth == 0 => return at,
                _ => {}
            }
            at += 1;
        }
        at.min(bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn path(text: &str) -> Path {
        text.split('/').skip(1).map(|part| Cow::Owned(part.to_owned())).collect()
    }

    #[test]
    fn val_05_a_member_is_cut_and_nothing_else_changes() {
        for (text, paths, expected) in [
            (r#"{"id":1,"a":2}"#, vec!["/id"], r#"{"a":2}"#),
            (r#"{"a": 2 , "id" : {"x":"}"} }"#, vec!["/id"], r#"{"a": 2 }"#),
            (r#"{"id":1}"#, vec!["/id"], "{}"),
            (r#" { "a":1.0 , "id":"\"]", "b":[ 1 ] } "#, vec!["/id"], r#" { "a":1.0, "b":[ 1 ] } "#),
            (
                r#"{"a":[{"id":1,"b":2},{"b":3,"id":4}],"id":5}"#,
                vec!["/a/1/id"],
                r#"{"a":[{"id":1,"b":2},{"b":3}],"id":5}"#,
            ),
            (r#"{"a":[{"id":1},[]],"x":{"id":2}}"#, vec!["/a/0/id", "/x/id"], r#"{"a":[{},[]],"x":{}}"#),
            (r#"{"\u0069d":1,"b":"ü"}"#, vec!["/id"], r#"{"b":"ü"}"#),
            (r#"{"a":1}"#, vec!["/b", "/a/b"], r#"{"a":1}"#),
            ("[]", vec!["/0"], "[]"),
            ("7", vec!["/a"], "7"),
        ] {
            let paths: Vec<_> = paths.into_iter().map(path).collect();
            assert_eq!(cut(text, &paths), expected, "{text}");
        }
    }

    #[test]
    fn val_02_many_cuts_take_linear_time() {
        let items = |item: &str| format!("[{}]", vec![item; 100_000].join(","));
        let paths: Vec<_> = (0..100_000).map(|index| path(&format!("/{index}/id"))).collect();
        // In time squared, this would take minutes.
        assert_eq!(cut(&items(r#"{"id":1}"#), &paths), items("{}"));
    }

    #[test]
    fn val_05_what_is_left_is_the_document_less_its_member() {
        bolero::check!().with_type::<(Vec<u8>, String)>().for_each(|(bytes, name)| {
            let Ok(Value::Object(mut object)) = serde_json::from_slice::<Value>(bytes) else {
                let text = format!("{{\"a\":[{{{}:1,\"b\":2}}]}}", Value::from(name.as_str()));
                let left: Value =
                    serde_json::from_str(&cut(&text, &[vec!["a".into(), "0".into(), name.clone().into()]]))
                        .unwrap();
                assert_eq!(left["a"][0].get(name), None);
                return;
            };
            let text = Value::Object(object.clone()).to_string();
            let Some(first) = object.keys().next().cloned() else { return };
            object.remove(&first);
            let left: Value = serde_json::from_str(&cut(&text, &[vec![first.into()]])).unwrap();
            assert_eq!(left, Value::Object(object));
        });
    }
}
