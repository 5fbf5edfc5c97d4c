//! Memory of a card that is given back, and taken again.

use balance::kernel::{card_device, cards, sum};
use candle_core::{DType, Device, Result, Tensor};

use crate::beside::tensor;

/// A card with more bytes is not filled: others may be using it.
const SMALL: u64 = 1 << 30;

fn values(of: &Tensor) -> Result<Vec<f32>> {
    of.to_device(&Device::Cpu)?.flatten_all()?.to_vec1()
}

/// Adds numbers of sizes that come and go on a queue of its own, which then ends.
fn added(seed: u64) -> Result<()> {
    let queue = card_device(0)?;
    for rows in (1..40).chain(10..30) {
        let [x, y] = [1, 2].map(|at| tensor(&[rows, 65], 100 * seed + at));
        let on_card = sum(&x.to_device(&queue)?, &y.to_device(&queue)?)?;
        assert_eq!(values(&on_card)?, values(&(x + y)?)?);
    }
    Ok(())
}

#[test]
fn queues_come_and_go_beside_each_other() {
    std::thread::scope(|scope| {
        let job = |seed: u64| move || (0..3).try_for_each(|round| added(10 * seed + round));
        let jobs: Vec<_> = (0..4).map(|seed| scope.spawn(job(seed))).collect();
        jobs.into_iter().for_each(|job| job.join().expect("no panic").expect("the card adds"));
    });
}

#[test]
fn what_another_thread_gives_back_is_taken_again() {
    let queue = card_device(0).expect("these tests need a card");
    for seed in 0..20 {
        let x = tensor(&[33, 65], seed);
        let on_card = x.to_device(&queue).expect("there is room");
        let twice = std::thread::spawn(move || sum(&on_card, &on_card)).join();
        let twice = values(&twice.expect("no panic").expect("the card adds"));
        assert_eq!(twice.expect("it is read"), values(&(&x + &x).unwrap()).unwrap());
    }
}

#[test]
fn what_one_queue_keeps_another_can_have() {
    let total = cards().cards[0].total;
    if total > SMALL {
        return;
    }
    let queues = [0, 1].map(|_| card_device(0).expect("these tests need a card"));
    // More than half: the others must give back what they keep.
    let count = (total / 10 * 6 / 4) as usize;
    for queue in queues.iter().cycle().take(5) {
        let zeros = Tensor::zeros(count, DType::F32, queue).expect("there is room");
        assert_eq!(values(&zeros.narrow(0, count - 3, 3).unwrap()).unwrap(), [0.0; 3]);
    }
    let most = Tensor::zeros(2 * count, DType::F32, &queues[0]);
    assert!(most.is_err(), "more than the card has was given");
}
