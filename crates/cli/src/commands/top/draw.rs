// SPDX-License-Identifier: Apache-2.0
//! Draws a view on a terminal of any size. Nothing is told by colour.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Row, Table};

use super::view::{self, HEAD, View};

/// Which columns hold words and are as wide as what is in them; numbers need no more than their heads.
const WORDS: [usize; 4] = [0, 1, 6, 7];
const NUMBER_WIDTH: u16 = 9;
const SPACE: u16 = 2;

/// Draws all of it, and tells the view how much of it there is room for.
pub(super) fn draw(frame: &mut Frame<'_>, view: &mut View) {
    let header: Vec<Line<'_>> = view.header().into_iter().map(Line::from).collect();
    // A header that leaves no room for members is cut.
    let lines = u16::try_from(header.len()).unwrap_or(u16::MAX).min(frame.area().height / 2);
    let parts = [Constraint::Length(lines), Constraint::Fill(1), Constraint::Length(1)];
    let [top, middle, bottom] = Layout::vertical(parts).areas(frame.area());
    frame.render_widget(Paragraph::new(header), top);
    view.height = usize::from(middle.height.saturating_sub(1));
    let rows = view.rows();
    view.above = view.above.min(rows.len().saturating_sub(view.height));
    let widths = widths(&rows, middle.width);
    let columns = widths.len();
    let head = Row::new(HEAD.iter().take(columns).map(|name| name.to_uppercase()));
    let head = head.style(Style::new().add_modifier(Modifier::BOLD));
    let shown = rows.into_iter().skip(view.above).map(|row| Row::new(row.into_iter().take(columns)));
    frame.render_widget(Table::new(shown, widths).header(head).column_spacing(SPACE), middle);
    let footer = Line::from(view.footer()).style(Style::new().add_modifier(Modifier::REVERSED));
    frame.render_widget(footer, bottom);
}

/// How wide the columns are for which there is room, from the left.
fn widths(rows: &[view::Row], room: u16) -> Vec<u16> {
    let width = |column: usize| {
        if !WORDS.contains(&column) {
            return NUMBER_WIDTH;
        }
        let longest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        u16::try_from(longest.max(HEAD[column].len())).unwrap_or(u16::MAX)
    };
    let fits = |used: &mut u16, width: u16| {
        let end = used.saturating_add(width);
        *used = end.saturating_add(SPACE);
        (end <= room).then_some(width)
    };
    (0..HEAD.len()).map(width).scan(0, fits).collect()
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::view::tests::view;
    use super::*;

    fn drawn(view: &mut View, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, view)).unwrap();
        let lines = terminal.backend().to_string();
        lines.lines().map(|line| line.trim_matches('"').trim_end()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn chains_are_drawn_with_what_goes_through_them() {
        insta::assert_snapshot!(drawn(&mut view(), 130, 9), @"
        l3afd 0.1.0  converged  generation 7  mode trusted  Linux 6.18.0  drift repaired 2 times
        eth0/xdp: 1.0k packets/s, 100k bytes/s, 100 drops/s
        eth1/tc-egress: 1.2M packets/s, 123M bytes/s, 0 drops/s  detached: packets pass it by
        HOOK            MEMBER     PACKETS/S  BYTES/S    PASSED     DROPS/S    LEFT HERE    ENFORCEMENT         NS/PACKET
        eth0/xdp        sanity     1.0k       100k       90.0%      100        drop 10.0%   enforce             12
        eth0/xdp        ratelimit  900        90.0k      0.0%       0          pass 100.0%  shadow: drop 10.0%  31
        eth1/tc-egress  marks      1.2M       123M       100.0%     0          -            enforce             -

        q quit  s sort (chain)  p profile  / filter  arrows scroll
        ");
    }

    #[test]
    fn a_small_terminal_shows_what_it_can() {
        insta::assert_snapshot!(drawn(&mut view(), 40, 6), @"
        l3afd 0.1.0  converged  generation 7  mo
        eth0/xdp: 1.0k packets/s, 100k bytes/s,
        eth1/tc-egress: 1.2M packets/s, 123M byt
        HOOK            MEMBER     PACKETS/S
        eth0/xdp        sanity     1.0k
        q quit  s sort (chain)  p profile  / fil
        ");
        // There is room for nothing; nothing breaks.
        drawn(&mut view(), 1, 1);
    }
}
