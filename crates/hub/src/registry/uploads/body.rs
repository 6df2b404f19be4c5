// SPDX-License-Identifier: Apache-2.0
//! Bodies of requests that bring pieces of a blob.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Body, BodyDataStream};
use axum::http::header;
use bytes::Bytes;
use futures_util::{StreamExt as _, future};

use super::location;
use crate::registry::call::Call;
use crate::registry::range::of_piece;
use crate::registry::refused::Refused;
use crate::storage::Staged;

/// A body up to this size is held in memory.
const SMALL_BYTES: usize = 256 * 1024;

/// Whether a body broke off.
pub(super) struct BrokeOff(Arc<AtomicBool>);

impl BrokeOff {
    pub(super) fn is_so(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The body until its end, or until it breaks off.
pub(super) fn until_broken(body: Body) -> (BodyDataStream, BrokeOff) {
    let broke_off = BrokeOff(Arc::default());
    let noted = Arc::clone(&broke_off.0);
    let whole = body.into_data_stream().take_while(move |piece| {
        if piece.is_err() {
            noted.store(true, Ordering::Release);
        }
        future::ready(piece.is_ok())
    });
    (Body::from_stream(whole).into_data_stream(), broke_off)
}

/// What a request brings.
pub(super) enum Brought {
    /// All of it, which is small.
    Whole(Bytes),
    /// It comes as it comes.
    Stream(Body),
}

/// Reads the body whole, where it says that it is small.
pub(super) async fn brought(call: &Call, body: Body) -> Result<Brought, Refused> {
    match length(call) {
        Some(length) if length <= SMALL_BYTES as u64 => {
            let read = axum::body::to_bytes(body, SMALL_BYTES).await;
            read.map(Brought::Whole).map_err(|_broken| Refused::BrokenOff)
        }
        Some(_) | None => Ok(Brought::Stream(body)),
    }
}

/// The length that the client tells before.
fn length(call: &Call) -> Option<u64> {
    call.header(&header::CONTENT_LENGTH)?.parse().ok()
}

/// Whether a piece comes next. Returns its range, if the client tells.
pub(super) fn check_place(call: &Call, staged: &Staged) -> Result<Option<Range<u64>>, Refused> {
    let Some(given) = call.header(&header::CONTENT_RANGE) else { return Ok(None) };
    match of_piece(given) {
        Some(range) if range.start == staged.size => {
            length(call).map_or(Ok(()), |length| check_length(Some(&range), length))?;
            Ok(Some(range))
        }
        Some(_) | None => Err(Refused::OutOfOrder {
            size: staged.size,
            given: given.to_owned(),
            location: location(call, staged),
        }),
    }
}

/// Whether a piece had the length that was told.
pub(super) fn check_length(place: Option<&Range<u64>>, arrived: u64) -> Result<(), Refused> {
    match place {
        Some(range) if range.end - range.start != arrived => {
            Err(Refused::OtherLength { given: format!("{}-{}", range.start, range.end - 1), size: arrived })
        }
        Some(_) | None => Ok(()),
    }
}
