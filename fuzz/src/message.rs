//! Messages of the protocol: the first byte says whether the rest is a request (even) or a reply (odd).

use macula_edge::protocol::{Reply, Request};

use crate::Outcome;

/// Reads a message; what was read is written in no more bytes, and is the same when it is read again.
pub fn run(data: &[u8]) -> Outcome {
    let Some((kind, message)) = data.split_first() else { return Outcome::Refused };
    // What a message is written to is as long as the message: nothing grows.
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
        let copy = Reply::parse(&bytes[..len]).expect("what was written can be read");
        // By bytes: a probability that is no number is not equal to itself.
        assert_eq!(copy.write(&mut again), Ok(len));
        assert_eq!(again, bytes[..len]);
        len
    };
    assert!(Request::parse(&[&bytes[..written], &[0]].concat()).is_err() || kind & 1 == 1, "bytes after a message");
    Outcome::Accepted
}
