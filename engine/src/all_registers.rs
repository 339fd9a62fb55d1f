//! Assembly of 32-bit Arm that uses all vector registers.

/// [`core::arch::asm!`] that may overwrite every vector register.
macro_rules! asm_of_all_registers {
    ($($tokens:tt)*) => {
        ::core::arch::asm!(
            $($tokens)*
            out("q0") _,
            out("q1") _,
            out("q2") _,
            out("q3") _,
            out("q4") _,
            out("q5") _,
            out("q6") _,
            out("q7") _,
            out("q8") _,
            out("q9") _,
            out("q10") _,
            out("q11") _,
            out("q12") _,
            out("q13") _,
            out("q14") _,
            out("q15") _,
        )
    };
}

pub(crate) use asm_of_all_registers;
