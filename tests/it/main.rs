mod optimizers;
mod parity;
