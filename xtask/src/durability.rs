// SPDX-License-Identifier: Apache-2.0
//! The power goes off while a node applies a document, or while artifacts are pushed to a hub, again and again: what was acknowledged
//! must be there at the next boot.
//!
//! The node, or the hub, is in a guest, and its state is on a disk of its own. QEMU is killed, and the disk then forgets what was not
//! flushed ([`disk`]), as a disk with a cache that is volatile may. What must be there is decided here, by whoever was told
//! ([`memory`], [`pushes`]); the guest's part is `it/src/bin/durability`.

mod disk;
mod fact;
mod guest;
mod ledger;
mod memory;
mod pushes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::setup;
use crate::shell::{self, command, repository, say};
use crate::vm::{self, Guest};
use disk::{Disk, Lost};
use fact::Fact;
use guest::Running;
use ledger::Ledger;
use memory::Memory;
use pushes::Pushes;

/// What is done first after each boot has a mark of its own: whoever sees it knows who did it.
const MARKS_OF_A_BOOT: u64 = 1000;
/// At most so much is acknowledged before the power goes off.
const MOST_ACKNOWLEDGED: u64 = 5;

/// Whose power goes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Subject {
    /// A node, to which documents are applied
    Node,
    /// A hub, to which artifacts are pushed
    Hub,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Whose power goes off
    #[arg(long, value_enum, default_value_t = Subject::Node)]
    of: Subject,
    /// How often it is to go off in the middle of applying, or pushing
    #[arg(long, default_value_t = 50)]
    kills: u32,
    /// Kernel of the guest: the numbers of its release
    #[arg(long, default_value = "6.1")]
    kernel: String,
    /// What all that is left to chance follows from, to have it again
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Arguments {
    /// What is done with every other test: enough to notice that nothing lasts, in a minute.
    pub(crate) fn few() -> [Self; 2] {
        [Subject::Node, Subject::Hub].map(|of| Self { of, kills: 2, kernel: "6.1".to_owned(), seed: 1 })
    }
}

/// Lets the power go off so often, and ends with an error at the first boot that lacks something.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    setup::install(setup::EVERYTHING)?;
    shell::run(&mut command("cargo build --quiet --workspace --bins"))?;
    let Arguments { of, kills, kernel, seed } = arguments;
    say(&format!("The power goes off {kills} times, by chance with --seed {seed}"));
    let mut course = Course::prepare(*of, kernel, *seed)?;
    while course.kills < *kills {
        let running = course.boot()?;
        course.cut_off(running)?;
    }
    drop(course.boot()?);
    course.sum_up();
    Ok(())
}

/// Chance that can be had again: `SplitMix64` of Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators".
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.throw() % bound
    }
}

/// A guest that loses its power now and then.
struct Course {
    of: Subject,
    image: vm::Image,
    folder: PathBuf,
    disk: Disk,
    dice: Dice,
    ledger: Box<dyn Ledger>,
    boots: u64,
    /// How often the power went off in the middle of something.
    kills: u32,
    lost: Lost,
}

impl Course {
    fn prepare(of: Subject, kernel: &str, seed: u64) -> Result<Self> {
        let folder = vm::folder_of(kernel).join("durability");
        let image = vm::fetch(kernel, &vm::folder_of(kernel))?;
        drop(fs::remove_dir_all(&folder));
        vm::copy(&["l3afd", "l3af", "l3af-hub", "l3af-durability"], &folder.join("bin"))?;
        make_packages(&folder)?;
        let disk = Disk::make(&folder)?;
        let ledger: Box<dyn Ledger> = match of {
            Subject::Node => Box::new(Memory::default()),
            Subject::Hub => Box::new(Pushes::default()),
        };
        Ok(Self {
            of,
            image,
            folder,
            disk,
            dice: Dice(seed),
            ledger,
            boots: 0,
            kills: 0,
            lost: Lost::default(),
        })
    }

    /// What the guest runs.
    fn program(&self) -> String {
        let (folder, mark) = (self.folder.display(), self.boots * MARKS_OF_A_BOOT);
        let work = match self.of {
            Subject::Node => format!("node --state /disk/l3af --packages {folder}"),
            Subject::Hub => "hub --state /disk/hub".to_owned(),
        };
        format!("{folder}/bin/l3af-durability {work} --mark {mark}")
    }

    /// Boots the guest, and compares what it tells with what is remembered.
    fn boot(&mut self) -> Result<Running> {
        self.boots += 1;
        let line = format!(
            "echo; dmesg -n 1; echo; echo '{}'; modprobe virtio_blk && mkdir /disk && mount -o {} /dev/vda /disk && {}",
            guest::UP,
            disk::MOUNT_OPTIONS,
            self.program()
        );
        let guest = Guest { image: &self.image, folder: self.folder.clone() };
        let mut qemu = guest.qemu(&vm::line(&line))?;
        self.disk.insert(&mut qemu)?;
        let mut running = Running::start(qemu)?;
        let mut told = Vec::new();
        loop {
            let fact = running.next()?;
            if fact == Fact::Complete {
                break;
            }
            told.push(fact);
        }
        let judged = self.ledger.judge(&told);
        let judged = judged.with_context(|| format!("boot {}; {} is as it was", self.boots, self.disk))?;
        say(&format!("boot {}: {judged}", self.boots));
        Ok(running)
    }

    /// Lets the guest work, and switches it off in the middle of it.
    fn cut_off(&mut self, mut running: Running) -> Result<()> {
        let before = self.ledger.acknowledged();
        let (mut took, mut written) = (Duration::ZERO, 0);
        for _ in 0..=self.dice.below(MOST_ACKNOWLEDGED) {
            let (begin, acknowledged) = (Instant::now(), self.ledger.acknowledged());
            while self.ledger.acknowledged() == acknowledged {
                self.hear(&mut running)?;
            }
            // Of those that are done beside each other the last ones take no time.
            (took, written) = (took.max(begin.elapsed()), self.disk.written()?);
        }
        while !self.ledger.in_flight() {
            self.hear(&mut running)?;
        }
        // Anywhere in as long as one took.
        let after = Duration::from_millis(self.dice.below(1 + u64::try_from(took.as_millis())?));
        thread::sleep(after);
        let acknowledged = self.ledger.acknowledged();
        for fact in running.kill()? {
            self.ledger.hear(&fact)?;
        }
        if self.ledger.acknowledged() > acknowledged {
            written = self.disk.written()?;
        }
        let lost = self.disk.forget(written, &mut self.dice)?;
        let acknowledged = self.ledger.acknowledged() - before;
        let remark = if self.ledger.in_flight() {
            self.kills += 1;
            ""
        } else {
            "; it was in the middle of nothing, and does not count"
        };
        say(&format!("kill {}: {acknowledged} acknowledged, {lost}{remark}", self.kills));
        self.lost += lost;
        Ok(())
    }

    fn hear(&mut self, running: &mut Running) -> Result<()> {
        let fact = running.next()?;
        self.ledger.hear(&fact)
    }

    fn sum_up(&self) {
        say(&format!(
            "\nThe power went off {} times in the middle of something. {}\nIn all, {}",
            self.kills,
            self.ledger.sum_up(),
            self.lost
        ));
    }
}

/// What the documents are made of: built here, as compilers take long in a guest.
fn make_packages(folder: &Path) -> Result<()> {
    let l3af = |line: &str| {
        let mut command = Command::new(repository().join("target/debug/l3af"));
        shell::output(command.args(line.split(' ')).current_dir(folder))
    };
    l3af("key new key --no-passphrase")?;
    for name in ["sanity", "ratelimit"] {
        l3af(&format!("build {} --output {name}", repository().join("programs").join(name).display()))?;
        l3af(&format!("sign {name} --key key"))?;
    }
    Ok(())
}
