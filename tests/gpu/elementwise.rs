//! Maps of single elements.

use balance::kernel;

use crate::beside::{same, tensor};

#[test]
fn sums_are_those_of_the_cpu() {
    for shape in [&[3, 5][..], &[7, 65, 32]] {
        let inputs = [tensor(shape, 1)];
        same("sum", &inputs, |it| kernel::sum(&it[0], &(&it[0] * 0.5)?));
    }
}

#[test]
fn sums_of_what_does_not_lie_evenly_are_those_of_the_cpu() {
    let inputs = [tensor(&[5, 67], 2)];
    same("sum", &inputs, |it| kernel::sum(&it[0].narrow(0, 1, 4)?, &it[0].narrow(0, 0, 4)?));
}
