//! A model of how many machines share the tokens of one user, and a check of all its interleavings.
//!
//! # The problem
//!
//! A refresh token can be used once. Many machines hold a copy of it, and all of them find the access token stale at the same
//! time. If two of them send the refresh token, the platform refuses the second. If a machine sends it and the new tokens are
//! not saved, the consent is lost and the user has to be asked again.
//!
//! # The protocol
//!
//! The store holds one record for the user: `Idle` with a refresh token, or `Sent` with a refresh token that somebody may
//! have sent. Each write makes a version that never comes back. A conditional write names the version that it replaces.
//!
//! A machine first writes the mark `Sent` in place of the `Idle` record. Only the machine whose mark was committed sends
//! the token, so a token has one sender. A mark has no end by a clock: a machine may sleep for as long as it likes.
//!
//! | what the store holds | what happens | what a machine may do |
//! | --- | --- | --- |
//! | nothing | it loads | tell the caller that there are no tokens |
//! | `Idle`, other tokens than its own | it loads | take them over |
//! | `Idle`, its own token | it loads | mark: replace that version by `Sent` |
//! | `Sent` by another call | it loads | wait and load again, or tell the caller "in doubt". It sends and removes nothing |
//! | `Sent` by another call, its own token | the application insists | mark that version again, and send "in doubt" |
//! | its mark | the mark is confirmed | send the token |
//! | another version | its mark is refused | load again |
//! | unknown | its mark gets an error | load. Its mark is there: send. Otherwise decide by what is there |
//! | unknown | its mark gets an error, and it gives up | in the background, until the store answers: replace the version that it wanted to mark, or else its mark, by `Idle` with the same token |
//! | its mark | the platform gives new tokens | use them, and in the background, until the store answers: replace the mark by `Idle` with the new tokens |
//! | another version with the token that it spent | it has new tokens | replace that version |
//! | other tokens, or nothing | it has new tokens | write nothing |
//! | its mark | the token is provably unused | un-mark: replace the mark by `Idle` with the same token. Not if it sent in doubt |
//! | its mark | the grant has ended | remove that version. Not if it sent in doubt |
//! | another version or nothing | the grant has ended | load again, and decide by what is there |
//! | its mark | the answer is lost | leave it, and tell the caller "in doubt" |
//! | tokens of an earlier consent, or nothing | the user has consented again | replace that version, or nothing, by the new tokens, and look again if it has changed |
//! | tokens of the same consent | keeping its tokens is tried again after an error | write nothing |
//!
//! A mark belongs to one call. Two calls in one process are two senders, so a process must not take the mark of one for
//! the mark of the other. The model knows a call's mark by its version.
//!
//! # What may go wrong in the model
//!
//! A machine may pause anywhere. A store call may fail before it takes effect, or afterwards, and the caller sees the same
//! error. In some configurations it may also take effect at any later time. The platform may refuse a request without
//! having used the token, and an answer may be lost while the request reaches the platform now, later or never. A machine
//! may crash. The user may withdraw consent or consent again, and the application may forget the user. How often each of
//! these may happen is a configuration ([`Protocol`](model::Protocol)); faults of the store and the platform may always
//! happen.
//!
//! # What is checked
//!
//! | property | where |
//! | --- | --- |
//! | P1: a token is sent again only after it was refused or proven unused, unless the application insists | every state |
//! | P2: consent is lost only by the user, a lost answer, or a crash between mark and save | when all machines are at rest |
//! | P2: a good token is left `Sent` for the same reasons only, as long as nobody insists | when all machines are at rest |
//! | P2: a record is removed only when nobody has good tokens | every state |
//! | P3: a machine that lives saves its new tokens | when all machines are at rest |
//! | P4: a newer consent is not overwritten, and a forgotten user does not come back | every state |
//! | P5: every caller can be answered and every background task can end, while all other machines sleep | every state |
//! | P6: no caller learns that consent has ended while the store holds good tokens | every state |
//!
//! The tests also leave out one rule at a time and assert that the checker then finds a fault, so that no property holds
//! only because there is nothing to check. [`old`] is the protocol with a lease that came before, with its faults.
//!
//! One thing is left as it is. If keeping the tokens of a new consent seems to fail, and the user withdraws that consent
//! before the application tries again, then a machine may already have removed the record, and the repetition writes the
//! ended tokens once more. They are refused once more and removed again.
//!
//! The model is written by hand: it checks the protocol, and not that the library follows it.

#![forbid(unsafe_code)]
#![deny(missing_docs, missing_debug_implementations)]

pub mod model;
pub mod old;
pub mod platform;
pub mod properties;
pub mod store;
