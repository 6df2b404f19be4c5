// SPDX-License-Identifier: Apache-2.0
//! What came of the tests, for people and for programs.

use std::time::Duration;

use package::Package;
use serde::{Deserialize, Serialize};
use wire::TestPlace;

/// What came of all tests.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) package: String,
    pub(super) version: String,
    pub(super) tests: Vec<Outcome>,
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) coverage: Option<super::coverage::Summary>,
}

/// What came of one test.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// The kernel, where it is not that of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kernel: Option<String>,
    pub(super) file: String,
    pub(super) name: String,
    pub(super) passed: bool,
    pub(super) runs: Vec<Run>,
}

/// What came of a test in one place.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) place: TestPlace,
    /// How long it took.
    pub(super) seconds: f64,
    /// The time that its program took for a packet, on average.
    pub(super) nanoseconds: u64,
    pub(super) differences: Vec<String>,
}

impl Outcome {
    pub(super) fn new(file: &str, name: &str, runs: Vec<Run>) -> Self {
        let passed = runs.iter().all(|run| run.differences.is_empty());
        Self { kernel: None, file: file.to_owned(), name: name.to_owned(), passed, runs }
    }

    /// Its name, with the kernel that it ran on where that is another.
    pub(super) fn title(&self) -> String {
        match &self.kernel {
            Some(kernel) => format!("{} on Linux {kernel}", self.name),
            None => self.name.clone(),
        }
    }

    pub(super) fn seconds(&self) -> f64 {
        self.runs.iter().map(|run| run.seconds).sum()
    }

    /// One line, and one for each difference.
    pub(super) fn text(&self) -> String {
        let word = if self.passed { "ok    " } else { "FAILED" };
        let places: Vec<String> =
            self.runs.iter().map(|place| format!("{} {} ns", name(place.place), place.nanoseconds)).collect();
        let head = format!("{word} {} ({})", self.title(), places.join(", "));
        [head].into_iter().chain(self.differences("       ")).collect::<Vec<_>>().join("\n")
    }

    /// The differences, each with where it came up.
    pub(super) fn differences(&self, indent: &str) -> Vec<String> {
        let told = self.runs.iter().flat_map(|place| {
            let name = name(place.place);
            place.differences.iter().map(move |difference| format!("{indent}{name}: {difference}"))
        });
        told.collect()
    }
}

impl Report {
    /// All tests of a package, and how long they took.
    pub(super) fn of(package: &Package, tests: Vec<Outcome>, time: Duration) -> Self {
        let passed = tests.iter().filter(|test| test.passed).count();
        let info = &package.manifest.package;
        Self {
            package: info.name.to_string(),
            version: info.version.to_string(),
            passed,
            failed: tests.len() - passed,
            tests,
            seconds: seconds(time),
            coverage: None,
        }
    }

    /// The last line.
    pub(super) fn summary(&self) -> String {
        let time = format!("{:.2} s", self.seconds);
        match (self.passed, self.failed) {
            (passed, 0) => format!("{passed} passed in {time}"),
            (passed, failed) => format!("{passed} passed, {failed} FAILED in {time}"),
        }
    }
}

pub(super) fn seconds(time: Duration) -> f64 {
    // Nobody reads less than a microsecond.
    (time.as_secs_f64() * 1e6).round() / 1e6
}

pub(super) fn name(place: TestPlace) -> &'static str {
    match place {
        TestPlace::Alone => "alone",
        TestPlace::Spliced => "spliced",
    }
}
