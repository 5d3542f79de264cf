//! The `cdc-cli` program. All it does is in the library's `cli`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Decoding allocates Arrow buffers on many threads; the system's allocator keeps what they free.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay` of mimalloc's `mi_option_t`, which the bindings do not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

fn main() -> ExitCode {
    // Free pages go back to the system at once: frames come and go, and what lay about for the default 10 ms was a quarter of
    // the memory while a backlog is drained (69 MiB, now 50), at no cost in CPU that could be measured.
    // SAFETY: no other thread is there yet, which is all that the call asks for.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 0) };
    // What C libraries allocate (librdkafka holds records and batches, from several threads) comes from glibc's one heap
    // instead of one per thread: a quarter of the memory of a drain into Kafka.
    // SAFETY: as above; the call only sets a number.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
    // Once per process, before the first TLS connection. A second call could only come from here.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    cdc_cli::cli::main()
}
