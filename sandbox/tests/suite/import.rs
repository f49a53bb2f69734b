//! API 1.7, over real HTTP and from the protocol.

mod app;
mod clock;
mod consents;
mod faults;
mod flow;
mod library;
mod links;
mod pages;
mod pushes;
mod strictness;
