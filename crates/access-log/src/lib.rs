//! One structured JSON log line per request for tower services, written off the request path.
