//! From a path to what is at it.

use std::collections::HashMap;

use crate::params::{Plus, Segment, Template, decode};

/// Path templates, and a number for each. Concrete segments win over templated ones, the first that differ.
#[derive(Debug)]
pub(super) struct Routes {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, usize>,
    /// The most telling first.
    patterns: Vec<(Segment, usize)>,
    route: Option<usize>,
}

impl Routes {
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::default()] }
    }

    /// Adds a template; when there is one that matches the same paths, its number.
    pub(super) fn insert(&mut self, template: &Template, route: usize) -> Result<(), usize> {
        let mut at = 0;
        for segment in &template.segments {
            at = self.child(at, segment);
        }
        match self.nodes[at].route {
            Some(known) => Err(known),
            None => {
                self.nodes[at].route = Some(route);
                Ok(())
            }
        }
    }

    fn child(&mut self, at: usize, segment: &Segment) -> usize {
        let next = self.nodes.len();
        let node = &mut self.nodes[at];
        let child = match segment {
            Segment::Literal(literal) => *node.literals.entry(literal.clone()).or_insert(next),
            Segment::Pattern(_) => {
                let segment = segment.anonymous();
                match node.patterns.iter().find(|(known, _)| *known == *segment) {
                    Some((_, child)) => *child,
                    None => {
                        node.patterns.push((segment.into_owned(), next));
                        node.patterns.sort_by_key(|(segment, _)| std::cmp::Reverse(segment.fixed()));
                        next
                    }
                }
            }
        };
        if child == next {
            self.nodes.push(Node::default());
        }
        child
    }

    /// The number of the template that matches `path`, and what stands for its names.
    ///
    /// Each node lies at one depth and is tried at most once, so that no path costs more than the templates do.
    pub(super) fn find<'p>(&self, path: &'p str) -> Option<(usize, Vec<&'p str>)> {
        let mut captures = Vec::new();
        let route = self.walk(0, path.strip_prefix('/')?, &mut captures)?;
        Some((route, captures))
    }

    fn walk<'p>(&self, at: usize, path: &'p str, captures: &mut Vec<&'p str>) -> Option<usize> {
        let (raw, rest) = match path.split_once('/') {
            Some((raw, rest)) => (raw, Some(rest)),
            None => (path, None),
        };
        let node = &self.nodes[at];
        let go = |child: usize, captures: &mut Vec<&'p str>| match rest {
            Some(rest) => self.walk(child, rest, captures),
            None => self.nodes[child].route,
        };
        let literal = if raw.contains('%') {
            decode(raw, Plus::Literal).ok().and_then(|text| node.literals.get(&*text))
        } else {
            node.literals.get(raw)
        };
        if let Some(found) = literal.and_then(|child| go(*child, captures)) {
            return Some(found);
        }
        for (segment, child) in &node.patterns {
            let Segment::Pattern(pattern) = segment else { continue };
            let before = captures.len();
            if pattern.capture(raw, captures)
                && let Some(found) = go(*child, captures)
            {
                return Some(found);
            }
            captures.truncate(before);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(templates: &[&str]) -> Routes {
        let mut routes = Routes::new();
        for (at, template) in templates.iter().enumerate() {
            routes.insert(&Template::parse(template).unwrap(), at).unwrap();
        }
        routes
    }

    #[test]
    fn val_05_concrete_paths_win_over_templated_ones() {
        let routes = routes(&[
            "/pets/{id}",
            "/pets/mine",
            "/pets/{id}/toys",
            "/pets/mine/toys/{toy}",
            "/files/{name}",
            "/files/{name}.json",
            "/",
            "/a/{x}/c",
            "/a/b/{y}",
        ]);
        for (path, expected) in [
            ("/pets/7", Some((0, vec!["7"]))),
            ("/pets/mine", Some((1, vec![]))),
            ("/pets/%6Dine", Some((1, vec![]))),
            // The concrete way is a dead end.
            ("/pets/mine/toys", Some((2, vec!["mine"]))),
            ("/pets/mine/toys/ball", Some((3, vec!["ball"]))),
            ("/files/a.json", Some((5, vec!["a"]))),
            ("/files/.json", Some((4, vec![".json"]))),
            ("/", Some((6, vec![]))),
            ("/a/b/c", Some((8, vec!["c"]))),
            ("/a/x/c", Some((7, vec!["x"]))),
            ("/pets", None),
            ("/pets/", None),
            ("/pets//toys", None),
            ("/Pets/7", None),
            ("/pets%2F7", None),
            ("/./pets/7", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(routes.find(path), expected, "{path}");
        }
    }

    #[test]
    fn lay_06_templates_of_the_same_paths_are_told() {
        let mut routes = routes(&["/pets/{id}"]);
        assert_eq!(routes.insert(&Template::parse("/pets/{name}").unwrap(), 1), Err(0));
        assert_eq!(routes.insert(&Template::parse("/pets/x{name}").unwrap(), 1), Ok(()));
    }

    #[test]
    fn val_05_no_path_costs_more_than_the_templates() {
        // Every way but the last is a dead end.
        let templates: Vec<_> = (0..12)
            .map(|level| {
                (0..12)
                    .map(|at| if at < level { "/{x" } else { "/a{x" }.to_owned() + &format!("{at}}}"))
                    .collect::<String>()
            })
            .collect();
        let templates: Vec<_> = templates.iter().map(String::as_str).collect();
        let routes = routes(&templates);
        assert_eq!(routes.find(&("/ab".repeat(11) + "/x")), None);
        assert_eq!(routes.find(&"/ab".repeat(5000)), None);
    }
}
