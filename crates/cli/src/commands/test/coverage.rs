// SPDX-License-Identifier: Apache-2.0
//! Which lines of C the tests reached. Programs are built so that they count, and what they counted is read of a map with each test.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use compile::{Clang, Counted, SECTION};
use package::Manifest;
use serde::Serialize;
use serde_json::Value;
use wire::{TestRead, TestWish, Tested};

use crate::arguments::Test;
use crate::commands::build;
use crate::failure::{Failure, Outcome};
use crate::output;

/// The objects of a package that count, and what they counted so far.
pub(super) struct Coverage {
    clang: Clang,
    folder: PathBuf,
    manifest: Manifest,
    /// By their paths in the package.
    counted: BTreeMap<String, (Counted, Sums)>,
    objects: BTreeMap<String, Vec<u8>>,
}

/// What was reached, by file.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    files: Vec<File>,
}

#[derive(Debug, Serialize)]
struct File {
    path: String,
    /// How many lines have code.
    lines: usize,
    reached: usize,
    /// Lines with code that are not reached, as `7` or `7-9`.
    missed: Vec<String>,
    #[serde(skip)]
    annotated: Option<String>,
}

/// What the counters of each function add up to.
type Sums = Vec<Vec<u64>>;

/// How often each line ran.
type Lines = BTreeMap<usize, u64>;

impl Coverage {
    /// Builds the programs of a folder so that they count.
    pub(super) fn begin(folder: &Path) -> Result<Self, Failure> {
        let (manifest, _) = build::read_manifest(folder).map_err(|failure| {
            failure.with_hint("`--coverage` takes the folder of a package with its sources")
        })?;
        let clang = Clang::find(manifest.build.as_ref(), output::note)?;
        let (mut counted, mut objects) = (BTreeMap::new(), BTreeMap::new());
        for program in &manifest.programs {
            let Some(source) = &program.source else { continue };
            if counted.contains_key(&program.object) {
                continue;
            }
            let made = clang.compile_counted(folder, source)?;
            let sums = made.functions.iter().map(|function| vec![0; function.counters]).collect();
            objects.insert(build::file_name(&program.object).to_owned(), made.object.clone());
            counted.insert(program.object.clone(), (made, sums));
        }
        if counted.is_empty() {
            return Err(Failure::new(
                "no program of the package has a `source`, and what is not compiled cannot count",
            ));
        }
        Ok(Self { clang, folder: folder.to_owned(), manifest, counted, objects })
    }

    /// The objects, by the names of their files.
    pub(super) fn objects(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.objects
    }

    /// Has the counters read behind the last packet of a test.
    pub(super) fn ask(&self, wish: &mut TestWish) {
        if self.counts(wish)
            && let Some(last) = wish.steps.last_mut()
        {
            last.read.push(TestRead { map: SECTION.to_owned(), keys: None });
        }
    }

    /// Adds what a test counted, and takes it out of what came of it.
    pub(super) fn count(&mut self, wish: &TestWish, tested: &mut Tested) -> Outcome {
        let object = self.object(wish).map(str::to_owned).unwrap_or_default();
        let Some((made, sums)) = self.counted.get_mut(&object) else { return Ok(()) };
        let read = tested.steps.last_mut().and_then(|last| last.read.pop());
        let value = read.and_then(|read| read.entries.into_iter().next()).map(|entry| entry.value);
        for (function, sums) in made.functions.iter().zip(sums) {
            let told = value.as_ref().and_then(|value| value.get(&function.variable)).and_then(counters);
            let told = told.filter(|told| told.len() == sums.len());
            let told =
                told.ok_or_else(|| Failure::new("the daemon does not tell the counters of the program"))?;
            sums.iter_mut().zip(told).for_each(|(sum, counter)| *sum = sum.saturating_add(counter));
        }
        Ok(())
    }

    fn object(&self, wish: &TestWish) -> Option<&str> {
        let program = wish.program.as_ref().and_then(|name| self.manifest.program(name))?;
        Some(program.object.as_str())
    }

    fn counts(&self, wish: &TestWish) -> bool {
        self.object(wish).is_some_and(|object| self.counted.contains_key(object))
    }

    /// What was reached. Writes it for lcov where that is asked for.
    pub(super) fn summary(&self, arguments: &Test) -> Result<Summary, Failure> {
        let mut text = String::new();
        for (counted, sums) in self.counted.values() {
            text.push_str(&self.clang.lcov(counted, &profile(counted, sums))?);
        }
        if let Some(path) = &arguments.lcov {
            output::write_file(path, text.as_bytes())?;
        }
        let files = lines(&text).into_iter().map(|(path, lines)| {
            let annotated =
                arguments.annotate.then(|| annotated(&self.folder.join(&path), &lines)).transpose()?;
            let reached = lines.values().filter(|count| **count > 0).count();
            Ok(File { path, lines: lines.len(), reached, missed: missed(&lines), annotated })
        });
        Ok(Summary { files: files.collect::<Result<_, Failure>>()? })
    }
}

impl Summary {
    /// A line for each file, and the sources where they were asked for.
    pub(super) fn lines(&self) -> Vec<String> {
        let told = self.files.iter().flat_map(|file| {
            let File { path, lines, reached, missed, annotated } = file;
            let permille = (reached * 1000).checked_div(*lines).unwrap_or(1000);
            let mut line =
                format!("{path}: {}.{}% ({reached} of {lines} lines)", permille / 10, permille % 10);
            if !missed.is_empty() {
                write!(line, "; not reached: {}", missed.join(", ")).expect("a string takes all");
            }
            [line].into_iter().chain(annotated.clone())
        });
        told.collect()
    }
}

/// The counters of a function: bytes in hexadecimal digits, since no types say what they are.
fn counters(value: &Value) -> Option<Vec<u64>> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    let word = |at: usize| {
        let word = u64::from_str_radix(digits.get(at..at + 16)?, 16).ok()?;
        Some(if cfg!(target_endian = "big") { word } else { word.swap_bytes() })
    };
    (0..digits.len()).step_by(16).map(word).collect()
}

/// A profile in LLVM's text form: of each function its name, its hash, how many counters it has, and these.
fn profile(counted: &Counted, sums: &Sums) -> String {
    let mut text = String::new();
    for (function, sums) in counted.functions.iter().zip(sums) {
        let counters: Vec<String> = sums.iter().map(u64::to_string).collect();
        let (name, hash) = (&function.name, function.hash);
        writeln!(text, "{name}\n{hash}\n{}\n{}\n", sums.len(), counters.join("\n"))
            .expect("a string takes all");
    }
    text
}

/// The lines of what lcov would say (geninfo(1)): `SF` names a file, `DA` a line and how often it ran.
fn lines(text: &str) -> BTreeMap<String, Lines> {
    let (mut files, mut file) = (BTreeMap::<String, Lines>::new(), None);
    for line in text.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            // The headers that come with this command are no sources of the package.
            file = (!path.starts_with("libbpf/")).then(|| path.trim_start_matches("./").to_owned());
        } else if let Some((file, (line, count))) =
            file.as_ref().zip(line.strip_prefix("DA:").and_then(|line| line.split_once(',')))
            && let Some((line, count)) = line.parse().ok().zip(count.parse::<u64>().ok())
        {
            let sum = files.entry(file.clone()).or_default().entry(line).or_default();
            *sum = sum.saturating_add(count);
        }
    }
    files
}

/// Lines that are not reached. Those between them without code are told with them.
fn missed(lines: &Lines) -> Vec<String> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let mut goes_on = false;
    for (line, count) in lines {
        match ranges.last_mut() {
            _ if *count > 0 => goes_on = false,
            Some((_, last)) if goes_on => *last = *line,
            _ => {
                ranges.push((*line, *line));
                goes_on = true;
            }
        }
    }
    let text = |(first, last): &(usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.iter().map(text).collect()
}

/// A source with how often each line ran in front of it.
fn annotated(path: &Path, lines: &Lines) -> Result<String, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("cannot read `{}`: {error}", path.display())))?;
    let told = text.lines().enumerate().map(|(number, line)| match lines.get(&(number + 1)) {
        Some(0) => format!("   -----|{line}"),
        Some(count) => format!("{count:>8}|{line}"),
        None => format!("        |{line}"),
    });
    Ok(told.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_several_objects_are_added_up() {
        let text = "SF:./a.c\nDA:1,1\nDA:2,0\nDA:4,0\nDA:5,3\nDA:9,0\nend_of_record\nSF:a.c\nDA:9,0\nDA:1,1\nend_of_record\n\
                    SF:libbpf/bpf/bpf_helpers.h\nDA:1,0\nend_of_record\n";
        let files = lines(text);
        assert_eq!(files.keys().collect::<Vec<_>>(), ["a.c"]);
        assert_eq!(files["a.c"][&1], 2);
        assert_eq!(missed(&files["a.c"]), ["2-4", "9"]);
    }

    #[test]
    fn counters_are_words_in_the_order_of_the_host() {
        let words = [1_u64, u64::MAX].map(u64::to_ne_bytes).concat();
        let digits = words.iter().fold("0x".to_owned(), |digits, byte| format!("{digits}{byte:02x}"));
        assert_eq!(counters(&Value::from(digits)), Some(vec![1, u64::MAX]));
        assert_eq!(counters(&Value::from("0x01")), None);
    }
}
