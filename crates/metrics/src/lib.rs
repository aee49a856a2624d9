//! Request duration and active-request metrics for tower services over HTTP and gRPC, with bounded labels.
