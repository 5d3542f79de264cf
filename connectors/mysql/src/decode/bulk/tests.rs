//! Rows column by column are the rows one by one: same values, same nulls by policy, same fault at the same row.

mod kinds;

use arrow_array::RecordBatch;
use proptest::prelude::*;

use super::{
    super::{
        BatchBuilder, DecodeError,
        binlog::{BinlogPlan, RowsEvent, TableMap},
        tests::{codec, corpus},
    },
    ROWS_MAX, ROWS_MIN,
};
use crate::{
    types::schema_tests::table,
    types::{Flavor, TableCodec, TextUndecodable, TypeOptions},
};

/// Rows, values made null, the fault behind them, and the bytes that all rows took.
type Decoded = (RecordBatch, Vec<(usize, u64)>, Option<DecodeError>, usize);

/// All images; `together` where that goes.
fn decode(codec: &TableCodec, plan: &BinlogPlan, images: &[u8], together: bool) -> Decoded {
    let mut builder = BatchBuilder::new(codec, 1).unwrap();
    let (mut rest, mut fault) = (images, None);
    while !rest.is_empty() {
        let before = builder.len();
        let (rows, bytes) =
            if together { builder.append_images(plan, rest, 0, &[], ROWS_MIN) } else { (0, 0) };
        assert_eq!(builder.len(), before + rows);
        if rows > 0 {
            rest = &rest[bytes..];
            continue;
        }
        match builder.append_image(plan, rest) {
            Ok(taken) => rest = &rest[taken..],
            Err(error) => {
                fault = Some(error);
                break;
            }
        }
    }
    let (nulled, taken) = (builder.take_nulled(), images.len() - rest.len());
    (builder.finish().unwrap(), nulled, fault, taken)
}

fn assert_same(codec: &TableCodec, plan: &BinlogPlan, images: &[u8]) -> Decoded {
    let decoded = decode(codec, plan, images, true);
    let expected = decode(codec, plan, images, false);
    assert!(decoded == expected, "together {decoded:?}, one by one {expected:?}");
    decoded
}

/// Images of the recorded table, so many times both.
fn recorded(flavor: Flavor, times: usize) -> (TableCodec, BinlogPlan, Vec<u8>) {
    let corpus = corpus(flavor);
    let codec = corpus.codec();
    let plan = BinlogPlan::compile(&codec, &TableMap::parse(&corpus.map).unwrap()).unwrap();
    let images = RowsEvent::parse(corpus.events[0].0, &corpus.events[0].1).unwrap().rows();
    (codec, plan, images.repeat(times))
}

/// A plan of these columns; `map` has their type bytes, then their metadata.
fn planned(
    columns: &[(&str, &str)],
    options: &TypeOptions,
    types: &[u8],
    metadata: &[u8],
) -> (TableCodec, BinlogPlan) {
    let codec = codec(&table(columns), Flavor::MySql, options);
    let mut map = vec![1, 0, 0, 0, 0, 0, 0, 0, 1, b'd', 0, 1, b't', 0, types.len() as u8];
    map.extend(types);
    map.push(metadata.len() as u8);
    map.extend(metadata);
    map.push(0xFF);
    let plan = BinlogPlan::compile(&codec, &TableMap::parse(&map).unwrap()).unwrap();
    (codec, plan)
}

#[test]
fn all_types_in_any_number_of_rows() {
    for flavor in [Flavor::MySql, Flavor::MariaDb] {
        for times in [1, 2, 3, 31, 32, 33, 100] {
            let (codec, plan, images) = recorded(flavor, times);
            let (batch, _, fault, _) = assert_same(&codec, &plan, &images);
            assert_eq!((batch.num_rows(), fault), (2 * times, None));
        }
    }
}

#[test]
fn so_many_rows_are_taken_at_once() {
    let (codec, plan, images) = recorded(Flavor::MySql, 100);
    let mut builder = BatchBuilder::new(&codec, 1).unwrap();
    let (rows, bytes) = builder.append_images(&plan, &images, 0, &[], ROWS_MIN);
    assert_eq!((rows, bytes), (ROWS_MAX, images.len() * ROWS_MAX / 200));
    // One or two rows are not worth the walk.
    let few = &images[..images.len() / 100];
    assert_eq!(builder.append_images(&plan, few, 0, &[], ROWS_MIN), (0, 0));
    // Not so many as were asked for.
    let almost = images.len() / 200 * (ROWS_MAX - 1);
    assert_eq!(builder.append_images(&plan, &images[..almost], 0, &[], ROWS_MAX), (0, 0));
    assert_eq!(builder.len(), ROWS_MAX);
    let (_, more) = builder.append_images(&plan, &images, bytes, &[images.len()], ROWS_MAX);
    assert_eq!((builder.len(), more), (2 * ROWS_MAX, 2 * bytes));
}

/// Batches that are still there while the builder fills the buffers of others that are gone again.
#[test]
fn a_batch_stays_as_it_is_while_buffers_of_others_are_filled_again() {
    for flavor in [Flavor::MySql, Flavor::MariaDb] {
        let (codec, plan, images) = recorded(flavor, 100);
        let both = images.len() / 100;
        let mut builder = BatchBuilder::new(&codec, 1).unwrap();
        // Deterministic: lengths and what is kept come from the round's number.
        let mut kept: Vec<(RecordBatch, RecordBatch)> = Vec::new();
        for round in 0..300usize {
            let rest = &images[..both * (1 + round * 37 % 100)];
            let expected = decode(&codec, &plan, rest, false).0;
            builder.make_room();
            let mut at = 0;
            while at < rest.len() {
                // Row by row now and then, so that both ways write to what came back.
                let (rows, end) = match round % 3 {
                    0 => (0, at),
                    _ => builder.append_images(&plan, rest, at, &[], ROWS_MIN),
                };
                at = if rows > 0 {
                    end
                } else {
                    at + builder.append_image(&plan, &rest[at..]).unwrap()
                };
            }
            kept.push((builder.finish().unwrap(), expected));
            for (batch, expected) in &kept {
                assert_eq!(batch, expected, "{flavor:?}, round {round}");
            }
            if round % 5 != 1 {
                kept.swap_remove(round * 7 % kept.len());
            }
            if kept.len() > 8 {
                kept.clear();
            }
        }
    }
}

#[test]
fn an_image_that_goes_on_in_the_next_event_is_not_taken() {
    let (codec, plan, images) = recorded(Flavor::MySql, 10);
    let both = images.len() / 10;
    let mut builder = BatchBuilder::new(&codec, 1).unwrap();
    for end in 1..images.len() {
        let (rows, taken) =
            builder.append_images(&plan, &images, 0, &[end, images.len()], ROWS_MIN);
        let is_between = end % both == 0 || end % both == plan.skip_image(&images).unwrap();
        assert_eq!((rows, taken), if is_between { (20, images.len()) } else { (0, 0) }, "{end}");
    }
}

#[test]
fn every_flipped_bit_and_every_cut_gives_the_same_rows_and_the_same_fault() {
    for flavor in [Flavor::MySql, Flavor::MariaDb] {
        let (codec, plan, mut images) = recorded(flavor, 4);
        let (begin, end) = (images.len() / 4, images.len() / 2);
        for bit in begin * 8..end * 8 {
            images[bit / 8] ^= 1 << (bit % 8);
            assert_same(&codec, &plan, &images);
            images[bit / 8] ^= 1 << (bit % 8);
        }
        for cut in 0..images.len() {
            assert_same(&codec, &plan, &images[..cut]);
        }
    }
}

#[test]
fn a_character_that_is_spread_over_two_rows_is_none() {
    let (codec, plan) =
        planned(&[("c", "varchar(10)")], &TypeOptions::default(), &[15], &40u16.to_le_bytes());
    let whole = [0, 2, 0xC3, 0xA9].repeat(8);
    let (batch, _, fault, _) = assert_same(&codec, &plan, &whole);
    assert_eq!((batch.num_rows(), fault), (8, None));
    let halves = [0, 1, 0xC3, 0, 1, 0xA9].repeat(8);
    let (batch, _, fault, taken) = assert_same(&codec, &plan, &halves);
    assert_eq!((batch.num_rows(), taken), (0, 0));
    assert!(fault.unwrap().to_string().contains("0xC3"));
    let replace =
        TypeOptions { text_undecodable: TextUndecodable::Replace, ..TypeOptions::default() };
    let (codec, plan) = planned(&[("c", "varchar(10)")], &replace, &[15], &40u16.to_le_bytes());
    let (batch, _, fault, _) = assert_same(&codec, &plan, &halves);
    assert_eq!((batch.num_rows(), fault), (16, None));
}

#[test]
fn what_a_policy_makes_null_is_counted_once_also_when_a_later_row_has_a_fault() {
    let columns = [("d", "date"), ("b", "tinyint(1)")];
    let (codec, plan) = planned(&columns, &TypeOptions::default(), &[10, 1], &[]);
    let mut images = [0, 0, 0, 0, 1].repeat(100);
    let (batch, nulled, fault, _) = assert_same(&codec, &plan, &images);
    assert_eq!((batch.num_rows(), nulled, fault), (100, vec![(0, 100)], None));
    let last = images.len() - 1;
    images[last] = 2;
    let (batch, nulled, fault, _) = assert_same(&codec, &plan, &images);
    assert_eq!((batch.num_rows(), nulled), (99, vec![(0, 100)]));
    assert_eq!(fault.unwrap().column, Some(1));
}

proptest! {
    /// Random bytes between rows that are whole.
    #[test]
    fn torn_rows_are_the_same_either_way(
        at in 0usize..4000,
        bytes in proptest::collection::vec(any::<u8>(), 1..24),
        times in 2usize..60,
    ) {
        let (codec, plan, mut images) = recorded(Flavor::MySql, times);
        let length = images.len();
        for (nth, byte) in bytes.iter().enumerate() {
            images[(at + nth) % length] = *byte;
        }
        assert_same(&codec, &plan, &images);
    }

    /// Narrow rows with nulls anywhere, text of any bytes, and dates that may be none.
    #[test]
    fn random_rows_are_the_same_either_way(
        rows in proptest::collection::vec(
            (
                0u8..32,
                proptest::option::weighted(0.1, any::<[u8; 6]>()),
                "[a-zé😀]{0,20}",
                any::<u32>(),
                0u8..2,
                any::<u64>(),
            ),
            1..150,
        ),
        replace: bool,
    ) {
        let mut options = TypeOptions::default();
        if replace {
            options.text_undecodable = TextUndecodable::Replace;
        }
        let columns = [
            ("i", "int"), ("v", "varchar(60)"), ("t", "tinyint(1)"), ("s", "timestamp"), ("d", "datetime(6)"),
        ];
        let metadata = [240, 0, 0, 6];
        let (codec, plan) = planned(&columns, &options, &[3, 15, 1, 17, 18], &metadata);
        let mut images = Vec::new();
        for (nulls, odd, text, number, truth, date) in rows {
            images.push(nulls);
            let mut cell = |at: u8, bytes: &[u8]| {
                if nulls >> at & 1 == 0 {
                    images.extend_from_slice(bytes);
                }
            };
            let mut text = text.into_bytes();
            if let Some(odd) = odd {
                text.extend(odd);
            }
            cell(0, &number.to_le_bytes());
            cell(1, &[&[text.len() as u8][..], &text].concat());
            cell(2, &[truth]);
            cell(3, &(number % 3 * 1_000_000_000).to_be_bytes());
            let (year, month) = (date % 9000 + 1000, date >> 16 & 12);
            let day = date >> 20 & 31;
            let packed = 0x80_0000_0000 | ((year * 13 + month) << 5 | day) << 17 | (date % 24) << 12;
            cell(4, &[&packed.to_be_bytes()[3..], &[0, 0, 7]].concat());
        }
        assert_same(&codec, &plan, &images);
    }
}
