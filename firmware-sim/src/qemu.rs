//! Runs the Cortex-M image in QEMU: its UART is a socket of this process, its flash a file.
//!
//! Ending the emulator is a power cut: the file keeps the programmed bytes, memory is lost.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use macula_edge::protocol::{Client, Refusal, Request};

/// The emulator's program.
pub const QEMU: &str = "qemu-system-arm";

/// A board that the emulator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// MPS2 with a Cortex-M7; runs programs for a Cortex-M4F, too.
    An500,
    /// MPS3 with a Cortex-M55.
    An547,
}

impl Machine {
    /// Name for the emulator.
    fn name(self) -> &'static str {
        match self {
            Self::An500 => "mps2-an500",
            Self::An547 => "mps3-an547",
        }
    }

    /// Bytes of the memory that it maps to the flash's file, and accepts no other; the board uses the first [`FLASH_BYTES`].
    fn mapped_bytes(self) -> u64 {
        match self {
            Self::An500 => 16 << 20,
            Self::An547 => 2 << 30,
        }
    }
}

/// Where the board's RAM begins.
const RAM_START: u32 = 0x2000_0000;

/// Time-out of a reply.
const REPLY_LIMIT: Duration = Duration::from_secs(60);

/// Bytes of the board's flash, as in `cortex-m/src/flash.rs`.
pub const FLASH_BYTES: usize = 512 * 1024;

/// An error of the emulator.
#[derive(Debug, thiserror::Error)]
pub enum QemuError {
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// The operation.
        what: String,
        /// The cause.
        source: io::Error,
    },
    /// Nothing arrived in time; the output of the emulator may say why.
    #[error("no {what} within {limit_s} s; the emulator printed: {output}")]
    TimedOut {
        /// What was expected.
        what: &'static str,
        /// The time-out, in seconds.
        limit_s: u64,
        /// Its standard output and error.
        output: String,
    },
    /// The request is longer than the client's memory.
    #[error("the request cannot be sent: {0}")]
    Request(Refusal),
    /// The emulator ended; after a panic its status is 101.
    #[error("the emulator ended with {status}: {output}")]
    Ended {
        /// Its exit status.
        status: String,
        /// Its standard output and error.
        output: String,
    },
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> QemuError {
    let what = what.into();
    move |source| QemuError::Io { what, source }
}

/// Makes a file of erased flash.
///
/// # Errors
/// When it cannot be written.
pub fn erased_flash(path: &Path) -> Result<(), QemuError> {
    let make = || {
        let mut file = File::create(path)?;
        file.write_all(&vec![0xff; FLASH_BYTES])
    };
    make().map_err(io_error(path.display().to_string()))
}

/// A running emulator; dropping it kills it.
struct Emulator {
    child: Child,
}

impl Emulator {
    fn start(image: &Path, arguments: &[String]) -> Result<Self, QemuError> {
        let mut fixed = vec![QEMU];
        fixed.extend(["-display", "none", "-semihosting-config", "enable=on,target=native"]);
        fixed.push("-kernel");
        let run = |program: &str, before: &[&str]| {
            let mut command = Command::new(program);
            command.args(before).arg(image).args(arguments);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
        };
        // A killed test runs no destructors: `setpriv` makes the kernel end the emulator then.
        let guarded = [&["--pdeathsig", "KILL"], fixed.as_slice()].concat();
        let child = match run("setpriv", &guarded) {
            Err(error) if error.kind() == ErrorKind::NotFound => run(QEMU, &fixed[1..]),
            started => started,
        };
        Ok(Self { child: child.map_err(io_error(QEMU))? })
    }

    /// Waits for its end; `None` when it still runs after `limit`.
    fn wait(&mut self, limit: Duration) -> Result<Option<std::process::ExitStatus>, QemuError> {
        let deadline = Instant::now() + limit;
        loop {
            match self.child.try_wait().map_err(io_error(QEMU))? {
                Some(status) => return Ok(Some(status)),
                None if Instant::now() >= deadline => return Ok(None),
                None => sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Ends it; returns its output.
    fn kill(&mut self) -> String {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let mut output = Vec::new();
        if let Some(pipe) = self.child.stdout.as_mut() {
            let _ = pipe.read_to_end(&mut output);
        }
        if let Some(pipe) = self.child.stderr.as_mut() {
            let _ = pipe.read_to_end(&mut output);
        }
        String::from_utf8_lossy(&output).into_owned()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Runs an image that ends by itself on `machine`, at a fixed number of instructions per second of its own clock.
///
/// Returns its output, at most the 64 KB of a pipe: a longer output would block it until the time-out.
///
/// # Errors
/// When it cannot be started, does not end in `limit`, or ends with another status than 0.
pub fn run_image(machine: Machine, image: &Path, limit: Duration) -> Result<String, QemuError> {
    let arguments =
        ["-M", machine.name(), "-serial", "null", "-monitor", "none", "-icount", "shift=6"].map(str::to_owned);
    let mut emulator = Emulator::start(image, &arguments)?;
    let status = emulator.wait(limit)?;
    let output = emulator.kill();
    match status {
        Some(status) if status.success() => Ok(output),
        Some(status) => Err(QemuError::Ended { status: status.to_string(), output }),
        None => Err(QemuError::TimedOut { what: "end of the run", limit_s: limit.as_secs(), output }),
    }
}

/// A running board.
pub struct QemuBoard {
    line: TcpStream,
    emulator: Emulator,
}

impl QemuBoard {
    /// Runs `image` on `machine` with the flash in file `flash` (see [`erased_flash`]).
    ///
    /// The board runs as long as the thread that started it.
    ///
    /// # Errors
    /// When the emulator cannot be started or does not open its line in ten seconds.
    pub fn start(machine: Machine, image: &Path, flash: &Path) -> Result<Self, QemuError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io_error("a local port"))?;
        let port = listener.local_addr().map_err(io_error("a local port"))?.port();
        let mapped = mapped_flash(flash)?;
        // What is added to the file takes no room on the disk.
        let lengthen = || File::options().write(true).open(&mapped)?.set_len(machine.mapped_bytes());
        lengthen().map_err(io_error(mapped.display().to_string()))?;
        let arguments = [
            "-M".to_owned(),
            format!("{},memory-backend=flash", machine.name()),
            "-object".to_owned(),
            format!(
                "memory-backend-file,id=flash,size={},share=on,mem-path={}",
                machine.mapped_bytes(),
                mapped.display()
            ),
            "-chardev".to_owned(),
            format!("socket,id=line,host=127.0.0.1,port={port}"),
            "-serial".to_owned(),
            "chardev:line".to_owned(),
            "-monitor".to_owned(),
            "stdio".to_owned(),
        ];
        let mut emulator = Emulator::start(image, &arguments)?;
        let line = accept(&listener, &mut emulator, Duration::from_secs(10))?;
        line.set_read_timeout(Some(REPLY_LIMIT)).map_err(io_error("the line"))?;
        Ok(Self { line, emulator })
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the emulator has ended.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), QemuError> {
        self.line.write_all(bytes).map_err(|source| self.lost("sending", source))
    }

    /// Waits for bytes; returns their number, at least one.
    ///
    /// # Errors
    /// When none comes in a minute, or the emulator has ended.
    pub fn receive(&mut self, bytes: &mut [u8]) -> Result<usize, QemuError> {
        match self.line.read(bytes) {
            Ok(0) => Err(self.lost("receiving", ErrorKind::UnexpectedEof.into())),
            Ok(count) => Ok(count),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let (limit_s, output) = (REPLY_LIMIT.as_secs(), self.emulator.kill());
                Err(QemuError::TimedOut { what: "reply", limit_s, output })
            }
            Err(error) => Err(self.lost("receiving", error)),
        }
    }

    /// Sends a request and waits for its reply. The line loses nothing, so nothing is sent again.
    ///
    /// # Errors
    /// As [`Self::send`] and [`Self::receive`], and when the client has no room for the request.
    pub fn exchange(&mut self, client: &mut Client<'_>, request: &Request<'_>) -> Result<Vec<u8>, QemuError> {
        let mut frame = Vec::new();
        client.request(request, &mut |piece| frame.extend_from_slice(piece)).map_err(QemuError::Request)?;
        self.send(&frame)?;
        let mut bytes = [0; 4096];
        loop {
            let count = self.receive(&mut bytes)?;
            for &byte in &bytes[..count] {
                if let Some(reply) = client.receive(byte) {
                    return Ok(reply.to_vec());
                }
            }
        }
    }

    /// The content of the RAM, from its beginning.
    ///
    /// * `file`: where the emulator may write it
    ///
    /// # Errors
    /// When the emulator does not write it in ten seconds.
    pub fn ram(&mut self, ram_kb: usize, file: &Path) -> Result<Vec<u8>, QemuError> {
        let (bytes, limit) = (ram_kb * 1024, Duration::from_secs(10));
        // By the processor's addresses: the RAM beside a Cortex-M55 is not on its bus.
        let command = format!("memsave {RAM_START:#x} {bytes} \"{}\"\n", file.display());
        let monitor = self.emulator.child.stdin.as_mut().ok_or_else(|| ErrorKind::BrokenPipe.into());
        monitor
            .and_then(|monitor| monitor.write_all(command.as_bytes()))
            .map_err(io_error("the emulator's monitor"))?;
        let deadline = Instant::now() + limit;
        loop {
            match fs::read(file) {
                Ok(ram) if ram.len() == bytes => return Ok(ram),
                _ if Instant::now() < deadline => sleep(Duration::from_millis(5)),
                _ => {
                    let output = self.emulator.kill();
                    return Err(QemuError::TimedOut { what: "copy of the RAM", limit_s: limit.as_secs(), output });
                }
            }
        }
    }

    /// Cuts the power at once.
    pub fn cut_power(mut self) {
        self.emulator.kill();
    }

    /// Why the line broke: the emulator's end, if it has ended.
    fn lost(&mut self, what: &str, source: io::Error) -> QemuError {
        match self.emulator.wait(Duration::from_secs(1)) {
            Ok(Some(status)) => QemuError::Ended { status: status.to_string(), output: self.emulator.kill() },
            _ => QemuError::Io { what: what.to_owned(), source },
        }
    }
}

/// The flash's file by its whole name, which may not hold the comma that separates QEMU's options.
fn mapped_flash(flash: &Path) -> Result<PathBuf, QemuError> {
    let whole = flash.canonicalize().map_err(io_error(flash.display().to_string()))?;
    match whole.to_string_lossy().contains(',') {
        false => Ok(whole),
        true => Err(io_error(format!("{}: a comma in the name", whole.display()))(ErrorKind::InvalidInput.into())),
    }
}

fn accept(listener: &TcpListener, emulator: &mut Emulator, limit: Duration) -> Result<TcpStream, QemuError> {
    listener.set_nonblocking(true).map_err(io_error("a local port"))?;
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        match listener.accept() {
            Ok((line, _)) => {
                line.set_nonblocking(false).and_then(|()| line.set_nodelay(true)).map_err(io_error("the line"))?;
                return Ok(line);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(io_error("a local port")(error)),
        }
        if let Some(status) = emulator.wait(Duration::from_millis(5))? {
            return Err(QemuError::Ended { status: status.to_string(), output: emulator.kill() });
        }
    }
    Err(QemuError::TimedOut { what: "line", limit_s: limit.as_secs(), output: emulator.kill() })
}
