//! Authentication and authorization layers for tower services: API keys and required scopes.
