//! What is watched: the readings so far, and what the keys have asked for.
//!
//! Pure: it is told what was read, when, and which keys were pressed, and knows no terminal, no source and no clock.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::widgets::TableState;
use tallymark::model::{Kind, Snapshot};

use crate::rows::{Row, Value, rows};
use crate::units::{Unit, printable};

/// How many readings a line of the past shows.
const PAST: usize = 60;

/// Whether it goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Go,
    Quit,
}

/// By what lines are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As the source has them.
    Source,
    Name,
    Series,
    Value,
    Rate,
}

impl Order {
    const ALL: [Order; 5] = [Order::Source, Order::Name, Order::Series, Order::Value, Order::Rate];

    fn next(self) -> Order {
        let place = Order::ALL.iter().position(|order| *order == self).unwrap_or(0);
        Order::ALL.get(place + 1).copied().unwrap_or(Order::Source)
    }
}

/// One number, as it was at each reading.
#[derive(Debug, Default)]
struct Track {
    last: Option<(f64, f64)>,
    /// What moves: of a total how much it grows in a second, of others the value.
    past: VecDeque<f64>,
    rate: Option<f64>,
    reading: u64,
}

/// One line: a family or a series.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) unit: Unit,
    pub(super) series: usize,
    /// What it says in words, where it is no number.
    pub(super) word: Option<String>,
    pub(super) value: Option<f64>,
    pub(super) rate: Option<f64>,
    pub(super) past: Vec<f64>,
    /// Whether the value is a count of observations, which has no unit.
    pub(super) is_count: bool,
}

impl Line {
    /// Whether the value grows until it begins again.
    fn is_total(&self) -> bool {
        matches!(self.kind, Kind::Counter | Kind::Histogram | Kind::Summary)
    }
}

/// Everything that is shown.
pub(super) struct State {
    /// What is watched.
    pub(super) source: String,
    pub(super) has_unicode: bool,
    pub(super) trouble: Option<String>,
    /// When it was last read, in seconds since the Unix epoch.
    pub(super) now: f64,
    pub(super) readings: u64,
    pub(super) filter: String,
    pub(super) is_filtering: bool,
    pub(super) is_paused: bool,
    pub(super) has_help: bool,
    pub(super) order: Order,
    pub(super) is_reversed: bool,
    /// The family whose series are shown.
    pub(super) family: Option<String>,
    pub(super) table: TableState,
    /// Where it was in the list of families.
    left_at: Option<usize>,
    /// How many lines a page has; the view knows.
    pub(super) page: usize,
    families: Vec<(Line, Vec<Line>)>,
    tracks: HashMap<String, Track>,
}

impl State {
    pub(super) fn new(source: String, has_unicode: bool) -> State {
        State {
            source: printable(&source).into_owned(),
            has_unicode,
            trouble: None,
            now: 0.0,
            readings: 0,
            filter: String::new(),
            is_filtering: false,
            is_paused: false,
            has_help: false,
            order: Order::Source,
            is_reversed: false,
            family: None,
            table: TableState::new().with_selected(0),
            left_at: None,
            page: 10,
            families: Vec::new(),
            tracks: HashMap::new(),
        }
    }

    /// Takes a reading; while paused nothing moves.
    pub(super) fn read(&mut self, at: f64, read: Result<Snapshot, String>) {
        if self.is_paused {
            return;
        }
        self.now = at;
        let snapshot = match read {
            Ok(snapshot) => snapshot,
            Err(trouble) => return self.trouble = Some(printable(&trouble).into_owned()),
        };
        self.trouble = None;
        self.readings += 1;
        let mut families = Vec::with_capacity(snapshot.families.len());
        for family in &snapshot.families {
            let described = &family.family;
            let name = printable(&described.text_name()).into_owned();
            let blank = Line {
                name: name.clone(),
                kind: described.kind(),
                unit: Unit::of(described.name(), described.unit()),
                series: 0,
                word: None,
                value: None,
                rate: None,
                past: Vec::new(),
                is_count: matches!(described.kind(), Kind::Histogram | Kind::GaugeHistogram | Kind::Summary),
            };
            let lines: Vec<Line> = rows(family).iter().map(|row| self.series(row, &blank, at)).collect();
            let total = lines.iter().map(|line| line.value).sum::<Option<f64>>().filter(|_| !lines.is_empty());
            let word = lines.first().and_then(|line| line.word.clone()).filter(|_| lines.len() == 1);
            let is_total = blank.is_total();
            let rates = lines.iter().filter_map(|line| line.rate);
            // The total itself falls when one series begins again, or goes, and that is no growth of the others.
            let rate = rates.reduce(|one, other| one + other).filter(|_| is_total);
            let line = self.tracked(&name, Line { series: lines.len(), word, ..blank }, total, rate, at);
            families.push((line, lines));
        }
        self.families = families;
        // What was not read this time is gone.
        let reading = self.readings;
        self.tracks.retain(|_, track| track.reading == reading);
        self.keep_selection();
    }

    fn series(&mut self, row: &Row, blank: &Line, at: f64) -> Line {
        let labels: Vec<String> = row.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let shown =
            if labels.is_empty() { "(no labels)".to_owned() } else { printable(&labels.join(" ")).into_owned() };
        let (value, word) = match &row.value {
            Value::Number(number) if blank.kind == Kind::Info => (Some(*number), Some(shown.clone())),
            Value::Number(number) => (Some(*number), None),
            Value::Distribution(distribution) => (distribution.count, None),
            Value::States(states) => (None, Some(printable(&states.join(", ")).into_owned())),
        };
        let key = format!("{}\u{0}{shown}", blank.name);
        let is_total = blank.is_total();
        let last = self.tracks.get(&key).and_then(|track| track.last);
        let rate = last.zip(value).filter(|((then, _), _)| at > *then && is_total).map(|((then, before), value)| {
            // A total that falls has begun again.
            let growth = if value >= before { value - before } else { value };
            growth / (at - then)
        });
        self.tracked(&key, Line { name: shown, series: 1, word, ..blank.clone() }, value, rate, at)
    }

    /// The line with its number and its rate, and what moved before.
    fn tracked(&mut self, key: &str, line: Line, value: Option<f64>, rate: Option<f64>, at: f64) -> Line {
        let is_total = line.is_total();
        let track = self.tracks.entry(key.to_owned()).or_default();
        track.reading = self.readings;
        if let Some(value) = value {
            track.rate = rate;
            track.last = Some((at, value));
            track.past.extend(if is_total { track.rate } else { Some(value) });
            if track.past.len() > PAST {
                track.past.pop_front();
            }
        }
        Line { value, rate: track.rate, past: track.past.iter().copied().collect(), ..line }
    }

    /// The lines that are to be shown, in their order.
    pub(super) fn lines(&self) -> Vec<&Line> {
        let filter = self.filter.to_lowercase();
        let fits = |line: &&Line| line.name.to_lowercase().contains(&filter);
        let mut lines: Vec<&Line> = match &self.family {
            None => self.families.iter().map(|(line, _)| line).filter(fits).collect(),
            Some(name) => {
                let family = self.families.iter().find(|(line, _)| line.name == *name);
                family.map(|(_, lines)| lines.iter().filter(fits).collect()).unwrap_or_default()
            }
        };
        let number = |one: Option<f64>, other: Option<f64>| {
            let of = |number: Option<f64>| number.unwrap_or(f64::NEG_INFINITY);
            of(other).total_cmp(&of(one))
        };
        lines.sort_by(|one, other| match self.order {
            Order::Source => Ordering::Equal,
            Order::Name => one.name.cmp(&other.name),
            Order::Series => other.series.cmp(&one.series),
            Order::Value => number(one.value, other.value),
            Order::Rate => number(one.rate, other.rate),
        });
        if self.is_reversed {
            lines.reverse();
        }
        lines
    }

    /// The family whose series are shown.
    pub(super) fn shown_family(&self) -> Option<&Line> {
        let name = self.family.as_ref()?;
        self.families.iter().map(|(line, _)| line).find(|line| line.name == *name)
    }

    /// Does what a key asks for.
    pub(super) fn key(&mut self, key: KeyEvent) -> Flow {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Flow::Quit;
        }
        if self.is_filtering {
            self.filter_key(key.code);
            return Flow::Go;
        }
        if self.has_help {
            self.has_help = false;
            return Flow::Go;
        }
        match key.code {
            KeyCode::Char('q') => return Flow::Quit,
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => return self.back(key.code),
            KeyCode::Down | KeyCode::Char('j') => self.go(1),
            KeyCode::Up | KeyCode::Char('k') => self.go(-1),
            KeyCode::PageDown => self.go(self.page as isize),
            KeyCode::PageUp => self.go(-(self.page as isize)),
            KeyCode::Home | KeyCode::Char('g') => self.table.select(Some(0)),
            KeyCode::End | KeyCode::Char('G') => self.go(isize::MAX),
            KeyCode::Enter | KeyCode::Right => self.enter(),
            KeyCode::Char('/') => self.is_filtering = true,
            KeyCode::Char('s') => self.order = self.order.next(),
            KeyCode::Char('r') => self.is_reversed = !self.is_reversed,
            KeyCode::Char(' ' | 'p') => self.is_paused = !self.is_paused,
            KeyCode::Char('?' | 'h') => self.has_help = true,
            _ => {}
        }
        self.keep_selection();
        Flow::Go
    }

    fn filter_key(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.is_filtering = false,
            KeyCode::Esc => {
                self.is_filtering = false;
                self.filter.clear();
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) => self.filter.push(letter),
            _ => {}
        }
        self.keep_selection();
    }

    /// One step out: of the filter, of a family, and by Esc of the program.
    fn back(&mut self, code: KeyCode) -> Flow {
        if !self.filter.is_empty() {
            self.filter.clear();
        } else if self.family.take().is_some() {
            self.table.select(self.left_at.take());
        } else if code == KeyCode::Esc {
            return Flow::Quit;
        }
        self.keep_selection();
        Flow::Go
    }

    fn enter(&mut self) {
        let selected = self.table.selected();
        if self.family.is_none()
            && let Some(name) = selected.and_then(|at| Some(self.lines().get(at)?.name.clone()))
        {
            self.family = Some(name);
            self.left_at = selected;
            self.filter.clear();
            self.table.select(Some(0));
        }
    }

    fn go(&mut self, steps: isize) {
        let at = self.table.selected().unwrap_or(0).saturating_add_signed(steps);
        self.table.select(Some(at));
    }

    /// Keeps the selection among the lines.
    fn keep_selection(&mut self) {
        let last = self.lines().len().saturating_sub(1);
        self.table.select(Some(self.table.selected().unwrap_or(0).min(last)));
    }
}

#[cfg(test)]
mod tests {
    use tallymark::model::parse;

    use super::*;

    fn state(texts: &[&str]) -> State {
        let mut state = State::new("test".to_owned(), true);
        for (at, text) in texts.iter().enumerate() {
            let families = parse::strict_text(text, 1000).unwrap();
            state.read(1000.0 + 2.0 * at as f64, Ok(Snapshot { families }));
        }
        state
    }

    fn press(state: &mut State, keys: &str) -> Flow {
        let mut flow = Flow::Go;
        for letter in keys.chars() {
            let code = match letter {
                '\n' => KeyCode::Enter,
                '\u{1b}' => KeyCode::Esc,
                '↓' => KeyCode::Down,
                letter => KeyCode::Char(letter),
            };
            flow = state.key(KeyEvent::new(code, KeyModifiers::NONE));
        }
        flow
    }

    fn names(state: &State) -> Vec<String> {
        state.lines().into_iter().map(|line| line.name.clone()).collect()
    }

    const FIRST: &str = "# TYPE a_total counter\na_total{x=\"1\"} 10\na_total{x=\"2\"} 5\n# TYPE b gauge\nb 3\n";
    const SECOND: &str = "# TYPE a_total counter\na_total{x=\"1\"} 14\na_total{x=\"2\"} 1\n# TYPE b gauge\nb 2\n";

    #[test]
    fn a_rate_is_growth_in_a_second_also_after_a_restart() {
        let mut state = state(&[FIRST, SECOND]);
        press(&mut state, "\n");

        let rates: Vec<_> = state.lines().iter().map(|line| line.rate).collect();

        assert_eq!(rates, [Some(2.0), Some(0.5)]);
    }

    #[test]
    fn what_is_no_total_has_no_rate() {
        let mut state = State::new("test".to_owned(), true);
        for (at, count) in [(1000.0, 5), (1002.0, 3)] {
            let text = format!(
                "# TYPE a gaugehistogram\na_bucket{{le=\"+Inf\"}} {count}\na_gcount {count}\na_gsum 1\n# EOF\n"
            );
            let families = parse::openmetrics(&text).map(|family| family.unwrap().into()).collect();
            state.read(at, Ok(Snapshot { families }));
        }

        assert_eq!((state.lines()[0].value, state.lines()[0].rate), (Some(3.0), None));
    }

    #[test]
    fn a_family_grows_as_its_series_do() {
        let state = state(&[FIRST, SECOND]);

        // One series grew by 4, the other began again and has 1.
        assert_eq!(state.lines()[0].rate, Some(2.5));
    }

    #[test]
    fn a_gauge_has_no_rate_but_a_past() {
        let state = state(&[FIRST, SECOND]);
        let gauge = state.lines()[1];

        assert_eq!((gauge.value, gauge.rate, &*gauge.past), (Some(2.0), None, &[3.0, 2.0][..]));
    }

    #[test]
    fn a_filter_leaves_what_has_it_and_escape_gives_the_rest_back() {
        let mut state = state(&[FIRST]);

        press(&mut state, "/TOT\n");
        assert_eq!(names(&state), ["a_total"]);
        assert_eq!(press(&mut state, "\u{1b}"), Flow::Go);
        assert_eq!(names(&state), ["a_total", "b"]);
        assert_eq!(press(&mut state, "\u{1b}"), Flow::Quit);
    }

    #[test]
    fn lines_are_sorted_by_the_column_that_was_asked_for() {
        let mut state = state(&["# TYPE b gauge\nb 1\n# TYPE a gauge\na{x=\"1\"} 1\na{x=\"2\"} 2\n"]);

        for (keys, expected) in
            [("", ["b", "a"]), ("s", ["a", "b"]), ("r", ["b", "a"]), ("rs", ["a", "b"]), ("s", ["a", "b"])]
        {
            press(&mut state, keys);

            assert_eq!(names(&state), expected, "{keys} {:?}", state.order);
        }
    }

    #[test]
    fn a_family_is_entered_and_left_where_it_was() {
        let mut state = state(&[FIRST]);
        press(&mut state, "↓\n");
        assert_eq!((state.family.as_deref(), names(&state)), (Some("b"), vec!["(no labels)".to_owned()]));

        press(&mut state, "\u{1b}");

        assert_eq!((state.family.as_deref(), state.table.selected()), (None, Some(1)));
    }

    #[test]
    fn while_paused_nothing_moves() {
        let mut state = state(&[FIRST]);
        press(&mut state, " ");

        state.read(1002.0, Err("away".to_owned()));

        assert_eq!((state.trouble.as_deref(), state.readings), (None, 1));
    }

    #[test]
    fn what_went_is_forgotten_and_the_selection_stays_among_the_lines() {
        let mut state = state(&[FIRST]);
        press(&mut state, "↓");

        state.read(1002.0, Ok(Snapshot::default()));

        assert_eq!((state.tracks.len(), state.table.selected()), (0, Some(0)));
        assert_eq!(press(&mut state, "\n↓q"), Flow::Quit);
    }
}
