// SPDX-License-Identifier: Apache-2.0
//! Results as pictures (SVG 1.1): lines, each with its name at its end, and bars.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
/// Room for numbers on the left and names on the right.
const LEFT: f64 = 50.0;
const RIGHT: f64 = 140.0;
const MARGIN: f64 = 40.0;
/// Told apart also without red and green (Okabe and Ito 2008).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"];

/// Draws lines over a number of members.
pub(crate) fn lines(
    title: &str,
    unit: &str,
    lines: &BTreeMap<&str, BTreeMap<usize, f64>>,
    path: &Path,
) -> Result<()> {
    let points = || lines.values().flatten();
    let most = points().map(|(length, _)| *length).max().unwrap_or(1);
    let highest = points().map(|(_, value)| *value).fold(1.0, f64::max);
    let x = |length: usize| LEFT + number(length) / number(most) * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - MARGIN - value.max(0.0) / highest * (HEIGHT - 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{title}</text>\n"
    );
    for part in 0..=4 {
        let value = highest * f64::from(part) / 4.0;
        let (at, right) = (y(value), WIDTH - RIGHT);
        writeln!(svg, "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>")?;
        writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value:.0}</text>",
            LEFT - 6.0,
            at + 4.0
        )?;
    }
    let lengths: std::collections::BTreeSet<usize> = points().map(|(length, _)| *length).collect();
    for length in lengths {
        let (at, below) = (x(length), HEIGHT - MARGIN + 16.0);
        writeln!(svg, "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{length}</text>")?;
    }
    writeln!(svg, "<text x=\"{LEFT}\" y=\"{:.1}\">members; {unit}</text>", HEIGHT - 6.0)?;
    for ((name, values), colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let corners: Vec<String> =
            values.iter().map(|(length, value)| format!("{:.1},{:.1}", x(*length), y(*value))).collect();
        let corners = corners.join(" ");
        writeln!(
            svg,
            "<polyline points=\"{corners}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        )?;
        if let Some((length, value)) = values.last_key_value() {
            let (at, beside) = (x(*length) + 6.0, y(*value) + 4.0);
            writeln!(svg, "<text x=\"{at:.1}\" y=\"{beside:.1}\" fill=\"{colour}\">{name}</text>")?;
        }
    }
    svg.push_str("</svg>\n");
    Ok(fs::write(path, svg)?)
}

/// Draws a bar for each number, one below the other.
pub(crate) fn bars(title: &str, unit: &str, bars: &[(String, f64)], path: &Path) -> Result<()> {
    const ROW: f64 = 20.0;
    const NAMES: f64 = 230.0;
    let highest = bars.iter().map(|(_, value)| *value).fold(1.0, f64::max);
    let height = number(bars.len()) * ROW + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"20\" font-size=\"14\">{title} ({unit})</text>\n"
    );
    for (place, (name, value)) in bars.iter().enumerate() {
        let top = MARGIN + number(place) * ROW;
        let long = value.max(0.0) / highest * (WIDTH - NAMES - LEFT);
        let (text, end) = (top + 14.0, NAMES + long + 4.0);
        writeln!(svg, "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{name}</text>", NAMES - 6.0)?;
        writeln!(
            svg,
            "<rect x=\"{NAMES}\" y=\"{top}\" width=\"{long:.1}\" height=\"{}\" fill=\"{}\"/>",
            ROW - 4.0,
            COLOURS[0]
        )?;
        writeln!(svg, "<text x=\"{end:.1}\" y=\"{text}\">{value:.1}</text>")?;
    }
    svg.push_str("</svg>\n");
    Ok(fs::write(path, svg)?)
}

#[expect(clippy::cast_precision_loss, reason = "chains are short, and bars few")]
fn number(length: usize) -> f64 {
    length as f64
}
