//! The state of a device and its self-test.

use macula_edge::protocol::message::{Outcome as WireOutcome, TestResult};
use macula_edge::protocol::{Reply, Request};

use crate::device::{Device, run};
use crate::pointer::place;
use crate::status::{Status, UNEXPECTED};
use crate::types::{Outcome, Report, SelfTest, Test};

/// Gives the state of a device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_get_report(device: *mut Device, report: *mut Report) -> Status {
    // SAFETY: pointers are null or what the header asks for.
    unsafe {
        run(device, |opened| {
            let result = place(report)?;
            let dim = opened.session.support_set().dim() as u32;
            let line = opened.endpoint.counters();
            let Reply::Status(status) = opened.session.execute(Request::Status, 0)? else { return Err(UNEXPECTED) };
            result.write(Report {
                bytes_programmed: status.wear.bytes_programmed,
                erases: status.wear.erases,
                free_bytes: status.wear.free_bytes,
                dim,
                classes: status.classes.into(),
                classes_limit: status.classes_limit.into(),
                supports: status.supports,
                supports_limit: status.supports_limit,
                revision: status.revision,
                requests: line.requests,
                dropped_frames: line.corrupted.saturating_add(line.oversized),
            });
            Ok(())
        })
    }
}

/// Compares flash, memory and encoder with what they should be.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn macula_self_test(device: *mut Device, result: *mut SelfTest) -> Status {
    // SAFETY: pointers are null or what the header asks for.
    unsafe {
        run(device, |opened| {
            let result = place(result)?;
            let Reply::SelfTest(found) = opened.session.execute(Request::SelfTest, 0)? else { return Err(UNEXPECTED) };
            result.write(SelfTest {
                store: test(found.store),
                supports: test(found.supports),
                encoder: test(found.encoder),
                memory: test(found.memory),
            });
            Ok(())
        })
    }
}

fn test(TestResult { outcome, found, expected }: TestResult) -> Test {
    let outcome = match outcome {
        WireOutcome::Passed => Outcome::Passed,
        WireOutcome::Failed => Outcome::Failed,
        WireOutcome::Absent => Outcome::Absent,
    };
    Test { outcome, found, expected }
}
