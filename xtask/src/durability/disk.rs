// SPDX-License-Identifier: Apache-2.0
//! A disk whose cache is volatile: when the power goes off, what was flushed is there, and of what was not, each block is there
//! or not, by chance.
//!
//! A kill of QEMU alone loses less: what the guest wrote stays in the cache of the host, whether the guest had it flushed or
//! not. So the guest writes to a copy, QEMU (`blklogwrites`) notes each write and each flush in their order, and afterwards only
//! what a disk had to keep is carried over. Applying writes for an instant of its time, which a kill seldom meets, so chance
//! also chooses after which of the writes since the last acknowledgement the power went off. What is not shown: disks that
//! say that they flushed and did not, and file systems but ext4.

use std::fmt;
use std::fs::{self, File};
use std::ops::AddAssign;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Dice;
use crate::shell;

/// Without `noauto_da_alloc` ext4 writes out what is renamed over another file, also for programs that forget to (ext4(5)).
pub(super) const MOUNT_OPTIONS: &str = "noauto_da_alloc";

const SIZE_BYTES: u64 = 64 << 20;
/// What a disk writes at once.
const BLOCK: usize = 4096;
const SECTOR: usize = 512;

/// The log of the kernel's `dm-log-writes` (`Documentation/admin-guide/device-mapper/log-writes.rst`), which QEMU writes as
/// well: a sector with this number, then for each entry a sector that says what it is, and its data.
const MAGIC: u64 = 0x006a_7366_7773_6872;
const FLUSH: u64 = 1;
const DISCARD: u64 = 4;

/// A disk, by the path of its image.
pub(super) struct Disk {
    folder: PathBuf,
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.image().display())
    }
}

/// What became of the blocks that were written and not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lost {
    /// How many writes and flushes came after the last acknowledgement, and before the power went off.
    entries: u64,
    blocks: u64,
    of: u64,
}

impl AddAssign for Lost {
    fn add_assign(&mut self, other: Self) {
        self.entries += other.entries;
        self.blocks += other.blocks;
        self.of += other.of;
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, blocks, of } = self;
        write!(f, "cut off after {entries} more writes; of {of} blocks not flushed the disk forgot {blocks}")
    }
}

impl Disk {
    /// Makes a disk with an ext4 file system.
    pub(super) fn make(folder: &Path) -> Result<Self> {
        let disk = Self { folder: folder.to_owned() };
        File::create(disk.image())?.set_len(SIZE_BYTES)?;
        let mut mkfs = Command::new("/sbin/mkfs.ext4");
        mkfs.args(["-q", "-b", &BLOCK.to_string(), "-E", "lazy_itable_init=0,lazy_journal_init=0"]);
        shell::run(mkfs.arg(disk.image()))?;
        Ok(disk)
    }

    /// Gives it to a guest that is not running yet, where it is the first disk.
    pub(super) fn insert(&self, qemu: &mut Command) -> Result<()> {
        fs::copy(self.image(), self.copy())?;
        File::create(self.log())?;
        let (copy, log) = (self.copy(), self.log());
        qemu.arg("-blockdev").arg(format!(
            "driver=blklogwrites,node-name=disk,file.driver=file,file.filename={},log.driver=file,log.filename={}",
            copy.display(),
            log.display()
        ));
        qemu.args(["-device", "virtio-blk-pci,drive=disk,write-cache=on"]);
        Ok(())
    }

    /// How much was written so far, as [`Disk::forget`] takes it.
    pub(super) fn written(&self) -> Result<usize> {
        Ok(usize::try_from(fs::metadata(self.log())?.len())?)
    }

    /// Forgets what need not be there after the power went off, some time after so much was written.
    pub(super) fn forget(&self, written: usize, dice: &mut Dice) -> Result<Lost> {
        let log = fs::read(self.log())?;
        let image = File::options().write(true).open(self.image())?;
        replay(&log, written, dice, |offset, block| Ok(image.write_all_at(block, offset)?))
    }

    fn image(&self) -> PathBuf {
        self.folder.join("disk.img")
    }

    fn copy(&self) -> PathBuf {
        self.folder.join("running.img")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("writes.log")
    }
}

/// One write, or a flush.
struct Entry<'a> {
    /// Where it begins in the log.
    begin: usize,
    flags: u64,
    offset: u64,
    data: &'a [u8],
}

/// Writes what was flushed, and by chance what was not, up to one of the entries behind those that surely are in the log.
fn replay(
    log: &[u8],
    sure: usize,
    dice: &mut Dice,
    mut write: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<Lost> {
    let mut entries = entries(log)?;
    let sure = entries.iter().take_while(|entry| entry.begin < sure).count();
    let more = dice.below((entries.len() - sure) as u64 + 1);
    entries.truncate(sure + usize::try_from(more)?);
    let flushed = entries.iter().rposition(|entry| entry.flags & FLUSH != 0).map_or(0, |last| last + 1);
    let mut lost = Lost { entries: more, ..Lost::default() };
    for (number, entry) in entries.iter().enumerate() {
        ensure!(entry.flags & DISCARD == 0, "the guest discards, which this disk does not know");
        let blocks = entry.data.chunks(BLOCK).zip((entry.offset..).step_by(BLOCK));
        if number < flushed {
            blocks.into_iter().try_for_each(|(block, offset)| write(offset, block))?;
            continue;
        }
        for (block, offset) in blocks {
            let is_lost = dice.below(2) == 0;
            lost += Lost { entries: 0, blocks: u64::from(is_lost), of: 1 };
            if !is_lost {
                write(offset, block)?;
            }
        }
    }
    Ok(lost)
}

fn entries(log: &[u8]) -> Result<Vec<Entry<'_>>> {
    let magic = number(log, 0).context("QEMU logged nothing")?;
    ensure!(magic == MAGIC, "this is no log of writes: it begins with {magic:#x}");
    let mut entries = Vec::new();
    let mut rest = log.get(SECTOR..).unwrap_or_default();
    // The last entry may have been cut off: nobody was told that it was written.
    while let Some((head, behind)) = rest.split_at_checked(SECTOR) {
        let field = |index| number(head, index).context("a sector holds these numbers");
        let (sector, sectors, flags) = (field(0)?, field(1)?, field(2)?);
        let Some((data, behind)) = behind.split_at_checked(usize::try_from(sectors)? * SECTOR) else { break };
        let begin = log.len() - rest.len();
        entries.push(Entry { begin, flags, offset: sector * SECTOR as u64, data });
        rest = behind;
    }
    Ok(entries)
}

/// The little-endian number at an index.
fn number(bytes: &[u8], index: usize) -> Option<u64> {
    bytes.get(index * 8..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(numbers: &[u64]) -> Vec<u8> {
        let mut sector: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        sector.resize(SECTOR, 0);
        sector
    }

    /// A write of one block, filled with a letter.
    fn write(block: u64, letter: u8) -> Vec<u8> {
        let sectors = (BLOCK / SECTOR) as u64;
        [sector(&[block * sectors, sectors, 0, 0]), vec![letter; BLOCK]].concat()
    }

    #[test]
    fn what_was_flushed_stays_and_each_other_block_does_or_does_not() {
        let flush = sector(&[0, 0, FLUSH, 0]);
        let later = (1..=100).flat_map(|block| write(block, b'b'));
        let mut log = [sector(&[MAGIC, 1, 0]), write(0, b'a'), flush, later.collect()].concat();
        // The last one is cut off.
        log.extend(&write(500, b'c')[..700]);
        let mut written = Vec::new();
        let mut note = |offset, block: &[u8]| {
            written.push((offset / BLOCK as u64, block[0]));
            Ok(())
        };
        let lost = replay(&log, log.len(), &mut Dice(1), &mut note).unwrap();
        let cut = replay(&log, SECTOR, &mut Dice(1), |_, _| Ok(())).unwrap();
        assert_eq!(written[0], (0, b'a'));
        assert_eq!((lost.of, written.len() as u64), (100, 1 + 100 - lost.blocks));
        assert!((20..80).contains(&lost.blocks) && written[1..].iter().all(|(_, letter)| *letter == b'b'));
        assert!(lost.entries == 0 && cut.entries < 102 && cut.of <= cut.entries, "{cut:?}");
    }
}
