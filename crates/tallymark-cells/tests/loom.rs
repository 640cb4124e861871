//! Races of two threads on one block, over every order that the memory model allows.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p tallymark-cells --test loom`.
#![cfg(loom)]

use loom::thread;
use std::sync::Arc;
use tallymark_cells::{HeapBlock, Shape};

#[test]
fn a_reader_sees_an_observation_wholly_or_not_at_all() {
    let mut model = loom::model::Builder::new();
    // Unbounded, the orders of two observations and a retrying reader take minutes.
    model.preemption_bound = Some(2);
    model.check(|| {
        // The writer is the first thread: with the reader first, the checker explores a single order.
        let tally = Arc::new(HeapBlock::new(Shape::Tally { counts: 2 }));
        let reader = thread::spawn({
            let tally = Arc::clone(&tally);
            move || {
                let reading = tally.block().tally();
                assert_eq!(reading.sum, reading.counts[0] as f64 + reading.counts[1] as f64 * 1000.0);
            }
        });
        tally.block().observe(Some(0), 1.0);
        tally.block().observe(Some(1), 1000.0);
        reader.join().unwrap();
    });
}

#[test]
fn two_writers_of_one_tally_lose_nothing() {
    loom::model(|| {
        let tally = Arc::new(HeapBlock::new(Shape::Tally { counts: 1 }));
        let writer = thread::spawn({
            let tally = Arc::clone(&tally);
            move || tally.block().observe(Some(0), 2.0)
        });
        tally.block().observe(Some(0), 3.0);
        writer.join().unwrap();
        let reading = tally.block().tally();
        assert_eq!((reading.counts[0], reading.sum), (2, 5.0));
    });
}

#[test]
fn what_is_added_while_a_number_is_drained_is_in_one_of_the_two_places() {
    loom::model(|| {
        let (from, to) = (Arc::new(HeapBlock::new(Shape::Number)), HeapBlock::new(Shape::Number));
        let writer = thread::spawn({
            let from = Arc::clone(&from);
            move || {
                from.block().add(1.0);
                from.block().add(0.5);
            }
        });
        from.drain_into(to.block());
        writer.join().unwrap();
        let ((here, here_rest), (there, there_rest)) = (from.block().number(), to.block().number());
        assert_eq!((here + there, here_rest + there_rest), (1, 0.5));
    });
}

#[test]
fn who_sees_the_time_of_a_set_sees_its_value() {
    loom::model(|| {
        let gauge = Arc::new(HeapBlock::new(Shape::Gauge(tallymark_cells::Keep::Last)));
        let writer = thread::spawn({
            let gauge = Arc::clone(&gauge);
            move || gauge.block().set(7.0, 9)
        });
        let (value, stamp) = gauge.block().gauge();
        assert!(stamp == 0 || value == 7.0);
        writer.join().unwrap();
    });
}
