//! What the two processes say to each other. A message is a kind, a length in four bytes, and as many bytes.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// No message, signature or explanation is longer.
const LONGEST: u32 = 64 * 1024;

/// Asks for the id of the key.
pub(crate) const KEY_ID: u8 = 0;
/// Asks for a signature of the bytes.
pub(crate) const SIGN: u8 = 1;

/// The bytes are what was asked for.
pub(crate) const DONE: u8 = 0;
/// The bytes say why there is no answer, which another try may change.
pub(crate) const UNAVAILABLE: u8 = 1;
/// The bytes say why there is no answer, which another try would not change.
pub(crate) const REFUSED: u8 = 2;

pub(crate) async fn write(stream: &mut UnixStream, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    stream.write_u8(kind).await?;
    stream.write_u32(length).await?;
    stream.write_all(bytes).await
}

pub(crate) async fn read(stream: &mut UnixStream) -> io::Result<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await?;
    let length = stream.read_u32().await?;
    if length > LONGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length as usize];
    stream.read_exact(&mut bytes).await?;
    Ok((kind, bytes))
}
