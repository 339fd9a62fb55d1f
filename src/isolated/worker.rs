//! The child's side: opens one encoder, encodes the images it receives, and ends with its parent.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, sync_channel};

use super::frame::{self, Card, ENCODE, FAILED, FEATURES, Fault, LOAD, Load, MODEL, OPENED, PATH, REFUSED};
use crate::encoder::{EncodeError, HostEncoder};
use crate::runtime::{OnnxEncoder, OpenOptions};

/// Address space in addition to the encoder's: of the program, and of each thread's stack and allocator arena.
const PROGRAM_BYTES: u64 = 512 << 20;
const THREAD_BYTES: u64 = 72 << 20;

/// Images per block and thread: large enough that waiting for the slowest thread of a block is a small part of it.
pub(super) const IMAGES_PER_THREAD: usize = 4;

/// Serves the parent until it closes `input`.
///
/// # Errors
/// When the parent sends an invalid request or does not read replies.
pub fn serve_worker(input: impl Read + Send + 'static, output: &mut impl Write) -> io::Result<()> {
    let frames = read_ahead(input);
    let Some((load, source)) = frames.recv().ok().zip(frames.recv().ok()) else { return Ok(()) };
    let (LOAD, load) = load else { return Err(io::ErrorKind::InvalidData.into()) };
    let load: Load = serde_json::from_slice(&load)?;
    limit_memory(&load);
    // Without this pool, rayon makes its default one.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(load.threads).build_global();
    let encoder = match open(&load, source) {
        Ok(encoder) => encoder,
        Err(message) => return frame::write(output, REFUSED, message.as_bytes()),
    };
    frame::write(output, OPENED, &serde_json::to_vec(&card(&encoder))?)?;
    let block = encoder.preprocessing().input_len() * IMAGES_PER_THREAD * load.threads.max(1);
    while let Ok((ENCODE, bytes)) = frames.recv() {
        encode(&encoder, &bytes, block, output)?;
    }
    Ok(())
}

/// Reads frames in a thread that ends the process when the parent closes the pipe, even during work.
fn read_ahead(mut input: impl Read + Send + 'static) -> Receiver<(u8, Vec<u8>)> {
    let (send, receive) = sync_channel(1);
    std::thread::spawn(move || {
        while let Ok(Some(frame)) = frame::read(&mut input) {
            if send.send(frame).is_err() {
                return;
            }
        }
        std::process::exit(0);
    });
    receive
}

fn open(load: &Load, (kind, source): (u8, Vec<u8>)) -> Result<OnnxEncoder, String> {
    let options = OpenOptions { preprocessing: load.preprocessing.clone(), arithmetic: load.arithmetic };
    let opened = match kind {
        PATH => OnnxEncoder::open_with(&to_path(source), &options),
        MODEL => OnnxEncoder::from_bytes(&load.name, &source, &options),
        _ => return Err("the parent sent no ONNX file".to_owned()),
    };
    opened.map_err(|error| error.to_string())
}

fn to_path(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

fn card(encoder: &OnnxEncoder) -> Card {
    let (info, provenance) = (encoder.info().clone(), encoder.provenance().cloned());
    Card { info, arithmetic: encoder.arithmetic(), provenance }
}

/// Sends the features of `pixels` block by block, so that the parent sees progress.
fn encode(encoder: &OnnxEncoder, pixels: &[u8], block: usize, output: &mut impl Write) -> io::Result<()> {
    let image_len = encoder.preprocessing().input_len();
    for (number, images) in pixels.chunks(block).enumerate() {
        let fault = match encoder.encode_batch(images) {
            Ok(features) => {
                frame::write(output, FEATURES, &frame::to_bytes(&features))?;
                continue;
            }
            Err(EncodeError::NotFinite { image, position, value, .. }) => {
                Fault::NotFinite { image: number * block / image_len + image, position, value: value.to_string() }
            }
            Err(EncodeError::Encoder { message, .. }) => Fault::Encoder { message },
        };
        return frame::write(output, FAILED, &serde_json::to_vec(&fault)?);
    }
    Ok(())
}

fn limit_memory(load: &Load) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let threads = load.threads.max(1) as u64 + 2;
    let limit = load.memory_bytes.saturating_add(PROGRAM_BYTES).saturating_add(threads * THREAD_BYTES);
    // On systems without these limits, the deadlines remain.
    let _ = setrlimit(Resource::As, Rlimit { current: Some(limit), maximum: Some(limit) });
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}
