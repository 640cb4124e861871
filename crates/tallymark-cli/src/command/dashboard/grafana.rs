//! Grafana's JSON: how rows and panels are written so that Grafana 11 and 12 import them.
//!
//! Panels have numbers made of their titles, so that a link to one still finds it when others were added.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::panel::{Form, Panel, Row, Unit, selector};

/// The schema of Grafana 11.0; later ones bring it up to theirs.
const SCHEMA: u32 = 39;
const COLUMNS: u32 = 24;
const HEIGHT: u32 = 8;

/// The dashboard.
pub(super) fn dashboard(rows: &[Row], title: &str, datasource: Option<&str>) -> Value {
    json!({
        "uid": uid(title),
        "title": title,
        "description": "Made by tallymark dashboard, of what was there then.",
        "tags": ["tallymark"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": { "from": "now-6h", "to": "now" },
        "timezone": "browser",
        "annotations": { "list": [] },
        "links": [],
        "templating": { "list": variables(rows, datasource) },
        "panels": placed(rows),
    })
}

/// What Grafana finds the dashboard by: at most 40 letters, digits and dashes.
fn uid(title: &str) -> String {
    let plain = |one: char| if one.is_ascii_alphanumeric() { one.to_ascii_lowercase() } else { '-' };
    let plain: String = title.chars().map(plain).collect();
    let mut uid = plain.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    // Of a title in another script nothing is left, and two of them must not be one.
    if uid.len() > 40 || !title.is_ascii() || uid.is_empty() {
        uid.truncate(31);
        uid = format!("{uid}-{:08x}", fnv(title)).trim_start_matches('-').to_owned();
    }
    uid
}

fn variables(rows: &[Row], datasource: Option<&str>) -> Value {
    let chosen = datasource.map_or_else(|| json!({}), |uid| json!({ "selected": true, "text": uid, "value": uid }));
    let everything = selector(rows);
    let of_jobs = match everything.strip_suffix('}') {
        Some(inside) => format!("{inside},job=~\"$job\"}}"),
        None => format!("{everything}{{job=~\"$job\"}}"),
    };
    json!([
        {
            "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
            "current": chosen, "hide": 0, "includeAll": false, "multi": false, "options": [], "refresh": 1, "regex": "",
            "skipUrlSync": false,
        },
        variable("job", "Job", &everything),
        variable("instance", "Instance", &of_jobs),
    ])
}

/// A label whose values can be chosen. All is `.*`, which is also of series without it.
fn variable(label: &str, title: &str, of: &str) -> Value {
    let query = format!("label_values({of}, {label})");
    json!({
        "name": label, "label": title, "type": "query", "datasource": source(), "definition": query,
        "query": { "query": query, "refId": format!("Variable-{label}") },
        "current": { "selected": true, "text": ["All"], "value": ["$__all"] },
        "allValue": ".*", "hide": 0, "includeAll": true, "multi": true, "options": [], "refresh": 2, "regex": "",
        "skipUrlSync": false, "sort": 1,
    })
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

/// Rows and panels from the top left to the bottom right.
fn placed(rows: &[Row]) -> Vec<Value> {
    let (mut placed, mut numbers, mut y) = (Vec::new(), HashSet::new(), 0);
    for row in rows {
        let heading = json!({ "x": 0, "y": y, "w": COLUMNS, "h": 1 });
        y += 1;
        let mut panels = Vec::new();
        let mut x = 0;
        for panel in &row.panels {
            if x + panel.width > COLUMNS {
                (x, y) = (0, y + HEIGHT);
            }
            let place = json!({ "x": x, "y": y, "w": panel.width, "h": HEIGHT });
            panels.push(drawn(panel, number(&panel.title, &mut numbers), place));
            x += panel.width;
        }
        y += HEIGHT;
        // A closed row holds its panels, an open one stands before them.
        let (inside, after) = if row.closed { (panels, Vec::new()) } else { (Vec::new(), panels) };
        placed.push(json!({
            "id": number(&format!("row {}", row.title), &mut numbers),
            "type": "row", "title": row.title, "collapsed": row.closed, "gridPos": heading, "panels": inside,
        }));
        placed.extend(after);
    }
    placed
}

fn drawn(panel: &Panel, id: u32, place: Value) -> Value {
    let (form, options, custom) = style(panel.form);
    let mut defaults = json!({ "custom": custom });
    if let Some(defaults) = defaults.as_object_mut() {
        defaults.insert("unit".to_owned(), json!(unit(&panel.unit)));
        defaults.extend(bounds(panel.form));
    }
    json!({
        "id": id,
        "type": form,
        "title": panel.title,
        "description": panel.help,
        "gridPos": place,
        "datasource": source(),
        "fieldConfig": { "defaults": defaults, "overrides": [] },
        "options": options,
        "targets": targets(panel),
        "transformations": transformations(panel.form),
    })
}

/// The kind of panel, its options and those of its fields.
fn style(form: Form) -> (&'static str, Value, Value) {
    let tooltip = json!({ "mode": "multi", "sort": "desc" });
    let lines = || json!({ "fillOpacity": 10, "lineWidth": 1, "showPoints": "auto", "spanNulls": false });
    let legend = || json!({ "displayMode": "list", "placement": "bottom", "showLegend": true });
    match form {
        Form::Lines { .. } => ("timeseries", json!({ "legend": legend(), "tooltip": tooltip }), lines()),
        Form::Share => {
            let mut custom = lines();
            custom["thresholdsStyle"] = json!({ "mode": "dashed" });
            ("timeseries", json!({ "legend": legend(), "tooltip": tooltip }), custom)
        }
        Form::Heatmap => {
            let color =
                json!({ "mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange" });
            let options = json!({
                "calculate": false, "cellGap": 1, "color": color, "filterValues": { "le": 1e-9 },
                "legend": { "show": true }, "rowsFrame": { "layout": "auto" }, "tooltip": { "mode": "single" },
                "yAxis": { "axisPlacement": "left" },
            });
            ("heatmap", options, json!({ "scaleDistribution": { "type": "linear" } }))
        }
        Form::Bars => {
            let reduced = json!({ "calcs": ["lastNotNull"], "fields": "", "values": false });
            let options = json!({ "displayMode": "basic", "orientation": "horizontal", "reduceOptions": reduced });
            ("bargauge", options, json!({}))
        }
        Form::Table => ("table", json!({ "showHeader": true }), json!({})),
        Form::States => {
            let options = json!({ "legend": legend(), "mergeValues": true, "showValue": "never", "tooltip": tooltip });
            ("state-timeline", options, json!({ "fillOpacity": 70, "lineWidth": 0 }))
        }
    }
}

/// Where the axis begins and ends, and where colours change.
fn bounds(form: Form) -> serde_json::Map<String, Value> {
    let steps = |steps: Value| json!({ "mode": "absolute", "steps": steps });
    let bounds = match form {
        Form::Lines { from_zero: true } | Form::Bars => json!({ "min": 0 }),
        Form::Share => json!({
            "min": 0, "max": 1,
            "thresholds": steps(json!([{ "color": "green", "value": null }, { "color": "red", "value": 0.9 }])),
        }),
        Form::States => json!({
            "color": { "mode": "thresholds" },
            "thresholds": steps(json!([{ "color": "transparent", "value": null }, { "color": "green", "value": 1 }])),
        }),
        Form::Lines { from_zero: false } | Form::Heatmap | Form::Table => json!({}),
    };
    match bounds {
        Value::Object(bounds) => bounds,
        _ => serde_json::Map::new(),
    }
}

fn targets(panel: &Panel) -> Vec<Value> {
    let format = match panel.form {
        Form::Heatmap => "heatmap",
        Form::Table => "table",
        _ => "time_series",
    };
    let instant = matches!(panel.form, Form::Bars | Form::Table);
    let names = ('A'..='Z').zip(&panel.queries);
    names
        .map(|(name, query)| {
            json!({
                "refId": name, "datasource": source(), "expr": query.promql, "legendFormat": query.legend,
                "format": format, "instant": instant, "range": !instant, "editorMode": "code",
            })
        })
        .collect()
}

/// An info's value and name say nothing.
fn transformations(form: Form) -> Value {
    match form {
        Form::Table => {
            let left_out = json!({ "Time": true, "Value": true, "__name__": true });
            json!([{ "id": "organize", "options": { "excludeByName": left_out, "indexByName": {}, "renameByName": {} } }])
        }
        _ => json!([]),
    }
}

/// Grafana's word for the unit.
fn unit(unit: &Unit) -> &'static str {
    match unit {
        Unit::Age => "s",
        Unit::Share => "percentunit",
        Unit::PerSecond(of) => match of.as_str() {
            "" => "cps",
            "bytes" => "binBps",
            "seconds" => "s",
            "joules" => "watt",
            _ => "short",
        },
        Unit::Of(of) => match of.as_str() {
            "seconds" => "s",
            "bytes" => "bytes",
            "ratio" => "percentunit",
            "percent" => "percent",
            "celsius" => "celsius",
            "volts" => "volt",
            "amperes" => "amp",
            "watts" => "watt",
            "joules" => "joule",
            "meters" => "lengthm",
            "hertz" => "hertz",
            _ => "short",
        },
    }
}

/// A number that no other panel has; the same one as long as no title of the same number comes before.
fn number(title: &str, taken: &mut HashSet<u32>) -> u32 {
    // Browsers' integers and Grafana's are larger than this.
    let mut number = fnv(title) & 0x7fff_ffff;
    while !taken.insert(number) {
        number = number.wrapping_add(1) & 0x7fff_ffff;
    }
    number
}

/// FNV-1a: the same in every build, which the standard library's hashes do not promise.
fn fnv(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::super::panel;
    use super::*;
    use crate::overview::tests::overview;

    const TEXT: &str = "# HELP shop_orders_total Orders.\n# TYPE shop_orders_total counter\nshop_orders_total{kind=\"a\"} 1\n\
        # TYPE shop_wait_seconds histogram\nshop_wait_seconds_bucket{le=\"+Inf\"} 1\nshop_wait_seconds_count 1\n\
        shop_wait_seconds_sum 1\n# TYPE process_open_fds gauge\nprocess_open_fds 3\n# TYPE process_max_fds gauge\n\
        process_max_fds 9\n# TYPE queue_items gauge\nqueue_items 1\n";

    fn made(text: &str) -> Value {
        dashboard(&panel::rows(&overview(text)), "The shop", None)
    }

    #[test]
    fn panels_stand_in_rows_by_prefix_and_a_program_s_insides_are_closed() {
        let made = made(TEXT);
        let shown = |panels: &Value| -> Vec<String> {
            panels.as_array().unwrap().iter().map(|one| one["title"].as_str().unwrap().to_owned()).collect()
        };

        let titles = shown(&made["panels"]);
        let wait = ["per second", "quantiles", "heatmap"].map(|aspect| format!("shop_wait_seconds: {aspect}"));
        assert_eq!(titles[..2], ["shop", "shop_orders: per second"]);
        assert_eq!(titles[2..5], wait);
        assert_eq!(titles[5..], ["Others", "queue_items", "process"]);
        let closed = made["panels"].as_array().unwrap().last().unwrap();
        assert_eq!(shown(&closed["panels"]), ["process_open_fds", "process_open_fds: share of its limit"]);
        assert_eq!(made["panels"][1]["description"], "Orders.");
    }

    #[test]
    fn what_is_added_changes_no_other_panel_s_number() {
        let numbers = |text: &str| -> Vec<(String, u64)> {
            let made = made(text);
            let panels = made["panels"].as_array().unwrap().iter();
            panels.map(|one| (one["title"].as_str().unwrap().to_owned(), one["id"].as_u64().unwrap())).collect()
        };
        let before = numbers(TEXT);
        let after = numbers(&format!("# TYPE shop_age_seconds gauge\nshop_age_seconds 1\n{TEXT}"));

        assert_eq!(after.len(), before.len() + 1);
        assert!(before.iter().all(|panel| after.contains(panel)));
    }

    #[test]
    fn panels_of_a_row_do_not_overlap() {
        let made = made(TEXT);
        let mut cells = HashSet::new();
        for panel in made["panels"].as_array().unwrap() {
            let side = |name: &str| panel["gridPos"][name].as_u64().unwrap();
            assert!(side("x") + side("w") <= u64::from(COLUMNS));
            for x in side("x")..side("x") + side("w") {
                for y in side("y")..side("y") + side("h") {
                    assert!(cells.insert((x, y)), "{panel}");
                }
            }
        }
    }

    #[test]
    fn a_title_makes_an_address_that_grafana_takes() {
        let long = "A dashboard of everything that the shop and its jobs have counted";
        assert_eq!(uid("The shop"), "the-shop");
        for title in ["Магазин", "店", long, "-"] {
            let uid = uid(title);
            assert!((1..=40).contains(&uid.len()), "{uid}");
            assert!(uid.chars().all(|one| one.is_ascii_alphanumeric() || one == '-'), "{uid}");
        }
        assert_ne!(uid("店"), uid("店铺"));
    }
}
