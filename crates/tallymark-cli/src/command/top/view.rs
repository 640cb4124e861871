//! How what is watched looks: a line above, a table, a line below.
//!
//! No colours: what matters is bold, reversed or said. Where a terminal shows ASCII only, so is the past.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line as Text;
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Table, Wrap};
use tallymark::model::Kind;
use unicode_width::UnicodeWidthStr;

use super::state::{Line, Order, State};
use crate::units::plain;

const HELP: &str = "\
Up, Down, j, k     move
PgUp, PgDn, g, G   move further
Enter, Right       show the series of a family
Esc, Left          back; at last quit
/                  filter by a part of the name or the labels
s                  sort by the next column
r                  turn the order around
Space              pause
q, Ctrl-C          quit

A rate is the growth in a second between two readings.
Values of a family are the sum over its series.
Any key closes this.";

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State) {
    let [top, middle, bottom] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)]).areas(frame.area());
    state.page = usize::from(middle.height.saturating_sub(2)).max(1);
    frame.render_widget(Text::from(title(state)).style(Modifier::BOLD), top);
    frame.render_widget(Text::from(status(state)), bottom);
    table(frame, state, middle);
    if state.has_help {
        help(frame, middle);
    }
}

fn title(state: &State) -> String {
    match state.shown_family() {
        Some(family) => format!("{} ({}), {} series - {}", family.name, family.kind, family.series, state.source),
        None => format!("{} families - {}", state.lines().len(), state.source),
    }
}

fn status(state: &State) -> String {
    if state.is_filtering {
        return format!("/{}_", state.filter);
    }
    if let Some(trouble) = &state.trouble {
        return format!("not read: {trouble}");
    }
    let mut parts = Vec::new();
    if state.readings == 0 {
        parts.push("reading...".to_owned());
    }
    if state.is_paused {
        parts.push("PAUSED".to_owned());
    }
    if !state.filter.is_empty() {
        parts.push(format!("filter {}", state.filter));
    }
    parts.push("/ filter  s sort  Enter series  ? help  q quit".to_owned());
    parts.join("  ")
}

/// What a line can say of itself; a narrow screen shows less.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    Kind,
    Series,
    Value,
    Rate,
    Past,
}

/// The columns that a screen of this width has room for.
fn columns(width: usize) -> Vec<Column> {
    use Column::{Kind, Name, Past, Rate, Series, Value};
    match width {
        ..60 => vec![Name, Value, Rate],
        60..80 => vec![Name, Kind, Series, Value, Rate],
        _ => vec![Name, Kind, Series, Value, Rate, Past],
    }
}

fn table(frame: &mut Frame<'_>, state: &mut State, area: Rect) {
    let (now, width) = (state.now, usize::from(area.width));
    let (lines, columns) = (state.lines(), columns(width));
    // Long names may take half the screen; the past gets what the other columns leave.
    let longest = lines.iter().map(|line| line.name.width()).max().unwrap_or(0).clamp(10, (width / 2).max(10));
    let past = width.saturating_sub(longest + 45).clamp(8, 60);
    let rows: Vec<Row<'_>> = lines
        .iter()
        .map(|line| {
            columns.iter().map(|column| cell(*column, said(line, *column, now, past, state.has_unicode))).collect()
        })
        .collect();
    let headings: Row<'_> = columns.iter().map(|column| cell(*column, heading(*column, state))).collect();
    let widths = columns.iter().map(|column| match column {
        // CAST: at most the screen's width, and 60.
        Column::Name => Constraint::Length(longest as u16),
        Column::Kind => Constraint::Length(9),
        Column::Series => Constraint::Length(7),
        Column::Value => Constraint::Min(10),
        Column::Rate => Constraint::Length(12),
        Column::Past => Constraint::Length(past as u16),
    });
    let table = Table::new(rows, widths)
        .header(headings.style(Modifier::UNDERLINED))
        .row_highlight_style(Style::from(Modifier::REVERSED));
    frame.render_stateful_widget(table, area, &mut state.table);
}

fn heading(column: Column, state: &State) -> String {
    let (name, order) = match column {
        Column::Name => ("name", Some(Order::Name)),
        Column::Kind => ("type", None),
        Column::Series => ("series", Some(Order::Series)),
        Column::Value => ("value", Some(Order::Value)),
        Column::Rate => ("rate", Some(Order::Rate)),
        Column::Past => ("past", None),
    };
    if order != Some(state.order) {
        return name.to_owned();
    }
    // Names go up by themselves, numbers down.
    let mark = if (column == Column::Name) == state.is_reversed { "v" } else { "^" };
    format!("{name}{mark}")
}

fn cell(column: Column, text: String) -> Cell<'static> {
    let is_number = matches!(column, Column::Series | Column::Value | Column::Rate);
    let text = Text::from(text);
    Cell::from(if is_number { text.right_aligned() } else { text })
}

fn said(line: &Line, column: Column, now: f64, past: usize, has_unicode: bool) -> String {
    match column {
        Column::Name => line.name.clone(),
        Column::Kind => line.kind.to_string(),
        Column::Series => line.series.to_string(),
        Column::Value => value(line, now),
        Column::Rate => line.rate.map_or_else(String::new, |rate| format!("{}/s", plain(rate))),
        Column::Past => sparkline(&line.past, past, has_unicode),
    }
}

fn value(line: &Line, now: f64) -> String {
    match (&line.word, line.value) {
        (Some(word), _) if line.kind != Kind::Info => word.clone(),
        (_, Some(value)) if line.is_count => plain(value),
        (_, Some(value)) => line.unit.show(value, now),
        (_, None) => String::new(),
    }
}

/// The last values as bars, between the smallest and the greatest of them; of what does not move, the lowest bar.
fn sparkline(past: &[f64], width: usize, has_unicode: bool) -> String {
    let bars: &[char] = if has_unicode {
        &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
    } else {
        &['_', '.', '-', '=', '#']
    };
    let shown = past.get(past.len().saturating_sub(width)..).unwrap_or_default();
    let finite = || shown.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let bar = |value: &f64| {
        if !value.is_finite() {
            return ' ';
        }
        let part = if high > low { (value - low) / (high - low) } else { 0.0 };
        // CAST: from 0 to the number of bars.
        bars.get((part * (bars.len() - 1) as f64).round() as usize).copied().unwrap_or(' ')
    };
    shown.iter().map(bar).collect()
}

fn help(frame: &mut Frame<'_>, area: Rect) {
    let height = (HELP.lines().count() as u16 + 2).min(area.height);
    let width = 60.min(area.width);
    let place = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(HELP).wrap(Wrap { trim: false }).block(Block::bordered().title("keys")), place);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use tallymark::model::{Snapshot, parse};

    use super::*;

    fn screen(state: &mut State, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        let buffer = terminal.backend().buffer();
        let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..height).map(line).collect()
    }

    fn watched() -> State {
        let mut state = State::new("file:/run/app.tally".to_owned(), true);
        for total in [10, 10, 30, 70] {
            let text = format!(
                "# TYPE hits_total counter\nhits_total{{path=\"/\"}} {total}\n# TYPE room_bytes gauge\nroom_bytes 2048\n"
            );
            let families = parse::strict_text(&text, 1000).unwrap();
            state.read(1000.0 + f64::from(total), Ok(Snapshot { families }));
        }
        state
    }

    #[test]
    fn families_are_shown_with_units_rates_and_their_past() {
        let shown = screen(&mut watched(), 100, 6);

        assert_eq!("2 families - file:/run/app.tally", shown[0]);
        assert!(shown[1].starts_with("name"), "{shown:?}");
        for word in ["hits_total", "counter", "70", "1/s"] {
            assert!(shown[2].contains(word), "no {word} in {shown:?}");
        }
        for word in ["room_bytes", "gauge", "2.0 KiB", "▁"] {
            assert!(shown[3].contains(word), "no {word} in {shown:?}");
        }
        assert!(shown[5].contains("? help"), "{shown:?}");
    }

    #[test]
    fn any_size_of_the_screen_will_do() {
        let mut state = watched();
        for (width, height) in [(1, 1), (10, 3), (40, 5), (500, 100)] {
            for has_help in [false, true] {
                state.has_help = has_help;
                screen(&mut state, width, height);
            }
        }
    }

    #[test]
    fn trouble_is_said_and_what_was_read_stays() {
        let mut state = watched();
        state.read(2000.0, Err("redis://a: away".to_owned()));

        let shown = screen(&mut state, 100, 6);

        assert_eq!("not read: redis://a: away", shown[5]);
        assert!(shown[2].contains("hits_total"));
    }

    #[test]
    fn help_closes_at_any_key() {
        let mut state = watched();
        let press = |state: &mut State, letter| state.key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE));
        press(&mut state, '?');
        assert!(screen(&mut state, 100, 24).iter().any(|line| line.contains("turn the order around")));

        press(&mut state, 'q');

        assert!(!screen(&mut state, 100, 24).iter().any(|line| line.contains("turn the order around")));
    }

    #[test]
    fn the_past_is_drawn_from_its_smallest_to_its_greatest_value() {
        assert_eq!("▁▅█ ", sparkline(&[0.0, 1.0, 2.0, f64::NAN], 10, true));
        assert_eq!("_#", sparkline(&[5.0, 1.0, 2.0], 2, false));
        assert_eq!("▁▁", sparkline(&[3.0, 3.0], 10, true));
    }
}
