//! The address of the caller of a tower service, in the canonical form that limits and logs share.
