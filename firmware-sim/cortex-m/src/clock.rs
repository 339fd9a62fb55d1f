//! Time since the start, from SysTick.
//!
//! The counter has 24 bits and counts down at the processor's rate; an interrupt at each wrap adds the rest.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::{SYST, syst::SystClkSource};

/// The processor's rate: on MPS2 boards with a Cortex-M7, on MPS3 boards with a Cortex-M55.
pub const CLOCK_HZ: u32 = if cfg!(an547) { 32_000_000 } else { 25_000_000 };

const RELOAD: u32 = 0x00ff_ffff;

static WRAPS: AtomicU32 = AtomicU32::new(0);

/// A running SysTick.
pub struct Clock {
    _timer: SYST,
}

impl Clock {
    /// Starts the clock at 0.
    pub fn start(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(RELOAD);
        timer.clear_current();
        timer.enable_interrupt();
        timer.enable_counter();
        Self { _timer: timer }
    }

    /// Periods of [`CLOCK_HZ`] since the start.
    pub fn ticks(&self) -> u64 {
        loop {
            let wraps = WRAPS.load(Ordering::Relaxed);
            let counter = SYST::get_current();
            // A wrap between the two reads would be counted in one of them only.
            if WRAPS.load(Ordering::Relaxed) == wraps {
                // 0 is read until the first tick loads the counter.
                let elapsed = if counter == 0 { 0 } else { RELOAD - counter };
                return u64::from(wraps) * (u64::from(RELOAD) + 1) + u64::from(elapsed);
            }
        }
    }

    /// Whole seconds since the start.
    pub fn seconds(&self) -> u64 {
        self.ticks() / u64::from(CLOCK_HZ)
    }
}

/// Called by the SysTick exception at each wrap.
pub fn on_wrap() {
    WRAPS.fetch_add(1, Ordering::Relaxed);
}

/// Instructions in `ticks` under QEMU's `-icount shift=6`, where each takes 64 ns.
///
/// This count ignores caches, flash wait states and dual issue of real hardware.
pub fn instructions(ticks: u64) -> u64 {
    ticks * 1_000_000_000 / u64::from(CLOCK_HZ) / 64
}
