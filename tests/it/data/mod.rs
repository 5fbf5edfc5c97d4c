//! Datasets: reading published formats, refusing anything else, and fetching from real sockets.

mod fetching;
mod folders;
mod published;
mod reading;
mod server;
mod showing;
mod tiny;
