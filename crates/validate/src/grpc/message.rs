//! The rules of a message.

use std::{borrow::Cow, fmt};

use bartizan_core::{Rejection, Violation, excerpt};

use crate::pointer;

/// A message that knows its rules: implemented by hand for a generated type, or by a generator of code.
///
/// ```
/// use bartizan_validate::{MessageFindings, ValidateMessage};
///
/// # struct Line { sku: String, quantity: u32 }
/// # struct Order { lines: Vec<Line> }
/// impl ValidateMessage for Line {
///     fn validate(&self, found: &mut MessageFindings<'_>) {
///         if self.sku.is_empty() {
///             found.add("sku", "string_min_len", "must not be empty");
///         }
///         if !(1..=1000).contains(&self.quantity) {
///             found.add("quantity", "uint32_range", "must be between 1 and 1000");
///         }
///     }
/// }
///
/// impl ValidateMessage for Order {
///     fn validate(&self, found: &mut MessageFindings<'_>) {
///         found.items("lines", &self.lines);
///     }
/// }
///
/// let order = Order { lines: vec![Line { sku: "nail".into(), quantity: 0 }] };
/// let status = bartizan_validate::check_message(&order).unwrap_err();
/// assert_eq!(status.code(), tonic::Code::InvalidArgument);
/// ```
pub trait ValidateMessage {
    /// Adds each rule that does not hold to `found`. A message without rules has nothing to add.
    fn validate(&self, found: &mut MessageFindings<'_>) {
        let _ = found;
    }
}

/// What is wrong with a message, field by field.
///
/// A place is the dotted path of the field from the message, as `google.rpc.BadRequest` wants it, with the index of a
/// repeated field and the key of a map in brackets: `lines[0].sku`, `labels["color"]`. At most 33 findings are kept,
/// one more than a refusal shows.
pub struct MessageFindings<'a> {
    place: Option<&'a Place<'a>>,
    found: &'a mut Vec<Violation>,
}

/// Where a message stands in the one it came with. A list on the stack, so that a good message costs nothing.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    outer: Option<&'a Self>,
    field: &'static str,
    part: Part<'a>,
}

/// Which part of a field.
#[derive(Clone, Copy, Debug)]
enum Part<'a> {
    Whole,
    Item(usize),
    Entry(&'a str),
}

impl MessageFindings<'_> {
    /// A rule of the field `field` does not hold.
    ///
    /// `code` is the rule's stable name, and a text of the program: `string_min_len`, or the id of a rule of
    /// protovalidate's. The detail is for a person, and does not repeat the value.
    pub fn add(&mut self, field: &'static str, code: &'static str, detail: impl Into<Cow<'static, str>>) {
        self.within(field, Part::Whole, |found| found.here(code, detail));
    }

    /// A rule of the message as a whole does not hold.
    pub fn here(&mut self, code: &'static str, detail: impl Into<Cow<'static, str>>) {
        if !self.is_full() {
            self.found.push(Violation::in_body(self.path(), code, detail));
        }
    }

    /// The rules of the message in the field `field`.
    pub fn nested(&mut self, field: &'static str, message: &impl ValidateMessage) {
        self.within(field, Part::Whole, |found| message.validate(found));
    }

    /// The rules of the messages in the repeated field `field`.
    pub fn items<'a, M: ValidateMessage + 'a>(
        &mut self,
        field: &'static str,
        messages: impl IntoIterator<Item = &'a M>,
    ) {
        for (index, message) in messages.into_iter().enumerate() {
            if self.is_full() {
                return;
            }
            self.item(field, index, |found| message.validate(found));
        }
    }

    /// Rules of one item of the repeated field `field`.
    pub fn item(&mut self, field: &'static str, index: usize, check: impl FnOnce(&mut MessageFindings<'_>)) {
        self.within(field, Part::Item(index), check);
    }

    /// Rules of the value under one key of the map `field`.
    pub fn entry(&mut self, field: &'static str, key: &str, check: impl FnOnce(&mut MessageFindings<'_>)) {
        self.within(field, Part::Entry(key), check);
    }

    fn within(&mut self, field: &'static str, part: Part<'_>, check: impl FnOnce(&mut MessageFindings<'_>)) {
        let place = Place { outer: self.place, field, part };
        check(&mut MessageFindings { place: Some(&place), found: self.found });
    }

    fn is_full(&self) -> bool {
        self.found.len() > Rejection::MAX_VIOLATIONS
    }

    fn path(&self) -> Vec<Cow<'static, str>> {
        let mut path = Vec::new();
        let mut next = self.place;
        while let Some(place) = next {
            path.push(place.segment());
            next = place.outer;
        }
        pointer::bounded(path.into_iter().rev())
    }
}

impl Place<'_> {
    fn segment(&self) -> Cow<'static, str> {
        let field = self.field;
        match self.part {
            Part::Whole => Cow::Borrowed(field),
            Part::Item(index) => Cow::Owned(format!("{field}[{index}]")),
            Part::Entry(key) => Cow::Owned(format!("{field}[{:?}]", excerpt(key))),
        }
    }
}

/// What is wrong with `message`: nothing, or up to 33 entries.
pub(super) fn findings(message: &impl ValidateMessage) -> Vec<Violation> {
    let mut found = Vec::new();
    message.validate(&mut MessageFindings { place: None, found: &mut found });
    found
}

impl fmt::Debug for MessageFindings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageFindings")
            .field("path", &self.path())
            .field("found", &self.found.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Tree(Vec<Self>);

    impl ValidateMessage for Tree {
        fn validate(&self, found: &mut MessageFindings<'_>) {
            if self.0.is_empty() {
                found.here("leaf", "must not be a leaf");
            }
            found.items("branches", &self.0);
            found.entry("labels", "a.b\"c", |found| found.add("text", "empty", "must not be empty"));
        }
    }

    fn paths(tree: &Tree) -> Vec<String> {
        let pointers = findings(tree).into_iter().map(|violation| violation.pointer().unwrap());
        pointers.map(|pointer| pointer[1..].replace('/', ".")).collect()
    }

    #[test]
    fn val_07_a_place_is_the_dotted_path_of_the_field() {
        let tree = Tree(vec![Tree(vec![Tree(Vec::new())])]);
        assert_eq!(
            paths(&tree),
            [
                ".branches%5B0%5D.branches%5B0%5D",
                ".branches%5B0%5D.branches%5B0%5D.labels%5B%22a.b%5C%22c%22%5D.text",
                ".branches%5B0%5D.labels%5B%22a.b%5C%22c%22%5D.text",
                ".labels%5B%22a.b%5C%22c%22%5D.text",
            ]
        );
    }

    #[test]
    fn val_06_findings_are_bounded() {
        let tree = Tree((0..1000).map(|_| Tree(Vec::new())).collect());
        assert_eq!(findings(&tree).len(), 33);
    }

    #[test]
    fn a_message_whose_rules_hold_costs_no_allocation() {
        struct Good(Vec<u32>);

        impl ValidateMessage for Good {
            fn validate(&self, found: &mut MessageFindings<'_>) {
                for (index, quantity) in self.0.iter().enumerate() {
                    found.item("quantities", index, |found| {
                        if *quantity > 9 {
                            found.here("lte", "must be at most 9");
                        }
                    });
                    found.entry("by_name", "x", |found| found.nested("inner", &Nothing));
                }
            }
        }

        struct Nothing;
        impl ValidateMessage for Nothing {}

        let good = Good(vec![1; 100]);
        let cost = allocation_counter::measure(|| assert!(findings(&good).is_empty()));
        assert_eq!(cost.count_total, 0);
    }
}
