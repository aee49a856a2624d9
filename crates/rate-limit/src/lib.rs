//! Keyed rate limiting for tower services: GCRA, bounded memory, honest Retry-After.
