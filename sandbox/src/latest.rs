//! The latest of many values, so that a sandbox may run for months.

use std::collections::VecDeque;

/// The latest `MOST` of many values. The oldest are dropped first. Each has a number, which is how many came before it.
pub(crate) struct Latest<T, const MOST: usize> {
    kept: VecDeque<T>,
    dropped: usize,
}

impl<T, const MOST: usize> Default for Latest<T, MOST> {
    fn default() -> Self {
        Self {
            kept: VecDeque::new(),
            dropped: 0,
        }
    }
}

impl<T, const MOST: usize> Latest<T, MOST> {
    /// How many there were, with those that were dropped, which is the number of the next one.
    pub(crate) fn count(&self) -> usize {
        self.dropped + self.kept.len()
    }

    /// How many were dropped, which is the number of the first that is kept.
    pub(crate) fn dropped(&self) -> usize {
        self.dropped
    }

    pub(crate) fn add(&mut self, value: T) {
        self.kept.push_back(value);
        if self.kept.len() > MOST {
            self.kept.pop_front();
            self.dropped += 1;
        }
    }

    /// The one with a number, if it is kept.
    pub(crate) fn get(&self, number: usize) -> Option<&T> {
        self.kept.get(number.checked_sub(self.dropped)?)
    }

    /// Those from a number on that are kept, the oldest first.
    pub(crate) fn since(&self, number: usize) -> impl DoubleEndedIterator<Item = &T> {
        self.kept.range(self.place_of(number)..)
    }

    /// Those before a number that are kept, the newest first.
    pub(crate) fn before(&self, number: usize) -> impl Iterator<Item = &T> {
        self.kept.range(..self.place_of(number)).rev()
    }

    /// Those that are kept, the oldest first, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.kept.iter_mut()
    }

    fn place_of(&self, number: usize) -> usize {
        number.saturating_sub(self.dropped).min(self.kept.len())
    }
}
