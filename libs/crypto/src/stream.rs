//! Sealing of streams that do not fit into memory: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015)
//! over AES-256-GCM in frames of 64 KiB, each with a counter in its nonce and a flag on the last one.
//!
//! Every stream has a key of its own: HKDF-SHA256 over the tenant's key and the stream's whole header. The header is
//! also the associated data of every frame, so that a stream opens only under the header it was made with. The header
//! must hold a fresh [`salt`], or two streams of one name would share key and nonces.

use crate::{SealError, Sealer, random};
use aead_stream::{DecryptorBE32, EncryptorBE32, Nonce, StreamBE32};
use aes_gcm::{
    Aes256Gcm,
    aead::{KeyInit, Payload},
};
use ring::{digest, hkdf};
use zeroize::Zeroizing;

/// Bytes of plaintext in every frame but the last.
pub const FRAME: usize = 64 * 1024;
const TAG: usize = 16;
const SEALED_FRAME: usize = FRAME + TAG;
const DOMAIN: &[u8] = b"tenantry stream v1";
/// The key is used for one stream only: the nonce has no random part.
const NONCE: [u8; 7] = [0; 7];

/// 32 random bytes for the header of a stream.
#[must_use]
pub fn salt() -> [u8; 32] {
    random::array()
}

fn derive(sealer: &Sealer, header: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, DOMAIN).extract(sealer.key().expose());
    extracted
        .expand(&[header], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(key.as_mut()))
        .expect("HKDF gives 32 bytes for any input");
    key
}

fn cipher(sealer: &Sealer, header: &[u8]) -> Aes256Gcm {
    Aes256Gcm::new((&*derive(sealer, header)).into())
}

fn nonce() -> Nonce<Aes256Gcm, StreamBE32<Aes256Gcm>> {
    NONCE.into()
}

/// Turns plaintext into frames.
pub struct FrameSealer {
    cipher: EncryptorBE32<Aes256Gcm>,
    header: Vec<u8>,
    pending: Vec<u8>,
    frames: u32,
}

impl FrameSealer {
    /// A stream under `sealer`'s key; `header` must be new (see the module).
    #[must_use]
    pub fn new(sealer: &Sealer, header: &[u8]) -> Self {
        Self {
            cipher: EncryptorBE32::from_aead(cipher(sealer, header), &nonce()),
            header: header.to_vec(),
            pending: Vec::with_capacity(FRAME),
            frames: 0,
        }
    }
    /// Takes plaintext and appends the frames that are full to `out`.
    ///
    /// # Panics
    /// After 2^32 frames (256 TiB).
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            // A full frame is sealed only when more follows: the last frame carries the flag.
            if self.pending.len() == FRAME {
                let payload = Payload {
                    msg: &self.pending,
                    aad: &self.header,
                };
                let frame = self.cipher.encrypt_next(payload).expect("fewer than 2^32 frames");
                out.extend_from_slice(&frame);
                self.frames += 1;
                self.pending.clear();
            }
            let (now, later) = bytes.split_at(bytes.len().min(FRAME - self.pending.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
        }
    }
    /// Appends the last frame, which may be empty, and says how many there are.
    ///
    /// # Panics
    /// As [`FrameSealer::push`].
    #[must_use]
    pub fn finish(self, out: &mut Vec<u8>) -> u32 {
        let payload = Payload {
            msg: &self.pending,
            aad: &self.header,
        };
        let frame = self.cipher.encrypt_last(payload).expect("fewer than 2^32 frames");
        out.extend_from_slice(&frame);
        self.frames + 1
    }
}

/// Turns frames back into plaintext. What it has put out is authentic; that nothing is missing at the end is known only
/// after [`FrameOpener::finish`].
pub struct FrameOpener {
    cipher: DecryptorBE32<Aes256Gcm>,
    header: Vec<u8>,
    pending: Vec<u8>,
    frames: u32,
}

impl FrameOpener {
    /// For the stream with this header.
    #[must_use]
    pub fn new(sealer: &Sealer, header: &[u8]) -> Self {
        Self {
            cipher: DecryptorBE32::from_aead(cipher(sealer, header), &nonce()),
            header: header.to_vec(),
            pending: Vec::with_capacity(SEALED_FRAME),
            frames: 0,
        }
    }
    /// Takes sealed bytes, cut anywhere, and appends what opens to `out`.
    ///
    /// # Errors
    /// At the first frame that was changed, moved or made under another key or header.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), SealError> {
        while !bytes.is_empty() {
            if self.pending.len() == SEALED_FRAME {
                let payload = Payload {
                    msg: &self.pending,
                    aad: &self.header,
                };
                let opened = self.cipher.decrypt_next(payload).map_err(|_| SealError::DoesNotOpen)?;
                out.extend_from_slice(&opened);
                self.frames = self.frames.checked_add(1).ok_or(SealError::DoesNotOpen)?;
                self.pending.clear();
            }
            let (now, later) = bytes.split_at(bytes.len().min(SEALED_FRAME - self.pending.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }
    /// Opens the last frame and says how many there were.
    ///
    /// # Errors
    /// As [`FrameOpener::push`], and where the stream was cut off.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<u32, SealError> {
        let payload = Payload {
            msg: &self.pending,
            aad: &self.header,
        };
        let opened = self.cipher.decrypt_last(payload).map_err(|_| SealError::DoesNotOpen)?;
        out.extend_from_slice(&opened);
        self.frames.checked_add(1).ok_or(SealError::DoesNotOpen)
    }
}

/// SHA-256 of a stream.
#[derive(Clone)]
pub struct Digest(digest::Context);

impl Default for Digest {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Digest {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    /// The digest in hexadecimal.
    #[must_use]
    pub fn hex(self) -> String {
        self.0
            .finish()
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DataKey;
    use proptest::prelude::*;

    fn sealer(n: u8) -> Sealer {
        Sealer::new(DataKey::new([n; 32]), 1)
    }
    fn seal(sealer: &Sealer, header: &[u8], plain: &[u8]) -> (Vec<u8>, u32) {
        let (mut frames, mut out) = (FrameSealer::new(sealer, header), Vec::new());
        // In odd pieces: frames must not depend on how bytes arrive.
        for piece in plain.chunks(4099) {
            frames.push(piece, &mut out);
        }
        let count = frames.finish(&mut out);
        (out, count)
    }
    fn open(sealer: &Sealer, header: &[u8], sealed: &[u8]) -> Result<(Vec<u8>, u32), SealError> {
        let (mut frames, mut out) = (FrameOpener::new(sealer, header), Vec::new());
        for piece in sealed.chunks(5003) {
            frames.push(piece, &mut out)?;
        }
        let count = frames.finish(&mut out)?;
        Ok((out, count))
    }

    #[test]
    fn streams_of_every_length_around_a_frame_come_back() {
        for length in [0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME, 2 * FRAME + 7] {
            let plain: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let (sealed, count) = seal(&sealer(1), b"header", &plain);
            assert_eq!(open(&sealer(1), b"header", &sealed), Ok((plain, count)), "{length}");
            assert_eq!(count as usize, length.div_ceil(FRAME).max(1), "{length}");
        }
    }

    #[test]
    fn another_key_another_header_and_every_cut_are_noticed() {
        let plain = vec![7; 2 * FRAME + 100];
        let (sealed, _) = seal(&sealer(1), b"header", &plain);
        assert!(open(&sealer(2), b"header", &sealed).is_err(), "another key");
        assert!(open(&sealer(1), b"headeR", &sealed).is_err(), "another header");
        for cut in [0, 1, SEALED_FRAME, 2 * SEALED_FRAME, sealed.len() - 1] {
            assert!(open(&sealer(1), b"header", &sealed[..cut]).is_err(), "cut at {cut}");
        }
        let mut swapped = sealed.clone();
        swapped[..SEALED_FRAME].copy_from_slice(&sealed[SEALED_FRAME..2 * SEALED_FRAME]);
        swapped[SEALED_FRAME..2 * SEALED_FRAME].copy_from_slice(&sealed[..SEALED_FRAME]);
        assert!(open(&sealer(1), b"header", &swapped).is_err(), "frames swapped");
        let longer = [sealed.as_slice(), &sealed[2 * SEALED_FRAME..]].concat();
        assert!(open(&sealer(1), b"header", &longer).is_err(), "a frame too many");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_changed_bit_never_opens(length in 0_usize..(FRAME + 500), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let (mut sealed, _) = seal(&sealer(1), b"h", &vec![3; length]);
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(open(&sealer(1), b"h", &sealed).is_err());
        }
        #[test]
        fn random_bytes_never_open_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert!(open(&sealer(1), b"h", &bytes).is_err());
        }
    }
}
