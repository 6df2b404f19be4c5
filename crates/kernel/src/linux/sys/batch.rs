// SPDX-License-Identifier: Apache-2.0
//! Many entries of a map by one call (Linux 5.6). libbpf-rs knows these calls for maps that have one value under a key only, and
//! takes every error for the end.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libbpf_sys::bpf_map_batch_opts;

use super::check;

/// A place between two entries of a map, as the kernel writes it: a number for hashes, a key for others.
#[derive(Debug, Clone)]
pub(crate) struct Place(Vec<u8>);

/// What a call read.
#[derive(Debug)]
pub(crate) struct Read {
    /// How many entries.
    pub(crate) count: u32,
    /// Where the next call goes on; none at the end.
    pub(crate) next: Option<Place>,
}

fn options() -> bpf_map_batch_opts {
    bpf_map_batch_opts { sz: size_of::<bpf_map_batch_opts>() as u64, ..bpf_map_batch_opts::default() }
}

/// Reads as many entries as there is room for, behind a place or from the beginning. `keys` and `values` have room for `most`
/// of them.
pub(crate) fn look_up(
    map: BorrowedFd<'_>,
    from: Option<&Place>,
    (keys, key_bytes): (&mut [u8], usize),
    values: &mut [u8],
    most: u32,
) -> io::Result<Read> {
    let (mut count, mut next, options) = (most, Place(vec![0; key_bytes.max(size_of::<u32>())]), options());
    let from = from.map_or(std::ptr::null(), |place| place.0.as_ptr());
    let (out, keys, values) = (next.0.as_mut_ptr(), keys.as_mut_ptr(), values.as_mut_ptr());
    // SAFETY: the buffers have room for `count` entries, and places for a key or a number.
    let result = unsafe {
        libbpf_sys::bpf_map_lookup_batch(
            map.as_raw_fd(),
            from.cast_mut().cast::<c_void>(),
            out.cast(),
            keys.cast(),
            values.cast(),
            &raw mut count,
            &raw const options,
        )
    };
    match check(result) {
        Ok(_) => Ok(Read { count, next: Some(next) }),
        // Before Linux 6.14: keys came and went too fast. What was read counts, and the next call goes on behind it.
        Err(error) if error.raw_os_error() == Some(libc::EINTR) && (1..most).contains(&count) => {
            Ok(Read { count, next: Some(next) })
        }
        // What was read until the end counts.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Read { count, next: None }),
        Err(error) => Err(error),
    }
}

/// Writes entries in their order. An error comes with how many were written before it.
pub(crate) fn update(
    map: BorrowedFd<'_>,
    keys: &[u8],
    values: &[u8],
    count: u32,
) -> Result<(), (u32, io::Error)> {
    let (mut done, options) = (count, options());
    let (keys, values) = (keys.as_ptr(), values.as_ptr());
    // SAFETY: the slices hold `count` keys and values.
    let result = unsafe {
        libbpf_sys::bpf_map_update_batch(
            map.as_raw_fd(),
            keys.cast(),
            values.cast(),
            &raw mut done,
            &raw const options,
        )
    };
    ended(result, done, count)
}

/// Deletes entries in their order. An error comes with how many were deleted before it.
pub(crate) fn delete(map: BorrowedFd<'_>, keys: &[u8], count: u32) -> Result<(), (u32, io::Error)> {
    let (mut done, options) = (count, options());
    // SAFETY: the slice holds `count` keys.
    let result = unsafe {
        libbpf_sys::bpf_map_delete_batch(
            map.as_raw_fd(),
            keys.as_ptr().cast(),
            &raw mut done,
            &raw const options,
        )
    };
    ended(result, done, count)
}

/// A call that was refused as a whole leaves the number as it was.
fn ended(result: c_int, done: u32, count: u32) -> Result<(), (u32, io::Error)> {
    check(result).map(drop).map_err(|error| (if done < count { done } else { 0 }, error))
}
