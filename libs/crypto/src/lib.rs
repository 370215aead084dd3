//! Everything that needs a key: tenant keys and sealing, page tokens, ES256 tokens, opaque credentials.
//!
//! It must never store keys, talk to a network or read a clock: keys come through [`KeySource`], time is an argument.
//! No type that holds key material can be printed.

mod es256;
mod jws;
pub mod jwt;
pub mod keyring;
pub mod keys;
pub mod page_token;
pub mod paging;
mod random;
pub mod seal;
pub mod sign;
pub mod stream;
pub mod token;

pub use jwt::{Es256Signer, Es256Verifier, Jwk, JwkSet, JwtError};
pub use keyring::{DataKey, KeyError, RootKey};
pub use keys::{CachedKeys, KeySource, Purpose, TenantKeys};
pub use page_token::{Binding, PageTokens};
pub use seal::{SealError, Sealer};
pub use sign::{SigningKey, VerifyingKeys};
pub use stream::{Digest, FrameOpener, FrameSealer};
pub use token::{OpaqueToken, Parsed, Prefix};
