// SPDX-License-Identifier: Apache-2.0
//! Keys behind a command, as services for keys have one: it gets on stdin what to sign, and answers with the bare
//! signature on stdout. What it may say and how long it may take is bounded.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use trust::{PublicKey, Sign, SignError};

use super::KeyFile;
use super::reference::KeyCommand;
use crate::failure::Failure;

/// Somebody may have to find a token and touch it.
const LIMIT: Duration = Duration::from_mins(2);
/// Twice as much as the longest signature that is known here (ML-DSA-65, 3309 bytes), and more.
const MAX_SIGNATURE_BYTES: u64 = 8 * 1024;
const MAX_WORDS_BYTES: u64 = 8 * 1024;

/// A key behind a command.
pub(super) struct CommandKey {
    public: PublicKey,
    command: KeyCommand,
    limit: Duration,
}

/// A command did not sign.
#[derive(Debug, Error)]
enum CommandError {
    #[error("`{program}` cannot be run")]
    Start {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("`{program}` cannot be talked to")]
    Talk {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("`{program}` did not end within {} seconds", limit.as_secs_f32())]
    Timeout { program: String, limit: Duration },
    #[error("`{program}` answered more than {MAX_SIGNATURE_BYTES} bytes, and no signature is so long")]
    TooLong { program: String },
    #[error("`{program}` ended with {status}{}", said(.words))]
    Failed { program: String, status: ExitStatus, words: Vec<u8> },
}

struct Answer {
    status: ExitStatus,
    signature: Vec<u8>,
    words: Vec<u8>,
}

/// Opens the public key of a command. The command is run when something is to be signed.
pub(super) fn open(command: &KeyCommand) -> Result<CommandKey, Failure> {
    let keys = KeyFile::read(&command.public)?.public();
    let one = keys.as_ref().and_then(|signer| <&[PublicKey; 1]>::try_from(signer.keys()).ok());
    let [public] = one.ok_or_else(|| {
        let what = format!("`{}` does not hold one public key", command.public.display());
        Failure::new(what).with_hint("a command signs with one key: `command:PUBLIC PROGRAM ARGUMENT...`")
    })?;
    Ok(CommandKey { public: public.clone(), command: command.clone(), limit: LIMIT })
}

impl Sign for CommandKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let input = self.public.algorithm().input(message);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let answer = runtime.map_err(SignError::new)?.block_on(self.ask(&input));
        answer.map_err(SignError::new)
    }
}

impl CommandKey {
    async fn ask(&self, input: &[u8]) -> Result<Vec<u8>, CommandError> {
        let program = || self.command.program.clone();
        let child = Command::new(&self.command.program)
            .args(&self.command.arguments)
            // Our passphrases are nothing to it.
            .env_remove("L3AF_PASSPHRASE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| CommandError::Start { program: program(), source })?;
        let answer = tokio::time::timeout(self.limit, talk(child, input)).await;
        let answer = answer.or(Err(CommandError::Timeout { program: program(), limit: self.limit }))?;
        let answer = answer.map_err(|source| CommandError::Talk { program: program(), source })?;
        if answer.signature.len() as u64 > MAX_SIGNATURE_BYTES {
            Err(CommandError::TooLong { program: program() })
        } else if !answer.status.success() {
            Err(CommandError::Failed { program: program(), status: answer.status, words: answer.words })
        } else {
            Ok(answer.signature)
        }
    }
}

async fn talk(mut child: Child, input: &[u8]) -> io::Result<Answer> {
    const PIPED: &str = "it was started with pipes";
    let mut stdin = child.stdin.take().expect(PIPED);
    let stdout = child.stdout.take().expect(PIPED);
    let stderr = child.stderr.take().expect(PIPED);
    let write = async move {
        match stdin.write_all(input).await {
            // One that does not listen may answer all the same; its answer and its status tell.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    };
    let ((), signature, words, status) =
        tokio::try_join!(write, first_bytes(stdout, MAX_SIGNATURE_BYTES + 1), words(stderr), child.wait())?;
    Ok(Answer { status, signature, words })
}

/// Reads no further than that: who writes more is told so by the system, and ends.
async fn first_bytes(from: impl AsyncRead + Unpin, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(max_bytes).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Reads words to their end and keeps the first of them, so that nobody is stopped in the middle of a sentence.
async fn words(mut from: impl AsyncRead + Unpin) -> io::Result<Vec<u8>> {
    let kept = first_bytes(&mut from, MAX_WORDS_BYTES).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(kept)
}

/// The last line of what a command said, as far as it may go to a terminal.
fn said(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words);
    let shown = |line: &str| line.chars().filter(|letter| !letter.is_control()).take(200).collect::<String>();
    let last = text.lines().rev().map(shown).find(|line| !line.trim().is_empty());
    last.map(|line| format!(" and said `{}`", line.trim())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use trust::{Algorithm, Checked, PrivateKey};

    use super::*;

    /// What comes of it when this shell script is asked to sign.
    fn asked(script: &str, limit: Duration) -> Result<Vec<u8>, String> {
        let public = PrivateKey::from_seed([1; 32]).public().clone();
        let arguments = vec!["-c".to_owned(), script.to_owned()];
        let command = KeyCommand { public: "1.pub".into(), program: "sh".to_owned(), arguments };
        let signed = Checked::new(CommandKey { public, command, limit }).sign(b"message");
        signed.map_err(|error| {
            let cause = error.source().unwrap();
            let root = cause.source().map(|root| format!(": {root}")).unwrap_or_default();
            format!("{cause}{root}")
        })
    }

    #[test]
    fn a_command_that_does_not_sign_is_refused() {
        let refused = |script| asked(script, LIMIT).unwrap_err();
        insta::assert_snapshot!(refused("cat"), @"what came back is no signature of the key 7ab6b86cb2c9684b0ddc10896153aa2595decf4d4327a5ff1a8ab7422c828b12 over what was to be signed");
        insta::assert_snapshot!(refused("true"), @"what came back is no signature of the key 7ab6b86cb2c9684b0ddc10896153aa2595decf4d4327a5ff1a8ab7422c828b12 over what was to be signed");
        insta::assert_snapshot!(refused("echo first >&2; printf 'no such key\\033[2J\\n\\n' >&2; exit 3"), @"`sh` ended with exit status: 3 and said `no such key[2J`");
        insta::assert_snapshot!(refused("exec cat /dev/zero"), @"`sh` answered more than 8192 bytes, and no signature is so long");
        insta::assert_snapshot!(refused("kill -9 $$"), @"`sh` ended with signal: 9 (SIGKILL)");
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let limit = Duration::from_millis(200);
        insta::assert_snapshot!(asked("exec cat /dev/zero >/dev/null", limit).unwrap_err(), @"`sh` did not end within 0.2 seconds");
        // It has closed all pipes, so that only its end is waited for.
        insta::assert_snapshot!(asked("exec >/dev/null 2>&1 </dev/null; exec tail -f /dev/null", limit).unwrap_err(), @"`sh` did not end within 0.2 seconds");
    }

    #[test]
    fn a_command_that_talks_much_is_listened_to() {
        let words = asked("yes word | head -c 1000000 >&2; exit 1", LIMIT).unwrap_err();
        insta::assert_snapshot!(words, @"`sh` ended with exit status: 1 and said `wo`");
    }

    #[test]
    fn a_command_that_is_not_there_is_told() {
        let public = PrivateKey::from_seed([1; 32]).public().clone();
        let command =
            KeyCommand { public: "1.pub".into(), program: "./nothing".to_owned(), arguments: Vec::new() };
        let refused = CommandKey { public, command, limit: LIMIT }.sign(b"message").unwrap_err();
        insta::assert_snapshot!(refused.source().unwrap(), @"`./nothing` cannot be run");
    }

    #[test]
    fn a_command_gets_what_the_algorithm_signs() {
        let public = PrivateKey::generate(Algorithm::MlDsa65).public().clone();
        let command = KeyCommand { public: "1.pub".into(), program: "cat".to_owned(), arguments: Vec::new() };
        let got = CommandKey { public, command, limit: LIMIT }.sign(b"").unwrap();
        // TAP 21: a prefix and the SHA-512, here that of nothing.
        assert_eq!((&got[..4], &got[4..8], got.len()), (&b"tuf\x01"[..], &[0xcf, 0x83, 0xe1, 0x35][..], 68));
    }
}
