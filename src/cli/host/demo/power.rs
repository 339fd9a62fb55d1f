//! Power cuts of the demo: a device in another process is killed while it learns and forgets.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;

use super::store::with_encoder;
use crate::cli::connect::with_client;
use crate::cli::failure::check_failed;
use crate::encoders::Opened;
use crate::link::{Address, Client, LinkError, Support, open_line};
use crate::rng::Rng;

/// Number of kills.
pub const CUTS: usize = 10;

/// Latest time of a kill; some requests are done by then.
const INSTANT_MAX_US: usize = 60_000;

/// A device in another process, which is killed on drop.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The cycle of changes: learn one, learn the other, forget the one, forget the other.
const ROUND: usize = 4;

/// Kills a device on `store` repeatedly while it learns and forgets two samples, and checks that no acknowledged change is
/// lost. Returns the number of acknowledged changes.
///
/// * `samples`: new samples, each with a class of the store
///
/// # Errors
/// When a change was lost, as a failed check.
pub fn cut(store: &Path, opened: &Opened, samples: [(&str, &Support); 2], seed: u64) -> anyhow::Result<usize> {
    let states = with_encoder(store, opened, |client| {
        let mut states = [client.state_sha256()?; ROUND + 1];
        for step in 0..ROUND {
            change(client, samples, step)?;
            states[step + 1] = client.state_sha256()?;
        }
        Ok(states)
    })?;
    if states[ROUND] != states[0] {
        return Err(check_failed("learning and forgetting a sample changed the state of the device"));
    }
    let (mut rng, mut acknowledged) = (Rng::for_purpose(seed, "power cuts"), 0);
    for _ in 0..CUTS {
        let done = until_killed(store, opened, samples, Duration::from_micros(rng.below(INSTANT_MAX_US) as u64))?;
        acknowledged += done;
        // Acknowledged changes are stored. The change in progress is stored completely or not at all.
        let found = with_encoder(store, opened, |client| {
            let found = client.state_sha256()?;
            samples.iter().try_for_each(|(_, support)| client.forget(support.from.source).map(drop))?;
            Ok(found)
        })?;
        if found != states[done % ROUND] && found != states[done % ROUND + 1] {
            return Err(check_failed(
                "a power cut left a state that is neither the one before nor the one after a change",
            ));
        }
    }
    Ok(acknowledged)
}

/// Starts a device, changes it until it is killed, and returns the number of acknowledged changes.
fn until_killed(
    store: &Path,
    opened: &Opened,
    samples: [(&str, &Support); 2],
    instant: Duration,
) -> anyhow::Result<usize> {
    let (mut running, address) = start(store, opened)?;
    let killer = std::thread::spawn(move || {
        std::thread::sleep(instant);
        running.0.kill().ok();
    });
    let mut done = 0;
    let line = open_line(&address).map_err(anyhow::Error::from);
    let ended: anyhow::Result<()> = line.and_then(|mut line| {
        with_client(&address, &mut *line, None, |client| {
            loop {
                change(client, samples, done % ROUND)?;
                done += 1;
            }
        })
    });
    killer.join().ok();
    match ended {
        Err(error) if is_cut_off(&error) => Ok(done),
        other => other.map(|()| done),
    }
}

/// Whether the device is gone.
fn is_cut_off(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<LinkError>(), Some(LinkError::Broken { .. } | LinkError::Unreachable { .. }))
}

fn change(client: &mut Client<'_>, samples: [(&str, &Support); 2], step: usize) -> Result<(), LinkError> {
    let (class, support) = samples[step % 2];
    match step < 2 {
        true => client.merge(class, support).map(drop),
        false => client.forget(support.from.source).map(drop),
    }
}

/// Starts this program as a device.
fn start(store: &Path, opened: &Opened) -> anyhow::Result<(Running, Address)> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let child = Command::new(program)
        .args(["device", "--json", "--listen", "tcp:127.0.0.1:0", "--encoder", &opened.name, "--store"])
        .arg(store)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start a device")?;
    let mut running = Running(child);
    let mut line = String::new();
    if let Some(out) = running.0.stdout.take() {
        BufReader::new(out).read_line(&mut line).context("the device printed nothing")?;
    }
    let ready: serde_json::Value = serde_json::from_str(&line).context("the device did not start")?;
    let address = ready["listening"].as_str().unwrap_or_default().parse().map_err(anyhow::Error::msg)?;
    Ok((running, address))
}
