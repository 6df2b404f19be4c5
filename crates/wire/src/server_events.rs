// SPDX-License-Identifier: Apache-2.0
//! Server-sent events (WHATWG HTML 9.2), as far as the node's API has them: the data of each is JSON in one line.

use std::collections::VecDeque;

use serde::de::DeserializeOwned;
use thiserror::Error;

/// More than that without the end of a line is not what a node sends.
const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// Takes a stream apart, in whatever pieces it comes.
#[derive(Debug)]
pub(crate) struct ServerEvents<T> {
    begun: Vec<u8>,
    data: VecDeque<T>,
}

/// What came is no stream of such events.
#[derive(Debug, Error)]
pub(crate) enum NoEvent {
    /// A line does not end.
    #[error("a line has more than {MAX_LINE_BYTES} bytes")]
    Endless,
    /// The data is something else.
    #[error("the data of an event is not what it should be")]
    Data(#[from] serde_json::Error),
}

impl<T: DeserializeOwned> ServerEvents<T> {
    /// Before anything came.
    pub(crate) fn new() -> Self {
        Self { begun: Vec::new(), data: VecDeque::new() }
    }

    /// Takes the next piece.
    pub(crate) fn take(&mut self, piece: &[u8]) -> Result<(), NoEvent> {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.begun.len() + part.len() > MAX_LINE_BYTES {
                return Err(NoEvent::Endless);
            }
            self.begun.extend_from_slice(part);
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.begun);
                self.line(&line)?;
            }
        }
        Ok(())
    }

    /// Other fields, comments that keep the connection alive, and the ends of events say nothing here.
    fn line(&mut self, line: &[u8]) -> Result<(), NoEvent> {
        if let Some(data) = line.strip_prefix(b"data:") {
            self.data.push_back(serde_json::from_slice(data)?);
        }
        Ok(())
    }

    /// The next that is whole.
    pub(crate) fn next(&mut self) -> Option<T> {
        self.data.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<String>, String> {
        let mut events = ServerEvents::<String>::new();
        for piece in pieces {
            events.take(piece).map_err(|error| error.to_string())?;
        }
        Ok(std::iter::from_fn(|| events.next()).collect())
    }

    #[test]
    fn comments_and_ends_say_nothing_and_other_data_is_refused() {
        let read_whole = |text: &str| read(&[text.as_bytes()]);
        assert_eq!(
            read_whole(":\n\ndata: \"a\\rb\"\n\ndata:\"\"\n\n"),
            Ok(vec!["a\rb".to_owned(), String::new()])
        );
        assert_eq!(read_whole("data: \"half"), Ok(Vec::new()));
        assert_eq!(
            read_whole("data: half\n"),
            Err("the data of an event is not what it should be".to_owned())
        );
    }

    proptest::proptest! {
        #[test]
        fn a_stream_says_the_same_however_it_is_cut(lines: Vec<String>, cuts: Vec<proptest::sample::Index>) {
            let written = lines.iter().map(|line| format!("data: {}\n\n", serde_json::to_string(line).unwrap()));
            let stream = written.collect::<String>().into_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]).collect();
            assert_eq!(read(&pieces), Ok(lines));
        }
    }
}
