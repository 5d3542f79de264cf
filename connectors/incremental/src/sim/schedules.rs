//! The right machine and the right driver: every schedule ends well.

use super::{
    coverage::Coverage,
    slip::Mistake,
    world::{End, run},
};

const SEEDS: u64 = 12_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

fn run_well(seed: u64, crash_at: Option<usize>) -> End {
    run(seed, Mistake::None, crash_at).unwrap_or_else(|fault| {
        let crash_at = crash_at.map_or(String::new(), |step| format!(" CDC_SIM_CRASH_AT={step}"));
        panic!("{fault}\nrun this schedule again with CDC_SIM_SEED={seed}{crash_at}")
    })
}

#[test]
fn every_schedule_ends_well_and_every_corner_is_visited() {
    if let Some(seed) = number("CDC_SIM_SEED") {
        run_well(seed, number("CDC_SIM_CRASH_AT").map(|step| step as usize));
        return;
    }
    let mut coverage = Coverage::default();
    for seed in 0..number("CDC_SIM_SEEDS").unwrap_or(SEEDS) {
        coverage.add(&run_well(seed, None).coverage);
    }
    eprintln!("{coverage:?}");
    assert_eq!(coverage.missing(), Vec::<&str>::new(), "corners that no schedule got into");
}

#[test]
fn a_crash_at_any_step_is_survived() {
    for seed in 0..20 {
        let steps = run_well(seed, Some(usize::MAX)).steps;
        for crash_at in 1..=steps.min(600) {
            run_well(seed, Some(crash_at));
        }
    }
}

#[test]
fn the_same_seed_ends_the_same() {
    for seed in 0..200 {
        assert_eq!(run_well(seed, None), run_well(seed, None), "seed {seed}");
    }
}
