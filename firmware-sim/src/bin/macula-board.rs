//! Serves the simulated board on a TCP port, one host at a time.
//!
//! A power cut closes the connection. The power returns, and the next host finds the durable state.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use macula_edge::encoder::{Blob, Encoder};
use macula_edge::protocol::message::RollbackReason;
use macula_edge::session::BundleSummary;
use macula_firmware_sim::board::{BLOCK, Board, Running, Shape};
use macula_firmware_sim::flash::Cut;
use macula_firmware_sim::line::{Line, Rates};

const USAGE: &str = "\
usage: macula-board [--listen ADDRESS] [--blob FILE | --dim N] [--faults MILLIONTHS] [--cut N] [--seed N]

  --listen ADDRESS     host and port; port 0 takes a free one [127.0.0.1:0]
  --blob FILE          the encoder; without one the board takes features only
  --dim N              dimensions of these features [64]
  --faults MILLIONTHS  rate of bursts that are lost, corrupted, duplicated, delayed, preceded by noise [0]
  --cut N              the power fails at the Nth flash operation after each start
  --seed N             seed of the faults [1]

example: macula-board --listen 127.0.0.1:7000 --dim 128 --faults 10000";

/// Bytes of the largest image of a board with an encoder: 256 by 256 in colour.
const IMAGE_BYTES: usize = 256 * 256 * 3;

/// A tick of the simulated line.
const TICK: Duration = Duration::from_millis(2);

struct Options {
    listen: String,
    blob: Option<String>,
    dim: usize,
    faults: u32,
    cut: Option<u64>,
    seed: u64,
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let listen = "127.0.0.1:0".to_owned();
    let mut options = Options { listen, blob: None, dim: 64, faults: 0, cut: None, seed: 1 };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(USAGE)?;
        let number = || value.parse::<u64>().map_err(|error| format!("{name} {value}: {error}"));
        match name.as_str() {
            "--listen" => options.listen = value,
            "--blob" => options.blob = Some(value),
            "--dim" => options.dim = number()? as usize,
            "--faults" => options.faults = number()?.min(1_000_000) as u32,
            "--cut" => options.cut = Some(number()?),
            "--seed" => options.seed = number()?,
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(options)
}

/// Accepts a bundle that is a blob which this board can run.
fn accept(_slot: u8, len: u32, read: &mut dyn FnMut(u32, &mut [u8]) -> bool) -> Result<BundleSummary, u32> {
    let mut bytes = vec![0; len as usize];
    if read(0, &mut bytes) { summary(&bytes).ok_or(1) } else { Err(2) }
}

/// The summary of a blob; this board has no counters.
fn summary(bytes: &[u8]) -> Option<BundleSummary> {
    let identity = Blob::parse(bytemuck::cast_slice(&words(bytes))).ok()?.identity();
    Some(BundleSummary { identity, counter: 0 })
}

fn run(options: &Options) -> Result<(), String> {
    let listener = TcpListener::bind(&options.listen).map_err(|error| format!("{}: {error}", options.listen))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    writeln!(io::stdout(), "listening on tcp:{address}").map_err(|error| error.to_string())?;
    let rates = Rates::all(options.faults);
    let line = [options.seed, !options.seed].map(|seed| Line::new(rates, seed));
    let mut port = Port { listener, line, options };
    let Some(path) = &options.blob else {
        let shape = Shape::features_only(options.dim);
        let mut board = Board::new(shape, accept);
        loop {
            port.power_on(board.start(shape.features()).map_err(|error| error.to_string())?)?;
        }
    };
    let file = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let words = words(&file);
    let blob = Blob::parse(bytemuck::cast_slice(&words)).map_err(|error| format!("{path}: {error}"))?;
    let dim = blob.dim();
    // Room for a bundle of twice the size.
    let slot_blocks = (2 * file.len()).div_ceil(BLOCK) as u32;
    let mut board = Board::new(Shape { image_bytes: IMAGE_BYTES, slot_blocks, ..Shape::features_only(dim) }, accept);
    board.program(&file).map_err(|error| format!("{error:?}"))?;
    loop {
        let mut start = board.begin_start().map_err(|error| error.to_string())?;
        loop {
            let words = self::words(board.slot(start.bundle.slot));
            let blob = Blob::parse(bytemuck::cast_slice(&words)).map_err(|error| error.to_string())?;
            let (mut work, mut feature) = (vec![0; blob.info().work_words()], vec![0; blob.dim()]);
            let would_forget = board.would_forget(start, blob.identity()).map_err(|error| error.to_string())?;
            let rollback_reason = match blob.self_test(&mut work, &mut feature) {
                Ok(None | Some(true)) if would_forget => RollbackReason::WouldForget,
                Ok(None | Some(true)) => {
                    break port.power_on(board.start_with(start, blob, 0).map_err(|error| error.to_string())?)?;
                }
                Ok(Some(false)) | Err(_) => RollbackReason::Golden,
            };
            if !start.is_pending {
                return Err(format!("the board cannot start: {rollback_reason}"));
            }
            start = board.roll_back(rollback_reason).map_err(|error| error.to_string())?;
        }
    }
}

/// Bytes as words, because a blob is read in place.
fn words(bytes: &[u8]) -> Vec<u32> {
    let mut words = vec![0u32; bytes.len().div_ceil(4)];
    bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
    words
}

/// The TCP port of the board.
struct Port<'o> {
    listener: TcpListener,
    /// The line to the board and back.
    line: [Line; 2],
    options: &'o Options,
}

impl Port<'_> {
    /// Serves one host after another until the power fails.
    fn power_on<E: Encoder>(&mut self, mut board: Running<'_, E>) -> Result<(), String> {
        if let Some(after) = self.options.cut {
            let flash = board.session.flash_mut();
            flash.cut_at(flash.operations + after, Cut::Torn(self.options.seed));
        }
        while !board.is_off() {
            let (stream, _) = self.listener.accept().map_err(|error| error.to_string())?;
            // A host that hangs up must not stop the board.
            let _ = attend(&mut board, stream, &mut self.line);
            self.line.iter_mut().for_each(Line::unplug);
        }
        Ok(())
    }
}

/// Serves one host until it hangs up or the power fails.
fn attend<E: Encoder>(board: &mut Running<'_, E>, mut stream: TcpStream, [up, down]: &mut [Line; 2]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TICK))?;
    let mut bytes = [0; 1024];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(len) => up.send(&bytes[..len]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
        board.now_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let sent = board.receive(&up.tick());
        if board.is_off() {
            return Ok(());
        }
        if !sent.is_empty() {
            down.send(&sent);
        }
        stream.write_all(&down.tick())?;
    }
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(2)
        }
    }
}
