//! Whatever order pushes come in, and however often they are repeated, the totals are the true ones.

use proptest::prelude::*;

use super::Pushes;

/// What one writer does: amounts counted between its pushes.
#[derive(Debug, Clone)]
struct Writer {
    counted: Vec<(u32, Vec<u32>)>,
}

/// A push of running totals: a counter and a histogram, with the writer's start.
fn totals(writer: usize, done: &[(u32, Vec<u32>)]) -> String {
    let count: u32 = done.iter().map(|(amount, _)| amount).sum();
    let observed: Vec<u32> = done.iter().flat_map(|(_, observed)| observed.clone()).collect();
    format!(
        "{}# TYPE x_created gauge\nx_created {writer}\n# TYPE h_created gauge\nh_created {writer}\n",
        body(count, &observed)
    )
}

fn body(count: u32, observed: &[u32]) -> String {
    let below = |bound: u32| observed.iter().filter(|amount| **amount <= bound).count();
    format!(
        "# TYPE x_total counter\nx_total {count}\n# TYPE h histogram\nh_bucket{{le=\"1\"}} {}\nh_bucket{{le=\"3\"}} {}\n\
         h_bucket{{le=\"+Inf\"}} {len}\nh_count {len}\nh_sum {}\n",
        below(1),
        below(3),
        observed.iter().sum::<u32>(),
        len = observed.len(),
    )
}

fn writers() -> impl Strategy<Value = Vec<Writer>> {
    let step = (0..5u32, prop::collection::vec(0..6u32, 0..3));
    let writer = prop::collection::vec(step, 1..4).prop_map(|counted| Writer { counted });
    prop::collection::vec(writer, 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn deltas_and_running_totals_give_the_true_total(
        cumulative in writers(),
        deltas in writers(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 60),
    ) {
        let mut requests = Vec::new();
        for (at, writer) in cumulative.iter().enumerate() {
            for end in 1..=writer.counted.len() {
                requests.push(("/metrics/job/a".to_owned(), totals(at + 1, &writer.counted[..end])));
            }
        }
        for (at, writer) in deltas.iter().enumerate() {
            for (push, (count, observed)) in writer.counted.iter().enumerate() {
                requests.push((format!("/metrics/job/a?id={at}-{push}"), body(*count, observed)));
            }
        }
        let pushes = Pushes::adding();
        // Some of them in any order, some of those again, and in the end each once more.
        let some = order.iter().map(|index| index.index(requests.len()));
        for at in some.chain(0..requests.len()) {
            let (path, body) = &requests[at];
            prop_assert_eq!(pushes.post(path, body), 200);
        }

        let all: Vec<&(u32, Vec<u32>)> = cumulative.iter().chain(&deltas).flat_map(|writer| &writer.counted).collect();
        let count: u32 = all.iter().map(|(count, _)| count).sum();
        let observed: Vec<u32> = all.iter().flat_map(|(_, observed)| observed.clone()).collect();
        let below = |bound: u32| observed.iter().filter(|amount| **amount <= bound).count();
        let mut lines = pushes.lines();
        lines.retain(|line| !line.contains("_created"));
        prop_assert_eq!(lines, [
            format!("h_bucket{{job=\"a\",le=\"1.0\"}} {}.0", below(1)),
            format!("h_bucket{{job=\"a\",le=\"3.0\"}} {}.0", below(3)),
            format!("h_bucket{{job=\"a\",le=\"+Inf\"}} {}.0", observed.len()),
            format!("h_count{{job=\"a\"}} {}.0", observed.len()),
            format!("h_sum{{job=\"a\"}} {}.0", observed.iter().sum::<u32>()),
            format!("x_total{{job=\"a\"}} {count}.0"),
        ]);
    }
}
