//! The `balance` program: the command line over the components that come with it.

use std::process::ExitCode;

/// Training allocates and frees the same large buffers every step; the system's allocator would
/// return them to the kernel each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    balance::cli::main(&balance::library::Library::standard())
}
