// SPDX-License-Identifier: Apache-2.0
//! `l3af test`: has the programs of a package meet the packets of its tests, in the kernel, through the API of a daemon.

mod case;
mod coverage;
mod input;
mod judge;
mod junit;
mod kernels;
mod leavings;
mod private;
mod report;
mod values;

use std::path::{Path, PathBuf};
use std::time::Instant;

use package::{Files, Package, Platform};
use tempfile::TempDir;
use wire::{Layout, NodeClient, TestPlace, TestWish, Tested};

use self::case::{Case, Subject};
use self::coverage::Coverage;
use self::leavings::Leavings;
use self::private::Private;
use self::report::{Outcome as Told, Report, Run};
use super::build;
use crate::arguments::{Daemon, Test};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::package_source::PackageSource;

pub(crate) fn run(daemon: Daemon, arguments: Test) -> Outcome {
    leavings::with(move |leavings| tests(&daemon, &arguments, leavings))
}

fn tests(daemon: &Daemon, arguments: &Test, leavings: &Leavings) -> Outcome {
    let begin = Instant::now();
    let coverage = arguments.coverage.then(|| Coverage::begin(&arguments.package)).transpose()?;
    let made = At::find(arguments, coverage.as_ref())?;
    let package = made.package()?;
    if !arguments.kernel.is_empty() {
        let tests = kernels::run(&made, arguments, leavings)?;
        if !arguments.json {
            for test in &tests {
                output::data(&test.text());
            }
        }
        return tell(&Report::of(&package, tests, begin.elapsed()), arguments);
    }
    let cases = cases(&package, &made.reference()?, arguments)?;
    // It lives as long as the tests run.
    let private = if daemon.is_named { None } else { Some(Private::start(leavings)?) };
    let client = private.as_ref().map_or_else(|| daemon.client(), Private::client)?;
    let runner =
        Runner { client, runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()? };
    let places: &[TestPlace] = match (arguments.alone || coverage.is_some(), arguments.spliced) {
        (true, _) => &[TestPlace::Alone],
        (_, true) => &[TestPlace::Spliced],
        (false, false) => &[TestPlace::Alone, TestPlace::Spliced],
    };
    let mut coverage = coverage;
    let mut tests = Vec::new();
    for case in cases {
        let told = runner.run(&case, places, coverage.as_mut())?;
        if !arguments.json {
            output::data(&told.text());
        }
        tests.push(told);
    }
    let coverage = coverage.as_ref().map(|coverage| coverage.summary(arguments)).transpose()?;
    tell(&Report { coverage, ..Report::of(&package, tests, begin.elapsed()) }, arguments)
}

fn tell(report: &Report, arguments: &Test) -> Outcome {
    if let Some(path) = &arguments.junit {
        output::write_file(path, junit::xml(report).as_bytes())?;
    }
    if arguments.json {
        output::json(report)?;
    } else {
        output::data(&format!("\n{}", report.summary()));
        for line in report.coverage.iter().flat_map(coverage::Summary::lines) {
            output::data(&line);
        }
    }
    match report.failed {
        0 => Ok(()),
        failed => Err(Failure::new(format!("{failed} of {} tests failed", report.tests.len()))),
    }
}

/// The tests of a package that are to run.
fn cases(package: &Package, reference: &str, arguments: &Test) -> Result<Vec<Case>, Failure> {
    let files = files(package)?;
    let file = |path: &str| files.bytes(path);
    let subject = Subject { manifest: &package.manifest, file: &file, reference };
    let is_tests = |path: &str| {
        path.starts_with("tests/") && Path::new(path).extension().is_some_and(|end| end == "toml")
    };
    let paths = files.iter().map(|file| file.path.as_str()).filter(|path| is_tests(path));
    let mut cases = Vec::new();
    for path in paths {
        let text = std::str::from_utf8(files.bytes(path).unwrap_or_default());
        cases.extend(
            subject.cases(path, text.map_err(|bad| Failure::new(format!("`{path}` is not text: {bad}")))?)?,
        );
    }
    let name = &package.manifest.package.name;
    if cases.is_empty() {
        return Err(Failure::new(format!("package `{name}` has no tests"))
            .with_hint("write some into `tests/NAME.toml`; docs/testing.md describes them"));
    }
    if let Some(text) = &arguments.filter {
        cases.retain(|case| case.name.contains(text));
        if cases.is_empty() {
            return Err(Failure::new(format!("no test of package `{name}` has `{text}` in its name")));
        }
    }
    Ok(cases)
}

/// The files for this machine.
fn files(package: &Package) -> Result<&Files, Failure> {
    let here = Platform::this_machine().and_then(|here| package.for_platform(&here));
    let missing =
        || Failure::new(format!("package `{}` is not for this machine", package.manifest.package.name));
    here.map(|platform| &platform.files).ok_or_else(missing)
}

/// A package at hand: one that was built for this, or one that was there.
struct At {
    source: PackageSource,
    /// Holds what was built while the command works.
    _built: Option<TempDir>,
}

impl At {
    fn find(arguments: &Test, coverage: Option<&Coverage>) -> Result<Self, Failure> {
        let place = &arguments.package;
        if !place.join("package.toml").exists() {
            return Ok(Self { source: PackageSource::open(place, &arguments.logins)?, _built: None });
        }
        let folder = tempfile::tempdir()?;
        let objects = coverage.map(|coverage| coverage.objects().clone()).unwrap_or_default();
        let (_, packed) = build::pack(place, objects, 0)?;
        Layout::write(folder.path(), &packed)?;
        Ok(Self { source: PackageSource::open(folder.path(), &arguments.logins)?, _built: Some(folder) })
    }

    fn package(&self) -> Result<Package, Failure> {
        self.source.package()
    }

    /// Where the daemon finds it.
    fn reference(&self) -> Result<String, Failure> {
        Ok(format!("file:{}", self.folder()?.display()))
    }

    fn folder(&self) -> Result<PathBuf, Failure> {
        Ok(self.source.layout().folder().canonicalize()?)
    }
}

/// What runs tests.
struct Runner {
    client: NodeClient,
    runtime: tokio::runtime::Runtime,
}

impl Runner {
    fn run(
        &self,
        case: &Case,
        places: &[TestPlace],
        coverage: Option<&mut Coverage>,
    ) -> Result<Told, Failure> {
        let (mut told, mut all): (Vec<Run>, Vec<Tested>) = (Vec::new(), Vec::new());
        let mut counted = coverage;
        for place in places {
            let mut wish = TestWish { place: *place, ..case.wish.clone() };
            if let Some(coverage) = &counted {
                coverage.ask(&mut wish);
            }
            let begin = Instant::now();
            let mut tested = self.call(case, &wish)?;
            let seconds = report::seconds(begin.elapsed());
            if let Some(coverage) = &mut counted {
                coverage.count(&wish, &mut tested)?;
            }
            let mut differences = judge::judge(case, *place, &tested)?;
            if let Some(alone) = all.first() {
                differences.extend(judge::compare(case, alone, &tested)?);
            }
            let steps = tested.steps.len().max(1) as u64;
            let nanoseconds = tested.steps.iter().map(|step| step.nanoseconds).sum::<u64>() / steps;
            told.push(Run { place: *place, seconds, nanoseconds, differences });
            all.push(tested);
        }
        Ok(Told::new(&case.file, &case.name, told))
    }

    fn call(&self, case: &Case, wish: &TestWish) -> Result<Tested, Failure> {
        self.runtime.block_on(self.client.test(wish)).map_err(|error| {
            let failure = Failure::from(error);
            // What cannot be spliced runs in a dispatcher, or alone.
            let is_spliced = wish.place == TestPlace::Spliced && failure.hint().is_none();
            let failure = if is_spliced {
                failure.with_hint("`--alone` runs programs by themselves only")
            } else {
                failure
            };
            failure.within(&format!("`{}`, test `{}`, {}", case.file, case.name, report::name(wish.place)))
        })
    }
}
