//! What arrives of a file: it is hashed, and kept if it is small.

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};

use crate::platform::KEPT_PER_ITEM;

/// A file that is arriving.
pub(crate) struct Arriving {
    size: u64,
    hash: Sha256,
    content: Option<BytesMut>,
}

/// A file that has arrived.
pub(crate) struct Arrived {
    pub size: u64,
    /// In lower-case hex.
    pub sha256: String,
    /// Its bytes, unless they are too many to be kept.
    pub content: Option<Bytes>,
}

impl Arriving {
    pub(crate) fn new() -> Self {
        Self {
            size: 0,
            hash: Sha256::new(),
            content: Some(BytesMut::new()),
        }
    }

    pub(crate) fn take(&mut self, part: &[u8]) {
        self.size += part.len() as u64;
        self.hash.update(part);
        let kept = self.content.take();
        self.content = kept.filter(|kept| kept.len() + part.len() <= KEPT_PER_ITEM);
        if let Some(content) = &mut self.content {
            content.extend_from_slice(part);
        }
    }

    pub(crate) fn finish(self) -> Arrived {
        Arrived {
            size: self.size,
            sha256: hex::encode(self.hash.finalize()),
            content: self.content.map(BytesMut::freeze),
        }
    }
}
