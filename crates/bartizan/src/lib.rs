//! One coherent family of tower layers for HTTP and gRPC services, in an order the compiler checks.
