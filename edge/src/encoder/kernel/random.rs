//! Numbers for tests.

/// Numbers of 32 bits, the same in each test: a linear congruential generator (Press et al., Numerical Recipes).
pub(in super::super) fn numbers() -> impl FnMut() -> u32 {
    let mut state = 1_u32;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state
    }
}
