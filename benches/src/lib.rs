//! What each layer costs, beside its nearest peers.
