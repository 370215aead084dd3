//! gRPC through the gateway, with messages as raw bytes so that one client can call every method.

use bytes::{Buf, BufMut, Bytes};
use tenantry_testkit::World;
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};

/// A channel to the gateway that names `host` as its authority (`*.localhost` does not resolve everywhere, so the
/// address is dialled and the name is set).
#[must_use]
pub fn channel_for(world: &World, host: &str) -> Channel {
    let origin = format!("http://{host}").parse().expect("a host");
    Endpoint::from_shared(world.gateway_url.clone())
        .expect("a URL")
        .origin(origin)
        .connect_lazy()
}

/// Bytes in, bytes out.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = from.remaining();
        Ok(Some(from.copy_to_bytes(length)))
    }
}
