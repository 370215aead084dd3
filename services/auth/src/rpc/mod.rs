//! gRPC in and out: proto to command, call, result to proto. No rules, no SQL.

mod api_keys;
pub mod authenticate;
mod convert;
mod directory;
mod keys;
mod login;
mod sessions;
mod tokens;
mod users;

pub use api_keys::ApiKeyRpc;
pub use directory::DirectoryRpc;
pub use keys::KeyRpc;
pub use login::LoginRpc;
pub use sessions::SessionRpc;
pub use tokens::TokenRpc;
pub use users::UserRpc;
