//! Rows of numbers that a card keeps until they are read.

use balance::kernel::{Ledger, Replay, card_device};
use candle_core::{Device, Result, Tensor};

use crate::beside::card;
use crate::replay::is_off;

/// More numbers than one kernel takes.
const WIDTH: usize = 11;

fn row(step: usize) -> Vec<f64> {
    (0..WIDTH).map(|place| (100 * step + place) as f64).collect()
}

fn scalars(step: usize, device: &Device) -> Result<Vec<Tensor>> {
    row(step).into_iter().map(|number| Tensor::new(number as f32, device)).collect()
}

#[test]
fn rows_are_read_in_order_once_each() {
    for device in [Device::Cpu, card()] {
        let mut ledger = Ledger::new(&device, WIDTH, 3).expect("there is room");
        assert!(ledger.read().unwrap().is_empty());
        // The third reading goes over the end of the room.
        for steps in [0..1, 1..3, 3..6, 6..7] {
            for step in steps.clone() {
                ledger.note(&scalars(step, &device).unwrap()).unwrap();
            }
            assert_eq!(ledger.read().unwrap(), steps.map(row).collect::<Vec<_>>());
        }
    }
}

#[test]
fn rows_that_nobody_reads_are_refused() {
    let mut ledger = Ledger::new(&card(), WIDTH, 2).expect("there is room");
    for step in 0..2 {
        ledger.note(&scalars(step, &card()).unwrap()).unwrap();
    }
    assert!(ledger.note(&scalars(2, &card()).unwrap()).is_err());
    assert!(ledger.note(&scalars(2, &card()).unwrap()[1..]).is_err());
    assert_eq!(ledger.read().unwrap(), [row(0), row(1)]);
}

#[test]
fn steps_as_graphs_write_each_its_own_row() {
    let queue = card_device(0).expect("these tests need a card");
    let mut ledger = Ledger::new(&queue, 1, 4).expect("there is room");
    let mut replay = Replay::new(&queue, false);
    let mut found = Vec::new();
    for step in 0..12 {
        let work = || ledger.note(&[(Tensor::new(step as f32, &queue)? + 0.5)?]);
        replay.run(1, work).expect("a step");
        if step % 4 == 3 {
            found.extend(ledger.read().unwrap().concat());
        }
    }
    assert_eq!(found, (0..12).map(|step| step as f64 + 0.5).collect::<Vec<_>>());
    // Each but the first two.
    assert!(is_off() || replay.launches() == 10, "{}", replay.launches());
}
