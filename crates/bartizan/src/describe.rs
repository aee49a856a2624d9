//! What a stack consists of, for a person.

use std::fmt;

/// The layers of a stack, outside to inside. Prints one line per layer: position, phase, name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description(Vec<Entry>);

/// One layer of a [`Description`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    phase: &'static str,
    name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Own,
    Foreign,
    Off,
}

impl Entry {
    pub(crate) fn own(phase: &'static str, name: &'static str) -> Self {
        Self { phase, name, kind: Kind::Own }
    }

    pub(crate) fn foreign(phase: &'static str, name: &'static str) -> Self {
        Self { phase, name, kind: Kind::Foreign }
    }

    pub(crate) fn off(phase: &'static str) -> Self {
        Self { phase, name: "-", kind: Kind::Off }
    }

    /// The phase the layer stands in.
    pub fn phase(&self) -> &'static str {
        self.phase
    }

    /// The name of the layer; `-` for an option that is off.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the layer is an `Option` that is `None`.
    pub fn is_off(&self) -> bool {
        self.kind == Kind::Off
    }
}

impl Description {
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        Self(entries)
    }

    /// The layers, outside to inside.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|entry| entry.phase.len()).max().unwrap_or(0);
        let digits = self.0.len().to_string().len();
        for (index, Entry { phase, name, kind }) in self.0.iter().enumerate() {
            let note = match kind {
                Kind::Own => "",
                Kind::Foreign => " (foreign)",
                Kind::Off => " (off)",
            };
            writeln!(f, "{:>digits$}. {phase:<width$}  {name}{note}", index + 1)?;
        }
        Ok(())
    }
}
