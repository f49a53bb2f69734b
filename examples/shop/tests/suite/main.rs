//! The shop, over HTTP, with a sandbox as its platform. A person has a browser at the desk and another one on the phone.

#![allow(unreachable_pub, reason = "a test has no interface")]

mod admin;
mod browser;
mod connecting;
mod consent;
mod import;
mod killed;
mod settings;
mod stopping;
mod street;
mod web;
