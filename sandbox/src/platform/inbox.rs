//! What has arrived in the user's digi.me.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

/// The largest content that is kept.
pub(crate) const KEPT_PER_ITEM: usize = 1 << 20;

/// How many bytes of content are kept. The oldest are dropped first.
const KEPT: usize = 64 << 20;

/// An item that arrived in the user's digi.me, decrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Received {
    /// The position in the order of arrival, from 0.
    pub id: usize,
    /// The id of the application that pushed it.
    pub application_id: String,
    /// The id of the contract under which it was pushed.
    pub contract_id: String,
    /// The postbox that it came through.
    pub postbox_id: String,
    /// The file's name.
    pub name: String,
    /// How many bytes it has.
    pub size: u64,
    /// The SHA-256 of its bytes, in lower-case hex.
    pub sha256: String,
    /// Its descriptor: `mimeType`, `accounts`, `tags`, `reference`.
    pub descriptor: Value,
    /// When it arrived, in Unix milliseconds.
    pub arrived: u64,
}

/// The items, and the contents of those that are small and recent.
#[derive(Default)]
pub(crate) struct Inbox {
    items: Vec<Received>,
    contents: BTreeMap<usize, Bytes>,
    kept: usize,
}

impl Inbox {
    pub(crate) fn items(&self) -> &[Received] {
        &self.items
    }

    /// Adds an item, which gets its id here.
    pub(crate) fn add(&mut self, item: Received, content: Option<Bytes>) {
        let id = self.items.len();
        self.items.push(Received { id, ..item });
        let Some(content) = content else { return };
        self.kept += content.len();
        self.contents.insert(id, content);
        while self.kept > KEPT
            && let Some((_, oldest)) = self.contents.pop_first()
        {
            self.kept -= oldest.len();
        }
    }

    /// The content of an item, if it is kept.
    pub(crate) fn content(&self, id: usize) -> Option<&Bytes> {
        self.contents.get(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> Received {
        Received {
            id: 0,
            application_id: "a".into(),
            contract_id: "c".into(),
            postbox_id: "p".into(),
            name: "n".into(),
            size: 0,
            sha256: String::new(),
            descriptor: Value::Null,
            arrived: 0,
        }
    }

    #[test]
    fn the_oldest_contents_are_dropped_when_there_is_too_much() {
        let mut inbox = Inbox::default();
        let content = Bytes::from(vec![7; KEPT_PER_ITEM]);
        for _ in 0..KEPT / KEPT_PER_ITEM + 2 {
            inbox.add(item(), Some(content.clone()));
        }
        let kept: Vec<_> = (0..inbox.items().len())
            .filter(|id| inbox.content(*id).is_some())
            .collect();
        assert_eq!(kept, (2..inbox.items().len()).collect::<Vec<_>>());
        assert_eq!(inbox.items()[65].id, 65);
    }
}
