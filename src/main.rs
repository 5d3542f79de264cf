//! The `cdc-cli` program. All it does is in the library's `cli`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Decoding allocates Arrow buffers on many threads; the system's allocator keeps what they free.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Once per process, before the first TLS connection. A second call could only come from here.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    cdc_cli::cli::main()
}
