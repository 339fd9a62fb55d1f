//! The board under Embassy: one task is the device, and other tasks run while it waits for its line.
//!
//! For your own board, replace the line by a UART or USB of an Embassy HAL, which has the same traits, and the flash by its
//! driver. A request is answered without an await, so tasks of the same executor wait meanwhile: run what may not wait in an
//! `InterruptExecutor`.
#![no_std]
#![no_main]

use core::convert::Infallible;
use core::future::poll_fn;
use core::task::Poll;

use board::clock::CLOCK_HZ;
use board::device::{self, PACKET_MAX};
use board::flash::Flash;
use board::limits;
use board::uart::Uart;
use embassy_executor::Spawner;
use embedded_io_async::{ErrorType, Read, Write};
use macula_edge::encoder::{Blob, Encoder, FeaturesOnly};

/// The polled UART of this board as an asynchronous line. A HAL wakes the task by an interrupt instead.
struct Line(Uart);

impl ErrorType for Line {
    type Error = Infallible;
}

impl Read for Line {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = bytes.first_mut() else { return Ok(0) };
        *first = poll_fn(|context| match self.0.try_read() {
            Some(byte) => Poll::Ready(byte),
            None => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await;
        Ok(1)
    }
}

impl Write for Line {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let line = Line(Uart::take(CLOCK_HZ, 115_200).expect("main runs once"));
    let flash = Flash::take().expect("main runs once");
    spawner.spawn(device_task(line, flash).expect("the task is spawned once"));
}

#[embassy_executor::task]
async fn device_task(line: Line, flash: Flash) -> ! {
    match limits::blob() {
        Some(blob) => serve(Blob::parse(blob).expect("build.rs parsed it"), line, flash).await,
        None => serve(FeaturesOnly { identity: *b"features only\0\0\0", dim: limits::DIM }, line, flash).await,
    }
}

/// Answers requests for ever.
async fn serve<E: Encoder>(encoder: E, mut line: impl Read + Write, flash: Flash) -> ! {
    let mut session = device::open(encoder, flash);
    let mut endpoint = device::endpoint();
    // The endpoint hands over a reply in parts; framing adds one byte in 254.
    let mut reply = [0; PACKET_MAX + PACKET_MAX / 254 + 8];
    let mut bytes = [0; 64];
    loop {
        // A line that fails loses bytes; the host sends its request again.
        let read = line.read(&mut bytes).await.unwrap_or(0);
        for &byte in &bytes[..read] {
            let mut len = 0;
            let answer = |request: &[u8], line, reply: &mut [u8]| {
                session.set_line(line);
                // This board has no real-time clock.
                session.handle(request, 0, reply)
            };
            endpoint.receive(byte, answer, &mut |part| {
                if let Some(place) = reply.get_mut(len..len + part.len()) {
                    place.copy_from_slice(part);
                    len += part.len();
                }
            });
            if len > 0 {
                line.write_all(&reply[..len]).await.ok();
            }
        }
    }
}
