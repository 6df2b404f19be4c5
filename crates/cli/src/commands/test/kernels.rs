// SPDX-License-Identifier: Apache-2.0
//! The same tests on other kernels: in guests that see the files of this machine (crate `guest`), where this command runs once more.

use std::fs;
use std::path::{Path, PathBuf};

use guest::{Guest, Unbootable, quoted};
use serde::Deserialize;

use super::At;
use super::leavings::Leavings;
use super::private::executable;
use super::report::Outcome as Told;
use crate::arguments::Test;
use crate::failure::{Failure, Outcome};
use crate::output;

/// How many of the last words of a guest are told when it has no results.
const LAST_WORDS: usize = 15;

/// What this command prints as JSON, as far as it is needed here.
#[derive(Deserialize)]
struct Results {
    tests: Vec<Told>,
}

/// Runs the tests of a package on each kernel that was named.
pub(super) fn run(made: &At, arguments: &Test, leavings: &Leavings) -> Result<Vec<Told>, Failure> {
    if cfg!(not(target_arch = "x86_64")) {
        return Err(Failure::new("kernels are booted on x86-64 machines only"));
    }
    let mut tests = Vec::new();
    for release in &arguments.kernel {
        let place = arguments.kernels()?.join(release);
        fs::create_dir_all(&place)?;
        let place = place.canonicalize()?;
        check_place(&place)?;
        // A run beside this one has its own.
        let folder = leavings.folder_in(&place, "run-")?;
        let told = on((made, arguments), (release, &place), &folder);
        leavings.remove(&folder);
        let told = told.map_err(|failure| failure.within(&format!("Linux {release}")))?;
        tests.extend(told);
    }
    Ok(tests)
}

/// Refuses a folder that guests do not see.
fn check_place(place: &Path) -> Outcome {
    if ["/tmp", "/run"].iter().any(|own| place.starts_with(own)) {
        return Err(Failure::new(format!(
            "`{}` is not seen by guests: they have a `/tmp` and a `/run` of their own",
            place.display()
        ))
        .with_hint("`--kernels` names a folder elsewhere"));
    }
    Ok(())
}

fn on(
    (made, arguments): (&At, &Test),
    (release, place): (&str, &Path),
    folder: &Path,
) -> Result<Vec<Told>, Failure> {
    let image = guest::fetch(release, place, &mut |text| output::note(text)).map_err(failed)?;
    copy(&made.folder()?, &folder.join("package"))?;
    let bin = folder.join("bin");
    fs::create_dir(&bin)?;
    fs::copy(std::env::current_exe()?, bin.join("l3af"))?;
    let daemon = executable();
    if daemon.exists() {
        fs::copy(daemon, bin.join("l3afd"))?;
    }
    output::note(&format!("booting Linux {}", image.release));
    let guest = Guest { image: &image, folder: folder.to_owned() };
    let mut said = Vec::new();
    let ran = guest.run(&line(folder, arguments), |line| said.push(line.to_owned()));
    let printed = fs::read_to_string(guest.output()).unwrap_or_default();
    match (serde_json::from_str::<Results>(&printed), ran) {
        // Whether tests failed is in the results.
        (Ok(results), Ok(()) | Err(Unbootable::Command { .. })) => Ok(results
            .tests
            .into_iter()
            .map(|test| Told { kernel: Some(image.release.clone()), ..test })
            .collect()),
        (_, ran) => {
            let last = said.iter().skip(said.len().saturating_sub(LAST_WORDS));
            let last = last.fold(String::new(), |text, line| text + "\n  " + line);
            let why = ran.err().map_or_else(|| failed(Unbootable::NoAnswer), failed);
            Err(why.with_text(&last))
        }
    }
}

fn failed(unbootable: Unbootable) -> Failure {
    let hint = unbootable.hint();
    let failure = Failure::from(unbootable);
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// What the guest runs.
fn line(folder: &Path, arguments: &Test) -> String {
    let mut line =
        format!("{} test {} --json", quoted(&folder.join("bin/l3af")), quoted(&folder.join("package")));
    if let Some(filter) = &arguments.filter {
        line = format!("{line} --filter {}", quoted(Path::new(filter)));
    }
    for (is_asked_for, option) in [(arguments.alone, "--alone"), (arguments.spliced, "--spliced")] {
        if is_asked_for {
            line = format!("{line} {option}");
        }
    }
    // What is refused, people see on the console.
    format!("{line} > /dev/ttyS2")
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Outcome {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target: PathBuf = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
