mod data;
mod digest;
