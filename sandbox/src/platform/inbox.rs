//! What has arrived in the user's digi.me.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::latest::Latest;

/// The largest content that is kept.
pub(crate) const KEPT_PER_ITEM: usize = 1 << 20;

/// How many bytes of content are kept. The oldest are dropped first.
const KEPT: usize = 64 << 20;

/// How many items are kept. The oldest are dropped first.
const KEPT_ITEMS: usize = 50_000;

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
    /// The postbox that it came through. Empty for an import, which has none.
    pub postbox_id: String,
    /// The file's name. Empty for an import, which has none.
    pub name: String,
    /// How many bytes it has.
    pub size: u64,
    /// The SHA-256 of its bytes, in lower-case hex.
    pub sha256: String,
    /// Its descriptor: `mimeType`, `accounts`, `tags`, `reference`. For an import, the metadata of its `FileDescriptor`. A push
    /// to a provider has none, and its descriptor is `{"mimeType":"application/json"}`.
    pub descriptor: Value,
    /// When it arrived, in Unix milliseconds, by the sandbox's clock.
    pub arrived: u64,
    /// The person's id at the platform, the `sub` of the tokens. `None` for a postbox, whose person is unknown.
    pub user_id: Option<String>,
    /// To which account it was passed on, if it was a push to a provider.
    pub provider: Option<ProviderPush>,
}

/// What a push to a provider says of its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProviderPush {
    /// The id of the account.
    pub account_id: String,
    /// The standard, which is `fhir`.
    pub standard: String,
    /// The version of the standard: `stu3` or `3.0.2`.
    pub version: String,
}

/// The latest items, and the contents of those that are small and recent.
#[derive(Default)]
pub(crate) struct Inbox {
    /// The number of each is its id.
    items: Latest<Option<Received>, KEPT_ITEMS>,
    contents: BTreeMap<usize, Bytes>,
    kept: usize,
    /// How many users were deleted with their items.
    deletions: usize,
}

impl Inbox {
    /// The items that are kept, the oldest first.
    pub(crate) fn items(&self) -> impl DoubleEndedIterator<Item = &Received> {
        self.items.since(0).flatten()
    }

    /// How many items have arrived, which is the id of the next one.
    pub(crate) fn arrived(&self) -> usize {
        self.items.count()
    }

    /// The item with an id, if it is kept.
    pub(crate) fn item(&self, id: usize) -> Option<&Received> {
        self.items.get(id)?.as_ref()
    }

    /// The items that arrived before the one with an id, the newest first.
    pub(crate) fn before(&self, id: usize) -> impl Iterator<Item = &Received> {
        self.items.before(id).flatten()
    }

    /// Changes when an item arrives or is deleted.
    pub(crate) fn version(&self) -> (usize, usize) {
        (self.arrived(), self.deletions)
    }

    /// Deletes what a user's library holds. The ids of the others stay.
    pub(crate) fn delete_items_of(&mut self, user_id: &str) {
        self.deletions += 1;
        for place in self.items.iter_mut() {
            let theirs = |item: &mut Received| item.user_id.as_deref() == Some(user_id);
            if let Some(item) = place.take_if(theirs)
                && let Some(content) = self.contents.remove(&item.id)
            {
                self.kept -= content.len();
            }
        }
    }

    /// Adds an item, which gets its id here.
    pub(crate) fn add(&mut self, item: Received, content: Option<Bytes>) {
        let id = self.arrived();
        self.items.add(Some(Received { id, ..item }));
        if let Some(content) = content {
            self.kept += content.len();
            self.contents.insert(id, content);
        }
        while let Some(oldest) = self.contents.first_entry()
            && (self.kept > KEPT || *oldest.key() < self.items.dropped())
        {
            self.kept -= oldest.remove().len();
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
            user_id: None,
            provider: None,
        }
    }

    #[test]
    fn what_a_user_has_is_deleted_and_the_ids_of_others_stay() {
        let mut inbox = Inbox::default();
        for user_id in ["a", "b", "a"] {
            let user_id = Some(user_id.to_owned());
            inbox.add(
                Received { user_id, ..item() },
                Some(Bytes::from_static(b"x")),
            );
        }
        let before = inbox.version();
        inbox.delete_items_of("a");
        assert_ne!(inbox.version(), before);
        let left: Vec<_> = inbox.items().map(|item| item.id).collect();
        assert_eq!((left, inbox.arrived(), inbox.kept), (vec![1], 3, 1));
        assert_eq!((inbox.item(0), inbox.content(2)), (None, None));
    }

    #[test]
    fn the_oldest_contents_are_dropped_when_there_is_too_much() {
        let mut inbox = Inbox::default();
        let content = Bytes::from(vec![7; KEPT_PER_ITEM]);
        for _ in 0..KEPT / KEPT_PER_ITEM + 2 {
            inbox.add(item(), Some(content.clone()));
        }
        let kept: Vec<_> = (0..inbox.arrived())
            .filter(|id| inbox.content(*id).is_some())
            .collect();
        assert_eq!(kept, (2..inbox.arrived()).collect::<Vec<_>>());
        assert_eq!(inbox.item(65).map(|item| item.id), Some(65));
    }

    #[test]
    fn the_oldest_items_are_dropped_with_their_contents_when_there_are_too_many() {
        let mut inbox = Inbox::default();
        for _ in 0..KEPT_ITEMS + 2 {
            inbox.add(item(), Some(Bytes::from_static(b"a")));
        }
        assert_eq!(inbox.arrived(), KEPT_ITEMS + 2);
        assert_eq!(inbox.items().count(), KEPT_ITEMS);
        assert_eq!(inbox.contents.len(), KEPT_ITEMS);
        assert_eq!(inbox.kept, KEPT_ITEMS);
        for dropped in [0, 1, KEPT_ITEMS + 2] {
            assert_eq!(inbox.item(dropped), None);
            assert_eq!(inbox.content(dropped), None);
        }
        assert_eq!(inbox.item(2).map(|item| item.id), Some(2));
        let older: Vec<_> = inbox.before(4).map(|item| item.id).collect();
        assert_eq!(older, [3, 2]);
        assert_eq!(inbox.before(usize::MAX).count(), KEPT_ITEMS);
        assert_eq!(inbox.before(1).count(), 0);
    }
}
