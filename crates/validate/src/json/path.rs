//! Where in a document the reader is.

use std::{borrow::Cow, ops::Range};

use super::{string, trace::Trace};

/// One step for each open object and array.
#[derive(Debug, Default)]
pub(super) struct Path(Vec<Step>);

#[derive(Debug)]
enum Step {
    /// Before the first member.
    Begin,
    Key(Range<usize>),
    Item(usize),
}

impl Trace for Path {
    fn open(&mut self, _: bool) {
        self.0.push(Step::Begin);
    }

    fn key(&mut self, raw: Range<usize>, _: bool) {
        if let Some(last) = self.0.last_mut() {
            *last = Step::Key(raw);
        }
    }

    fn item(&mut self, index: usize) {
        if let Some(last) = self.0.last_mut() {
            *last = Step::Item(index);
        }
    }

    fn close(&mut self, _: usize) {
        self.0.pop();
    }
}

impl Path {
    pub(super) fn segments(&self, text: &str) -> Vec<Cow<'static, str>> {
        let segments = self.0.iter().filter_map(|step| match step {
            Step::Begin => None,
            Step::Key(raw) => {
                let mut name = Vec::new();
                string::unescape(&text.as_bytes()[raw.clone()], &mut name);
                Some(Cow::Owned(String::from_utf8_lossy(&name).into_owned()))
            }
            Step::Item(index) => Some(Cow::Owned(index.to_string())),
        });
        crate::pointer::bounded(segments)
    }
}
