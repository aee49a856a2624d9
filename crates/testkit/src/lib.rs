//! The contract every bartizan layer passes, for the authors of layers.
