//! The gateway over real sockets, in front of real gRPC servers that say what reached them.

mod answer;
mod console;
mod flows;
mod grpc;
mod isolation;
mod pages;
mod settings;
mod waiting;
mod world;
