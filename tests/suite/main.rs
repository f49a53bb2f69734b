//! The library against the sandbox, over real HTTP.

mod attribute;
mod callbacks;
mod examples;
mod faults;
mod flows;
mod misuse;
mod pushes;
mod set_up;
mod suspended;
mod tokens;
mod traces;
