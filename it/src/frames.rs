// SPDX-License-Identifier: Apache-2.0
//! Frames that are sent and caught as they are (`it/python/frames.py`): with tags, broken, or from addresses that their sender does not
//! have, as floods send them. They stay in the namespaces of a story.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use packet::Packet;

use crate::{Side, repository};

/// The bytes of a frame that is written as text (`docs/testing.md`). What `eth` has as addresses are those of the interfaces of a
/// [`Pair`](crate::Pair), from left to right.
///
/// # Errors
/// When the text is no packet.
pub fn frame(text: &str) -> Result<Vec<u8>> {
    let packet: Packet = text.parse().with_context(|| format!("`{text}` is no packet"))?;
    Ok(packet.to_bytes())
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn script(side: &Side, task: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{}", side.namespace)).arg("python3");
    command.arg(repository().join("it/python/frames.py")).args([task, &side.interface]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

fn input_of(process: &mut Child) -> Result<ChildStdin> {
    process.stdin.take().context("its input was taken before")
}

/// A way out of an interface for frames of any kind.
#[derive(Debug)]
pub struct Outlet {
    process: Child,
    /// None once it is closed.
    input: Option<ChildStdin>,
}

impl Outlet {
    /// Opens one at the interface of a side.
    ///
    /// # Errors
    /// When Python cannot be started there; it needs root.
    pub fn on(side: &Side) -> Result<Self> {
        let mut process = script(side, "send").spawn()?;
        let input = Some(input_of(&mut process)?);
        Ok(Self { process, input })
    }

    /// Sends a frame, soon and behind all that were sent before.
    ///
    /// # Errors
    /// When the interface took one of those before not.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let mut input = self.input.as_ref().context("it is closed")?;
        Ok(input.write_all((hex(frame) + "\n").as_bytes())?)
    }

    /// Waits until all is sent.
    ///
    /// # Errors
    /// When the interface did not take all.
    pub fn finish(mut self) -> Result<()> {
        drop(self.input.take());
        ensure!(self.process.wait()?.success(), "not all frames were sent");
        Ok(())
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.process.wait());
    }
}

/// Sends frames out of the interface of a side, and waits until they are sent.
///
/// # Errors
/// When the interface does not take them.
pub fn send_frames<F: AsRef<[u8]>>(side: &Side, frames: impl IntoIterator<Item = F>) -> Result<()> {
    let outlet = Outlet::on(side)?;
    frames.into_iter().try_for_each(|frame| outlet.send(frame.as_ref()))?;
    outlet.finish()
}

/// Whoever catches what an interface receives, until it is asked for it.
#[derive(Debug)]
pub struct Net {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Net {
    /// Catches what the interface of a side receives from now on.
    ///
    /// # Errors
    /// When Python cannot be started there; it needs root.
    pub fn on(side: &Side) -> Result<Self> {
        let mut process = script(side, "catch").spawn()?;
        let mut output = BufReader::new(process.stdout.take().context("its output was taken before")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        ensure!(line == "ready\n", "nothing can be caught on `{}`", side.interface);
        Ok(Self { process, output })
    }

    /// All frames but those by which neighbours find each other, with their tags. It waits for so many, and a moment for more.
    ///
    /// # Errors
    /// When the catching ended early.
    pub fn caught(mut self, expected: usize) -> Result<Vec<Vec<u8>>> {
        writeln!(input_of(&mut self.process)?, "{expected}")?;
        let mut text = String::new();
        self.output.read_to_string(&mut text)?;
        ensure!(self.process.wait()?.success(), "the catching ended early");
        let byte = |pair: &[u8]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
        text.lines().map(|line| line.as_bytes().chunks(2).map(byte).collect()).collect()
    }
}

/// What arrives at one side of what another one sends: so many frames are expected.
///
/// # Errors
/// As those of [`send_frames`] and [`Net`].
pub fn frames_across<F: AsRef<[u8]>>(
    from: &Side,
    at: &Side,
    sent: impl IntoIterator<Item = F>,
    expected: usize,
) -> Result<Vec<Vec<u8>>> {
    let net = Net::on(at)?;
    send_frames(from, sent)?;
    net.caught(expected)
}

/// Has the kernel compute the checksums of what it sends out of an interface, and not the card that it is taken for.
///
/// # Errors
/// When the kernel refuses.
pub fn no_offload(side: &Side) -> Result<()> {
    ensure!(script(side, "no-offload").status()?.success(), "the kernel refuses");
    Ok(())
}
