//! Laws of every sampler: what an epoch draws, how often, and from which numbers.

use std::collections::{BTreeMap, BTreeSet};

use balance::catalog::{Bound, Value};
use balance::library::build;
use balance::library::sampler::{Course, Drawn, SAMPLERS, Sampler};
use balance::seed::Stream;

fn sampler(name: &str, args: &[(&str, Value)]) -> Box<dyn Sampler> {
    let entry = SAMPLERS.iter().find(|entry| entry.spec.name == name).unwrap();
    let bound = Bound::defaults(&entry.spec);
    let bound = args.iter().fold(bound, |bound, (name, value)| bound.with(name, value.clone()));
    build(SAMPLERS, &bound)
}

fn balanced(at_least: i64) -> Box<dyn Sampler> {
    sampler("balanced", &[("at_least", Value::Int(at_least))])
}

/// Images of classes of these sizes, mixed.
fn classes(sizes: &[usize]) -> Vec<u32> {
    let all: Vec<u32> = sizes
        .iter()
        .enumerate()
        .flat_map(|(class, size)| std::iter::repeat_n(class as u32, *size))
        .collect();
    let order = Stream::new(9).permutation(all.len());
    order.into_iter().map(|at| all[at as usize]).collect()
}

fn course(classes: &[u32], batch: usize, steps: usize) -> Course<'_> {
    Course { classes, groups: &[], group_names: &[], batch, steps }
}

fn counts(ids: impl Iterator<Item = u32>) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    ids.for_each(|id| *counts.entry(id).or_default() += 1);
    counts
}

#[test]
fn shuffled_draws_every_image_once() {
    let classes = classes(&[30, 20]);
    let sampler = sampler("shuffled", &[]);
    let epoch = sampler.epoch(&course(&classes, 16, 4), &Stream::new(3));
    let sizes: Vec<usize> = epoch.iter().map(Vec::len).collect();
    assert_eq!(sizes, [16, 16, 16, 2]);
    let order: Vec<u32> = epoch.iter().flatten().map(|drawn| drawn.at).collect();
    assert_eq!(order, Stream::new(3).permutation(50));
    let left_out = sampler.epoch(&course(&classes, 16, 3), &Stream::new(3));
    assert_eq!(left_out, epoch[..3]);
}

/// Frequent and rare classes; batches with room for all of them and for some; shares that do not
/// divide, and one larger than the class.
const CASES: &[(&[usize], usize, i64)] = &[
    (&[500, 50, 5], 30, 1),
    (&[500, 50, 5], 32, 8),
    (&[100; 10], 64, 4),
    (&[100; 40], 64, 4),
    (&[37, 12, 90, 41, 8], 18, 7),
    (&[3, 400], 16, 2),
];

#[test]
fn a_batch_has_equal_shares_and_no_image_twice() {
    for (sizes, batch, at_least) in CASES {
        let classes = classes(sizes);
        let held = (batch / *at_least as usize).min(sizes.len());
        for drawn in balanced(*at_least).epoch(&course(&classes, *batch, 25), &Stream::new(1)) {
            assert_eq!(drawn.len(), *batch);
            let shares = counts(drawn.iter().map(|it| classes[it.at as usize]));
            assert_eq!(shares.len(), held);
            for (class, share) in &shares {
                assert!((batch / held..=batch.div_ceil(held)).contains(share), "{shares:?}");
                assert!(*share >= *at_least as usize);
                let images: BTreeSet<u32> = drawn
                    .iter()
                    .filter(|it| classes[it.at as usize] == *class)
                    .map(|it| it.at)
                    .collect();
                assert_eq!(images.len(), (*share).min(sizes[*class as usize]));
            }
        }
    }
}

#[test]
fn classes_take_turns_and_so_do_the_images_of_one() {
    for (sizes, batch, at_least) in CASES {
        let classes = classes(sizes);
        let mut drawn: BTreeMap<u32, usize> = BTreeMap::new();
        let mut turns: BTreeMap<u32, usize> = BTreeMap::new();
        for mut batch in balanced(*at_least).epoch(&course(&classes, *batch, 60), &Stream::new(2)) {
            // Within a batch the order says nothing.
            batch.sort_unstable();
            for Drawn { at, again } in &batch {
                let before = drawn.entry(*at).or_default();
                assert_eq!(*before, *again as usize, "image {at}");
                *before += 1;
            }
            let held: BTreeSet<u32> = batch.iter().map(|it| classes[it.at as usize]).collect();
            held.into_iter().for_each(|class| *turns.entry(class).or_default() += 1);
            let apart = turns.values().max().unwrap() - turns.values().min().unwrap();
            assert!(turns.len() < sizes.len() || apart <= 1, "{turns:?}");
        }
        for class in 0..sizes.len() as u32 {
            let of_class = (0..classes.len() as u32).filter(|at| classes[*at as usize] == class);
            let times: Vec<usize> =
                of_class.map(|at| drawn.get(&at).copied().unwrap_or(0)).collect();
            assert!(times.iter().max().unwrap() - times.iter().min().unwrap() <= 1, "{times:?}");
        }
    }
}

#[test]
fn groups_are_balanced_in_their_place() {
    let (classes, groups) = (vec![0; 100], classes(&[90, 7, 3]));
    let sampler = sampler("balanced", &[("by", Value::Word("group".to_owned()))]);
    let course =
        Course { classes: &classes, groups: &groups, group_names: &[], batch: 9, steps: 11 };
    for batch in sampler.epoch(&course, &Stream::new(1)) {
        let shares = counts(batch.iter().map(|it| groups[it.at as usize]));
        assert_eq!(shares, BTreeMap::from([(0, 3), (1, 3), (2, 3)]));
    }
}

/// By counting: a pile of 90 images once and 10 images seven times, used up and begun again.
#[test]
fn one_group_is_drawn_so_many_times_as_often() {
    let (classes, groups) = (vec![0; 100], classes(&[90, 10]));
    let names = ["right", "wrong"].map(str::to_owned);
    let sampler = sampler("upweighted", &[("times", Value::Int(7))]);
    let course =
        |groups, steps| Course { classes: &classes, groups, group_names: &names, batch: 16, steps };
    let epoch = sampler.epoch(&course(&groups, 20), &Stream::new(1));
    assert!(epoch.iter().all(|batch| batch.len() == 16));
    let mut seen = [0; 100];
    for Drawn { at, again } in epoch[..10].iter().flatten() {
        assert_eq!(*again, seen[*at as usize]);
        seen[*at as usize] += 1;
    }
    // Ten steps are the whole pile.
    for (count, group) in seen.iter().zip(&groups) {
        assert_eq!(*count, if *group == 1 { 7 } else { 1 });
    }
    let mut twice = [0; 100];
    epoch.iter().flatten().for_each(|drawn| twice[drawn.at as usize] += 1);
    assert!(twice.iter().zip(&seen).all(|(twice, once)| *twice == 2 * once));
    assert_ne!(epoch[..10], epoch[10..]);
    let fewer = sampler.epoch(&course(&groups, 4), &Stream::new(1));
    assert_eq!(epoch[..4], fewer);
    // Where nothing is wrong, every image comes once before any comes again.
    for none in [&vec![0; 100], &Vec::new()] {
        let epoch = sampler.epoch(&course(none, 25), &Stream::new(1));
        let each = counts(epoch.iter().flatten().map(|drawn| drawn.at));
        assert!(each.len() == 100 && each.values().all(|count| *count == 4), "{each:?}");
    }
}

#[test]
fn an_epoch_is_drawn_from_its_address_alone() {
    let classes = classes(&[40, 10, 25]);
    let course = course(&classes, 12, 6);
    for sampler in [balanced(2), sampler("shuffled", &[])] {
        let address = Stream::new(4);
        let epoch = sampler.epoch(&course, &address);
        assert_eq!(epoch, sampler.epoch(&course, &address));
        assert_ne!(epoch, sampler.epoch(&course, &Stream::new(5)));
        let fewer = Course { steps: 4, ..course };
        assert_eq!(epoch[..4], sampler.epoch(&fewer, &address));
    }
}
