//! The library against the sandbox, over real HTTP.

mod attribute;
mod callbacks;
mod examples;
mod fault_table;
mod faults;
mod flows;
mod misuse;
mod pushes;
mod set_up;
mod suspended;
mod tokens;
