//! Request and correlation ids for tower services: taken or minted, on every response, in every log line.
