//! Peak memory of this process, and memory of the machine.

/// Peak resident memory of this process in bytes, if the system reports it.
pub fn peak_bytes() -> Option<u64> {
    high_water_mark(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// Resident memory of this process in bytes, if the system reports it.
pub fn resident_bytes() -> Option<u64> {
    kilobytes_after(&std::fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// Resets [`peak_bytes`] to the current memory, if the system allows it (`man proc_pid_clear_refs`).
pub fn reset_peak() {
    // Otherwise the earlier peak stays, and the figure errs upwards.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Memory of this machine in bytes, if the system reports it.
pub fn total_bytes() -> Option<u64> {
    kilobytes_after(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

fn high_water_mark(status: &str) -> Option<u64> {
    kilobytes_after(status, "VmHWM:")
}

/// The value after `key` in bytes; Linux writes it in units of 1024 bytes, which it calls kB.
fn kilobytes_after(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_or_unknown() {
        assert_eq!(high_water_mark("Name:\tmacula\nVmHWM:\t    1536 kB\nVmRSS:\t 12 kB\n"), Some(1536 * 1024));
        assert_eq!(high_water_mark("Name:\tmacula\nVmRSS:\t 12 kB\n"), None);
        assert_eq!(high_water_mark("VmHWM:\tmany kB\n"), None);
    }
}
