//! Messages of the protocol: the first byte says whether the rest is a request (even) or a reply (odd).

use macula_edge::protocol::{Reply, Request};

use crate::Outcome;

/// Reads a message. It is written in at most as many bytes, and equal when read again.
pub fn run(data: &[u8]) -> Outcome {
    let Some((kind, message)) = data.split_first() else { return Outcome::Refused };
    // The buffer is as long as the message, so a message that grows is an error.
    let mut bytes = vec![0; message.len()];
    let written = if kind & 1 == 0 {
        let Ok(request) = Request::parse(message) else { return Outcome::Refused };
        let len = request.write(&mut bytes).expect("a request grew");
        assert_eq!(Request::parse(&bytes[..len]), Ok(request));
        len
    } else {
        let Ok(reply) = Reply::parse(message) else { return Outcome::Refused };
        let len = reply.write(&mut bytes).expect("a reply grew");
        let mut again = vec![0; len];
        let copy = Reply::parse(&bytes[..len]).expect("a written message can be read");
        // Compared as bytes, because a NaN probability is not equal to itself.
        assert_eq!(copy.write(&mut again), Ok(len));
        assert_eq!(again, bytes[..len]);
        len
    };
    assert!(Request::parse(&[&bytes[..written], &[0]].concat()).is_err() || kind & 1 == 1, "bytes after a message");
    Outcome::Accepted
}
