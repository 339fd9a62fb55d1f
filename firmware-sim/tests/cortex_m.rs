//! The Cortex-M image in QEMU, beside the same code on this machine.
//!
//! Needs qemu-system-arm and a compiler for the chip: `./check cortex-m` brings both and runs these.

use macula_edge::protocol::message::{VERSION, message_max};
use macula_edge::protocol::{Client, Reply, Request, packet_max};
use macula_firmware_sim::board::{Board, Shape};
use macula_firmware_sim::chip::{self, ImageSpec};
use macula_firmware_sim::qemu::{QemuBoard, erased_flash};
use macula_firmware_sim::script;

const NEEDS: &str = "needs qemu-system-arm and a compiler for the chip: ./check cortex-m";

/// A board with its power on, and a client that has said hello.
struct Bench<'m> {
    board: QemuBoard,
    client: Client<'m>,
}

impl Bench<'_> {
    fn answer(&mut self, message: &[u8]) -> Vec<u8> {
        let request = Request::parse(message).unwrap();
        self.board.exchange(&mut self.client, &request).unwrap()
    }
}
