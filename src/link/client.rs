//! The client: sessions, time-outs, repetition.

use std::time::{Duration, Instant};

use macula_edge::protocol::message::{Input, VERSION};
use macula_edge::protocol::{self, Reason, Refusal, Reply, Request, packet_max};

use super::replies::{DeviceInfo, Feature};
use super::transport::remaining;
use super::{Address, LinkError, Transport};
use crate::data::Image;
use crate::data::decode::EncoderRange;
use crate::rng::Rng;

/// Bytes of the longest message: enough for the largest feature and for large parts of an image.
const MESSAGE_MAX: usize = 65_536;

/// Time-out of the first attempt. A late reply is requested again, which does no harm.
const REPLY_TIMEOUT: Duration = Duration::from_millis(500);

/// Attempts of a request. The time-out doubles each time: 31 s in all, for a slow encoder or a large head.
const ATTEMPTS: usize = 6;

/// Attempts of a hello, which is quick: 7 s in all without a reply mean that there is no device.
const HELLO_ATTEMPTS: usize = 4;

/// Bytes that are read from the line at once.
const READ_LEN: usize = 4096;

/// Memory of one client.
pub struct ClientMemory {
    received: Vec<u8>,
    packet: Vec<u8>,
}

impl ClientMemory {
    /// Memory for any device.
    pub fn new() -> Self {
        let room = packet_max(MESSAGE_MAX);
        Self { received: vec![0; room], packet: vec![0; room] }
    }
}

impl Default for ClientMemory {
    fn default() -> Self {
        Self::new()
    }
}

/// Sends requests to a device until it replies.
pub struct Client<'m> {
    address: String,
    line: &'m mut dyn Transport,
    protocol: protocol::Client<'m>,
    sessions: Rng,
    device: DeviceInfo,
    reply: Vec<u8>,
    /// Makes features on the host, for a device without an encoder.
    embed: Option<&'m Embed<'m>>,
    /// The range of raw values that the device's encoder expects.
    range: EncoderRange,
    /// Whether the device is too old for operating points: it refused such a request.
    pub(super) is_without_points: bool,
}

/// Makes the feature of an image, or explains why not.
pub type Embed<'e> = dyn Fn(&Image) -> Result<Feature, String> + 'e;

impl<'m> Client<'m> {
    /// The range of raw values that the device's encoder expects.
    pub fn range(&self) -> EncoderRange {
        self.range
    }

    /// Sets the range of raw values. The protocol does not carry it: a device takes 8-bit pixels.
    pub fn set_range(&mut self, range: EncoderRange) {
        self.range = range;
    }

    /// Opens a session over `line`.
    ///
    /// * `address`: of the device, for errors
    /// * `sessions`: draws session numbers; two hosts of one device must not draw the same
    ///
    /// # Errors
    /// When the device does not reply, or speaks another version of the protocol.
    pub fn new(
        address: &Address,
        line: &'m mut dyn Transport,
        memory: &'m mut ClientMemory,
        mut sessions: Rng,
    ) -> Result<Self, LinkError> {
        let protocol = protocol::Client::new(session(&mut sessions), &mut memory.received, &mut memory.packet);
        let (address, device, reply) = (address.to_string(), DeviceInfo::default(), Vec::new());
        let (embed, range, is_without_points) = (None, EncoderRange::Unknown, false);
        let mut client = Self { address, line, protocol, sessions, device, reply, embed, range, is_without_points };
        client.device = client.hello()?;
        Ok(client)
    }

    /// The device and its limits, from the hello reply.
    pub fn device(&self) -> &DeviceInfo {
        &self.device
    }

    /// Makes features with `embed`, for a device without an encoder.
    pub fn set_local_encoder(&mut self, embed: &'m Embed<'m>) {
        self.embed = Some(embed);
    }

    /// The feature of `image`, made on the host; `None` when the device has an encoder.
    pub(super) fn embed_locally(&self, image: &Image) -> Result<Option<Feature>, LinkError> {
        match self.embed {
            Some(embed) if self.device.channels == 0 => embed(image)
                .map(Some)
                .map_err(|message| LinkError::Unsendable { address: self.address.clone(), request: "image", message }),
            _ => Ok(None),
        }
    }

    /// The address of the device.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends `request` until the device replies; `read` extracts the result from the reply.
    ///
    /// * `name`: of the request, for errors
    pub(super) fn call<T>(
        &mut self,
        name: &'static str,
        request: &Request<'_>,
        mut read: impl FnMut(&Reply<'_>) -> Option<T>,
    ) -> Result<T, LinkError> {
        self.exchange(name, request, ATTEMPTS)?;
        if matches!(Reply::parse(&self.reply), Ok(Reply::Refused(refusal)) if is_closed(refusal)) {
            // The device restarted or has served another host since.
            let refused = self.read(name, &mut read);
            self.protocol.begin(session(&mut self.sessions));
            self.device = self.hello()?;
            if continues(request) {
                return refused;
            }
            self.exchange(name, request, ATTEMPTS)?;
        }
        self.read(name, &mut read)
    }

    /// The error for a reply of the wrong kind.
    pub(super) fn unexpected(&self, name: &'static str, reply: String) -> LinkError {
        LinkError::Unexpected { address: self.address.clone(), request: name, reply }
    }

    fn hello(&mut self) -> Result<DeviceInfo, LinkError> {
        let name = "hello";
        self.exchange(name, &Request::Hello { version: VERSION }, HELLO_ATTEMPTS)?;
        let mut device = self.read(name, &mut |reply: &Reply<'_>| match reply {
            Reply::Hello(hello) => Some(DeviceInfo::of(hello)),
            _ => None,
        })?;
        // It may have another program now.
        self.is_without_points = false;
        // A message must fit into the memory of both ends.
        device.message_max = device.message_max.min(MESSAGE_MAX);
        Ok(device)
    }

    fn read<T>(&self, name: &'static str, read: &mut impl FnMut(&Reply<'_>) -> Option<T>) -> Result<T, LinkError> {
        let reply = match Reply::parse(&self.reply) {
            Ok(reply) => reply,
            Err(_) => return Err(self.unexpected(name, format!("{} bytes that are not a message", self.reply.len()))),
        };
        if let Reply::Refused(refusal) = reply {
            return Err(LinkError::Refused { address: self.address.clone(), request: name, refusal });
        }
        read(&reply).ok_or_else(|| self.unexpected(name, kind(&reply)))
    }

    /// Sends a request and stores the message of the reply in `self.reply`.
    fn exchange(&mut self, name: &'static str, request: &Request<'_>, attempts: usize) -> Result<(), LinkError> {
        let (mut frame, mut timeout, mut waited) = (Vec::new(), REPLY_TIMEOUT, Duration::ZERO);
        let mut keep = |piece: &[u8]| frame.extend_from_slice(piece);
        self.protocol.request(request, &mut keep).map_err(|refusal| LinkError::Unsendable {
            address: self.address.clone(),
            request: name,
            message: refusal.to_string(),
        })?;
        for _ in 0..attempts {
            let start = Instant::now();
            self.line.send(&frame).map_err(|source| self.broken(source))?;
            if self.await_reply(timeout)? {
                return Ok(());
            }
            waited += start.elapsed();
            timeout *= 2;
        }
        Err(LinkError::Silent { address: self.address.clone(), request: name, attempts, waited })
    }

    /// Whether the reply came within `timeout`.
    fn await_reply(&mut self, timeout: Duration) -> Result<bool, LinkError> {
        let (start, mut bytes) = (Instant::now(), [0; READ_LEN]);
        while let Some(left) = remaining(timeout, start) {
            let arrived = self.line.receive(&mut bytes, left).map_err(|source| self.broken(source))?;
            if arrived == 0 {
                return Ok(false);
            }
            for &byte in &bytes[..arrived] {
                if let Some(message) = self.protocol.receive(byte) {
                    self.reply.clear();
                    self.reply.extend_from_slice(message);
                    // The rest of `bytes` can only be a second copy.
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn broken(&self, source: std::io::Error) -> LinkError {
        LinkError::Broken { address: self.address.clone(), source }
    }
}

fn is_closed(refusal: Refusal) -> bool {
    refusal.reason() == Some(Reason::NoSession)
}

/// Whether a request continues what others of its session began. In a new session they must come again: what is there now may be
/// another host's image or bundle.
fn continues(request: &Request<'_>) -> bool {
    match request {
        Request::ImageChunk { .. }
        | Request::BundleChunk { .. }
        | Request::BundleCommit
        | Request::BundleCommitForgetting { .. } => true,
        Request::Embed { input }
        | Request::Learn { input, .. }
        | Request::Predict { input, .. }
        | Request::Why { input }
        | Request::Decide { input, .. } => matches!(input, Input::Image),
        _ => false,
    }
}

fn session(sessions: &mut Rng) -> u32 {
    sessions.bits() as u32
}

/// The name of a reply's variant.
fn kind(reply: &Reply<'_>) -> String {
    let debug = format!("{reply:?}");
    debug.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::{self, Read};

    use macula_edge::protocol::Endpoint;
    use macula_edge::protocol::message::HelloReply;

    use super::*;
    use crate::link::{Provenance, Sample};

    const ROOM: usize = packet_max(256);

    /// A device that serves another host just before the first Learn.
    struct Shared {
        endpoint: Endpoint<'static>,
        other: protocol::Client<'static>,
        answered: VecDeque<u8>,
        /// Numbers of the requests that were executed.
        asked: Vec<u8>,
        is_alone: bool,
    }

    impl Shared {
        fn hear(&mut self, bytes: &[u8]) {
            let Self { endpoint, answered, asked, .. } = self;
            for &byte in bytes {
                let answer = |message: &[u8], _, out: &mut [u8]| {
                    asked.push(message[0]);
                    reply(message[0]).write(out).unwrap()
                };
                endpoint.receive(byte, answer, &mut |piece| answered.extend(piece));
            }
        }
    }

    fn reply(request: u8) -> Reply<'static> {
        match request {
            0 => Reply::Hello(HelloReply {
                version: VERSION,
                program: "shared",
                program_version: "1",
                identity: [1; 16],
                dim: 2,
                classes: 2,
                supports: 4,
                message_max: 256,
                image_bytes_max: 4,
                channels: 1,
                bundle_bytes_max: 0,
            }),
            3 => Reply::Staged { next: 0, len: 4 },
            4 => Reply::Staged { next: 4, len: 4 },
            _ => Reply::Learned { class: 0, new: true, supports: 1 },
        }
    }

    impl Transport for Shared {
        fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
            if !self.is_alone && self.asked.last() == Some(&4) {
                self.is_alone = true;
                let mut hello = Vec::new();
                let request = Request::Hello { version: VERSION };
                self.other.request(&request, &mut |piece| hello.extend_from_slice(piece)).unwrap();
                self.hear(&hello);
                self.answered.clear();
            }
            self.hear(bytes);
            Ok(())
        }

        fn receive(&mut self, buffer: &mut [u8], _: Duration) -> io::Result<usize> {
            self.answered.read(buffer)
        }
    }

    #[test]
    fn an_image_is_sent_again_after_another_host() {
        let lent = || Box::leak(Box::new([0_u8; ROOM])).as_mut_slice();
        let mut line = Shared {
            endpoint: Endpoint::new(lent(), lent()),
            other: protocol::Client::new(7, lent(), lent()),
            answered: VecDeque::new(),
            asked: Vec::new(),
            is_alone: false,
        };
        let (address, mut memory) = (Address::Tcp { socket: "shared:1".to_owned() }, ClientMemory::new());
        let image = Image { width: 2, height: 2, channels: 1, pixels: vec![1, 2, 3, 4] };
        let mut client = Client::new(&address, &mut line, &mut memory, Rng::for_purpose(1, "test")).unwrap();
        let from = Provenance { source: [1; 16], operator: 0, time_s: 1 };
        assert!(client.learn(0, &from, Sample::Image(&image)).unwrap().new);
        drop(client);
        // Hello, the image, the other's hello; then everything again before Learn.
        assert_eq!(line.asked, [0, 3, 4, 0, 0, 3, 4, 9]);
    }
}
