pub mod account;
pub mod admin;
pub mod callback;
pub mod connect;
pub mod health;
pub mod shop;
