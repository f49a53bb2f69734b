//! The flow over real HTTP, against the sandbox.

mod consents;
mod deletion;
mod flows;
mod pushes;
mod set_up;
