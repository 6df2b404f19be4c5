// SPDX-License-Identifier: Apache-2.0
//! Searches among many packages that nobody wrote: words as frequent as in a language (Zipf), some with mistakes, and facets.
//!
//! The packages are put into the tables of a hub as releases are, and `l3af-hub reindex` finds its words in them: publishing each would
//! measure publishing. What is asked is asked over HTTP.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use it::{Dice, Hub};
use serde_json::Value;
use wire::hub::Facts;

use super::servers::hub_program;

/// How many packages there are.
const PACKAGES: u64 = 100_000;
/// How many words there are to describe them with.
const WORDS: usize = 20_000;
/// How many searches are measured.
const SEARCHES: usize = 3_000;
/// Of a hundred searches so many have a mistake in one word.
const MISTAKES: u64 = 30;
/// When packages are released: one after the other until 2026, one each half an hour.
const BEGIN_MS: u64 = 1_600_000_000_000;
const STEP_MS: u64 = 1_800_000;

const CATEGORIES: [&str; 8] =
    ["network", "security", "observability", "storage", "scheduling", "profiling", "container", "tools"];
const PARTS: [&str; 6] = ["limits", "filters", "flows", "events", "latency", "access"];
const HOOKS: [(&str, &str); 6] = [
    ("xdp", "xdp"),
    ("tc-ingress", "sched_cls"),
    ("tc-egress", "sched_cls"),
    ("kprobe", "kprobe"),
    ("tracepoint", "tracepoint"),
    ("lsm", "lsm"),
];
const LICENSES: [&str; 4] = ["GPL-2.0-only", "Apache-2.0", "MIT", "BSD-3-Clause"];
const KERNELS: [&str; 5] = ["5.10", "5.15", "6.1", "6.6", "6.12"];

/// What was measured.
pub(super) struct Measured {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// Of counting the facets of what is found.
    pub(super) facets_p99_ms: f64,
    /// Resident memory of the hub afterwards, in MiB.
    pub(super) rss_mib: f64,
    /// How many searches of a hundred found something.
    pub(super) found_percent: usize,
}

/// A package that nobody wrote.
struct Package {
    name: String,
    facts: Facts,
    pulls: u64,
}

/// A language that nobody speaks.
struct Language {
    words: Vec<String>,
    /// The sum of the frequencies up to each word.
    sums: Vec<u64>,
}

/// Fills a hub and searches in it.
pub(super) fn measure() -> Result<Measured> {
    let mut hub = Hub::start()?;
    hub.add_publisher("bench")?;
    hub.end()?;
    hub.program = hub_program();
    let (mut dice, language) = (Dice::new(), Language::made_up());
    let packages: Vec<Package> =
        (0..PACKAGES).map(|number| Package::made_up(number, &language, &mut dice)).collect::<Result<_>>()?;
    fill(&hub, &packages)?;
    hub.administer(&["reindex"])?.success()?;
    hub.restart()?;
    let (mut times, mut facets, mut found) = (Vec::with_capacity(SEARCHES), Vec::new(), 0);
    for number in 0..SEARCHES {
        let asked = search(&packages[dice.index(packages.len())], &language, &mut dice);
        let (time, answer) = ask(&hub, &format!("/api/v1/packages?{asked}"))?;
        times.push(time);
        found += usize::from(answer["packages"].as_array().is_some_and(|packages| !packages.is_empty()));
        // Some look at what there is to choose from, in what they found and on its whole shelf.
        if number % 10 == 0 {
            facets.push(ask(&hub, &format!("/api/v1/facets?{asked}"))?.0);
            let shelf = CATEGORIES[dice.index(CATEGORIES.len())];
            facets.push(ask(&hub, &format!("/api/v1/facets?category={shelf}"))?.0);
        }
    }
    let (found_percent, rss_mib) = (found * 100 / SEARCHES, resident_mib(hub.process()?)?);
    let (p50_ms, p99_ms) = (at(&mut times, 50), at(&mut times, 99));
    Ok(Measured { p50_ms, p99_ms, facets_p99_ms: at(&mut facets, 99), rss_mib, found_percent })
}

/// Asks the hub, and tells how long that took.
fn ask(hub: &Hub, path: &str) -> Result<(Duration, Value)> {
    let begin = Instant::now();
    let reply = hub.get(path)?;
    let time = begin.elapsed();
    ensure!(reply.status == 200, "`{path}` is answered with {}", reply.status);
    Ok((time, serde_json::from_slice(&reply.body)?))
}

/// The time that so many of a hundred do not exceed.
fn at(times: &mut [Duration], part: usize) -> f64 {
    times.sort_unstable();
    millis(times[times.len() * part / 100])
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn resident_mib(process: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no `VmRSS`")?;
    let kib: u32 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(f64::from(kib) / 1024.0)
}

/// Puts packages into the tables of a hub that does not run.
fn fill(hub: &Hub, packages: &[Package]) -> Result<()> {
    let mut sqlite = Command::new("sqlite3")
        .arg(hub.folder().join("hub.db"))
        .stdin(Stdio::piped())
        .spawn()
        .context("`sqlite3` cannot be started: `cargo xtask setup` installs it")?;
    let mut input = sqlite.stdin.take().context("it has an input")?;
    input.write_all(b"BEGIN;\n")?;
    for (number, package) in packages.iter().enumerate() {
        input.write_all(package.rows(number as u64)?.as_bytes())?;
    }
    input.write_all(b"COMMIT;\n")?;
    drop(input);
    ensure!(sqlite.wait()?.success(), "`sqlite3` refuses the packages");
    Ok(())
}

impl Language {
    /// Words of syllables, of which the first are the most frequent: the n-th is one n-th as frequent as the first (Zipf).
    fn made_up() -> Self {
        const SYLLABLES: [&str; 24] = [
            "ba", "ce", "di", "fo", "gu", "la", "me", "ni", "po", "ru", "sa", "te", "vi", "xo", "zu", "kra",
            "ple", "tri", "sto", "gru", "lim", "ber", "nok", "dan",
        ];
        let (mut dice, mut words, mut known) = (Dice::new(), Vec::new(), BTreeSet::new());
        while words.len() < WORDS {
            let count = 2 + dice.index(3);
            let word: String = (0..count).map(|_| SYLLABLES[dice.index(SYLLABLES.len())]).collect();
            if known.insert(word.clone()) {
                words.push(word);
            }
        }
        let frequencies = (1..=WORDS as u64).scan(0, |sum, rank| {
            *sum += 1_000_000_000 / rank;
            Some(*sum)
        });
        Self { words, sums: frequencies.collect() }
    }

    fn word(&self, dice: &mut Dice) -> &str {
        let all = self.sums.last().copied().unwrap_or(1);
        let at = dice.below(all);
        &self.words[self.sums.partition_point(|sum| *sum <= at)]
    }
}

impl Package {
    fn made_up(number: u64, language: &Language, dice: &mut Dice) -> Result<Self> {
        let (hook, kind) = HOOKS[dice.index(HOOKS.len())];
        let words = |count: usize, dice: &mut Dice| -> Vec<String> {
            (0..count).map(|_| language.word(dice).to_owned()).collect()
        };
        let facts = Facts {
            description: words(12, dice).join(" "),
            category: CATEGORIES[dice.index(CATEGORIES.len())].to_owned(),
            subcategory: PARTS[dice.index(PARTS.len())].to_owned(),
            tags: words(3, dice),
            license: LICENSES[dice.index(LICENSES.len())].to_owned(),
            homepage: None,
            source: None,
            kernel_min: KERNELS[dice.index(KERNELS.len())].parse()?,
            platforms: vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()],
            hooks: BTreeSet::from([hook.to_owned()]),
            program_types: BTreeSet::from([kind.to_owned()]),
            programs: words(1, dice),
            maps: words(2, dice).into_iter().collect(),
            co_re: true,
            user_program: false,
            size_bytes: 20_000,
        };
        let name = format!("{}-{}-{number}", language.word(dice), language.word(dice));
        // A few packages have most of the pulls.
        let pulls = 10_000_000 / (1 + dice.below(PACKAGES));
        Ok(Self { name, facts, pulls })
    }

    /// Its rows, as publishing it would leave them.
    fn rows(&self, number: u64) -> Result<String> {
        let (facts, released_ms) = (serde_json::to_string(&self.facts)?, BEGIN_MS + number * STEP_MS);
        let Self { name, pulls, .. } = self;
        let mut text = String::new();
        writeln!(
            text,
            "INSERT INTO repositories (id, publisher, name, public, created_ms) VALUES ('{number:08}', 'bench', '{name}', 1, 0);\n\
             INSERT INTO packages (id, publisher, name, created_ms, pulls) VALUES ('{number:08}', 'bench', '{name}', 0, {pulls});\n\
             INSERT INTO releases (id, package, version, repository, digest, state, pushed_ms, changed_ms, released_ms, facts) \
             VALUES ('{number:08}', '{number:08}', '1.0.0', '{number:08}', 'sha256:{number:064x}', 'released', {released_ms}, \
             {released_ms}, {released_ms}, '{facts}');"
        )?;
        Ok(text)
    }
}

/// What somebody asks who has seen a package once: one to three of its words, or of the language, on its shelf and at its hook.
fn search(package: &Package, language: &Language, dice: &mut Dice) -> String {
    let own: Vec<&str> = package.facts.description.split(' ').collect();
    let count = 1 + dice.index(3);
    let mut words: Vec<String> = (0..count).map(|_| own[dice.index(own.len())].to_owned()).collect();
    if dice.below(2) == 0 {
        language.word(dice).clone_into(&mut words[0]);
    }
    if dice.below(100) < MISTAKES {
        let at = dice.index(words.len());
        words[at] = mistaken(&words[at], dice);
    }
    let hook = package.facts.hooks.first().map(String::as_str).unwrap_or_default();
    format!("q={}&category={}&hook={hook}", words.join("+"), package.facts.category)
}

/// A word with one mistake: a letter left out, doubled, replaced, or two swapped.
fn mistaken(word: &str, dice: &mut Dice) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let at = dice.index(letters.len() - 1);
    match dice.below(4) {
        0 => drop(letters.remove(at)),
        1 => letters.insert(at, letters[at]),
        2 => letters[at] = 'q',
        _ => letters.swap(at, at + 1),
    }
    letters.into_iter().collect()
}
