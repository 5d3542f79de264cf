//! The `cdc-cli` program. All it does is in the library's `cli`.

use std::process::ExitCode;

/// Heaps that glibc may spread threads over, instead of eight a core. One costs a drain into Kafka a tenth of its CPU time
/// (librdkafka's threads and ours wait for each other), each more keeps a tenth more memory.
#[cfg(target_env = "gnu")]
const HEAPS_MAX: libc::c_int = 2;
/// A larger block has pages of its own, which go back when it is freed; so does the free end of a heap when it is larger.
/// Named, since glibc otherwise raises both, up to 64 MiB, with the first large block that is freed.
#[cfg(target_env = "gnu")]
const BLOCK_BYTES_KEPT_MAX: libc::c_int = 4 << 20;

fn main() -> ExitCode {
    // Batches are made by one thread and freed by another. mimalloc kept what was freed so: 138 MiB of a drain into Kafka
    // that needs 65, 132 of a snapshot into Parquet that needs 75, at the same CPU time.
    // SAFETY: no other thread is there yet, and the calls only set numbers.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, HEAPS_MAX);
        libc::mallopt(libc::M_MMAP_THRESHOLD, BLOCK_BYTES_KEPT_MAX);
        libc::mallopt(libc::M_TRIM_THRESHOLD, BLOCK_BYTES_KEPT_MAX);
    }
    // Once per process, before the first TLS connection. A second call could only come from here.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    cdc_cli::cli::main()
}
