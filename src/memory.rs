//! How much memory this process has held, and how much the machine has.

/// Most bytes of memory this process has held at once, where the system tells.
pub fn peak_bytes() -> Option<u64> {
    high_water_mark(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// Starts [`peak_bytes`] anew from what is held now, where the system lets us (`man proc_pid_clear_refs`).
pub fn reset_peak() {
    // Where it does not, the peak of what was measured before stays in the figure: it errs upwards.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Bytes of memory that this machine has, where the system tells.
pub fn total_bytes() -> Option<u64> {
    kilobytes_after(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

fn high_water_mark(status: &str) -> Option<u64> {
    kilobytes_after(status, "VmHWM:")
}

/// Bytes after `key`, which Linux gives in units of 1024 bytes that it calls kB.
fn kilobytes_after(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_or_unknown() {
        assert_eq!(high_water_mark("Name:\tmacula\nVmHWM:\t    1536 kB\nVmRSS:\t 12 kB\n"), Some(1536 * 1024));
        assert_eq!(high_water_mark("Name:\tmacula\nVmRSS:\t 12 kB\n"), None);
        assert_eq!(high_water_mark("VmHWM:\tmany kB\n"), None);
    }
}
