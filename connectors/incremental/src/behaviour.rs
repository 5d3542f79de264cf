//! The machine's contract, sentence by sentence. Tables have one-byte keys; a position is a number.

use crate::{
    Applied, Bound, ChunkRead, Interval, Key, Limits, Opened, RangeId, ReadOutcome, Refusal,
    SinkRecovery, Snapshot, TableAlreadyAdded, TableKey, TableState, Verdict,
};

type Machine = Snapshot<u64, u8, &'static str>;

const ORDERS: TableKey = TableKey(1);
const USERS: TableKey = TableKey(2);
const ROOMY: Limits = Limits {
    bytes_max: 1 << 20,
    rows_per_chunk_max: 1000,
    chunk_bytes_target: 1 << 10,
    chunk_time_us_target: 1000,
};

fn machine(limits: Limits) -> Machine {
    let mut machine = Snapshot::new(limits, SinkRecovery::RollsBack, 10);
    machine.add_table(ORDERS, vec![], vec![]).unwrap();
    machine
}

fn bound(key: u8) -> Bound<u8> {
    Bound { key: Key::from(vec![key]), literal: key }
}

fn interval(low: impl Into<Option<u8>>, high: impl Into<Option<u8>>) -> Interval<u8> {
    Interval { low: low.into().map(bound), high: high.into().map(bound) }
}

fn chunk(upto: impl Into<Option<u8>>, high: u64, rows: u64, bytes: u64) -> ChunkRead<u64, u8> {
    ChunkRead { upto: upto.into().map(bound), high, rows, bytes, elapsed_us: 1 }
}

fn open(machine: &mut Machine) -> Opened<u64, u8> {
    machine.open().expect("something is Unread")
}

fn accept(machine: &mut Machine, range: RangeId, chunk: ChunkRead<u64, u8>) -> Vec<RangeId> {
    match machine.read(range, chunk) {
        ReadOutcome::Accepted { handed_back } => handed_back,
        other => panic!("{other:?}"),
    }
}

fn put(machine: &mut Machine, key: u8, image: &'static str) -> Applied {
    machine.put(ORDERS, &[key], image.len() as u64, || image)
}

#[test]
fn a_range_goes_from_unread_to_done() {
    let mut machine = machine(ROOMY);
    assert_eq!(machine.table_state(ORDERS), TableState::AllUnread);
    assert_eq!(put(&mut machine, 1, "a").verdict, Verdict::Drop);
    assert!(machine.boundary(20).is_empty());

    let opened = open(&mut machine);
    assert_eq!((opened.at, &opened.interval), (20, &Interval::all()));
    assert_eq!(machine.table_state(ORDERS), TableState::Mixed);
    assert_eq!(put(&mut machine, 2, "b").verdict, Verdict::Keep);
    assert_eq!(machine.delete(ORDERS, &[1]).verdict, Verdict::Keep);
    assert!(machine.boundary(30).is_empty());

    assert_eq!(accept(&mut machine, opened.range, chunk(None, 40, 2, 10)), []);
    assert!(machine.complete().is_empty(), "the reader has not reached the log end");
    assert_eq!(put(&mut machine, 2, "c").verdict, Verdict::Keep);
    assert!(machine.complete().is_empty(), "the reader stands inside a transaction");
    let completed = machine.boundary(40);
    assert_eq!(completed.len(), 1);
    assert_eq!(completed[0].range, opened.range);
    assert_eq!(completed[0].overlay, [(Key::from(vec![1]), None), (Key::from(vec![2]), Some("c"))]);

    assert_eq!(put(&mut machine, 2, "d").verdict, Verdict::Emit);
    assert!(machine.is_done() && machine.is_table_done(ORDERS));
    assert_eq!(machine.done(ORDERS), [Interval::all()]);
    assert_eq!(machine.progress().bytes_held + machine.progress().bytes_reserved, 0);
    assert_eq!(machine.rows_done(ORDERS), 2);
}

#[test]
fn a_reader_that_is_already_at_the_log_end_completes_at_once() {
    let mut machine = machine(ROOMY);
    let opened = open(&mut machine);
    assert_eq!(accept(&mut machine, opened.range, chunk(None, 10, 0, 0)), []);
    assert_eq!(machine.complete().len(), 1);
    assert!(machine.complete().is_empty());
}

#[test]
fn nothing_is_opened_inside_a_transaction_or_while_held() {
    let mut machine = machine(ROOMY);
    machine.hold_opening_until(20);
    assert!(machine.is_held() && machine.open().is_none());
    machine.boundary(19);
    assert!(machine.open().is_none());
    machine.relocate(3, 7);
    machine.boundary(6);
    assert!(machine.open().is_none(), "held until the new server's log end");
    machine.boundary(7);
    machine.enter();
    assert!(!machine.is_held() && machine.open().is_none());
    machine.boundary(8);
    assert!(machine.open().is_some());
}

#[test]
fn after_a_limit_the_rest_is_unread_and_its_overlay_gone() {
    let mut machine = machine(ROOMY);
    let opened = open(&mut machine);
    let _ = put(&mut machine, 5, "within");
    let _ = put(&mut machine, 6, "beyond");
    machine.boundary(20);
    assert_eq!(accept(&mut machine, opened.range, chunk(5, 20, 3, 30)), []);
    let completed = machine.complete();
    assert_eq!(completed[0].overlay, [(Key::from(vec![5]), Some("within"))]);
    assert_eq!(machine.done(ORDERS), [interval(None, 5)]);
    assert_eq!(open(&mut machine).interval, interval(5, None));
}

#[test]
fn done_intervals_merge_and_come_back_from_a_checkpoint() {
    let mut machine = machine(ROOMY);
    let done = vec![interval(5, 9), interval(1, 3), interval(3, 5)];
    machine.add_table(USERS, vec![bound(2), bound(12)], done).unwrap();
    assert_eq!(machine.done(USERS), [interval(1, 9)]);
    let text = serde_json::to_string(&machine.done(USERS)).unwrap();
    assert_eq!(text, r#"[{"low":{"key":"01","literal":1},"high":{"key":"09","literal":9}}]"#);
    let back: Vec<Interval<u8>> = serde_json::from_str(&text).unwrap();
    assert_eq!(back, machine.done(USERS));
    machine.remove_table(ORDERS);
    let opened: Vec<_> = std::iter::from_fn(|| machine.open()).map(|o| o.interval).collect();
    assert_eq!(opened, [interval(None, 1), interval(9, 12), interval(12, None)]);
}

#[test]
fn a_table_is_added_once() {
    let mut machine = machine(ROOMY);
    assert_eq!(machine.add_table(ORDERS, vec![], vec![]), Err(TableAlreadyAdded(ORDERS)));
}

#[test]
fn tables_take_turns_and_cuts_let_readers_work_side_by_side() {
    let mut machine = machine(ROOMY);
    machine.cut_table(ORDERS, vec![bound(7), bound(3), bound(7)]);
    machine.add_table(USERS, vec![], vec![]).unwrap();
    let opened: Vec<_> =
        std::iter::from_fn(|| machine.open()).map(|o| (o.table, o.interval)).collect();
    assert_eq!(
        opened,
        [
            (ORDERS, interval(None, 3)),
            (USERS, interval(None, None)),
            (ORDERS, interval(3, 7)),
            (ORDERS, interval(7, None)),
        ]
    );
}

#[test]
fn what_is_handed_back_is_read_again_and_late_rows_are_stale() {
    let mut machine = machine(ROOMY);
    let first = open(&mut machine);
    let _ = put(&mut machine, 1, "kept");
    machine.boundary(20);
    assert!(machine.hand_back(first.range, true));
    assert!(!machine.hand_back(first.range, true), "only once");
    assert_eq!(machine.progress().bytes_held, 0);
    let second = open(&mut machine);
    assert!(second.range != first.range && second.rows_max == first.rows_max / 2);
    assert_eq!(machine.read(first.range, chunk(None, 20, 1, 1)), ReadOutcome::Stale);
    assert_eq!(accept(&mut machine, second.range, chunk(None, 20, 1, 1)), []);
    assert_eq!(machine.read(second.range, chunk(None, 20, 1, 1)), ReadOutcome::Stale);
    assert!(machine.complete()[0].overlay.is_empty());
}

#[test]
fn pieces_of_a_range_that_was_handed_back_are_one_again() {
    let mut machine = machine(ROOMY);
    machine.cut_table(ORDERS, vec![bound(50)]);
    let opened = open(&mut machine);
    assert_eq!(accept(&mut machine, opened.range, chunk(5, 99, 1, 1)), []);
    assert_eq!(machine.hand_back_table(ORDERS), [opened.range]);
    assert_eq!(open(&mut machine).interval, interval(None, 50));
}

#[test]
fn a_chunk_that_contradicts_its_range_is_refused() {
    let check = |chunk: ChunkRead<u64, u8>, refusal: Refusal| {
        let mut machine = machine(ROOMY);
        machine.cut_table(ORDERS, vec![bound(50)]);
        let opened = open(&mut machine);
        assert_eq!(machine.read(opened.range, chunk), ReadOutcome::Refused(refusal));
        assert_eq!(machine.table_state(ORDERS), TableState::AllUnread);
    };
    check(chunk(51, 10, 1, 1), Refusal::KeyOutsideRange);
    check(chunk(None, 9, 1, 1), Refusal::HighBeforeAt);
    check(chunk(None, 10, 1000, 1), Refusal::LimitWithoutLastKey);
}

#[test]
fn a_last_key_at_the_end_of_the_range_leaves_nothing_unread() {
    let mut machine = machine(ROOMY);
    machine.cut_table(ORDERS, vec![bound(50)]);
    let opened = open(&mut machine);
    assert_eq!(accept(&mut machine, opened.range, chunk(50, 10, 1000, 1)), []);
    machine.complete();
    assert_eq!(machine.done(ORDERS), [interval(None, 50)]);
}

#[test]
fn the_largest_range_gives_way_when_the_memory_is_full() {
    let mut machine = machine(Limits { bytes_max: 4000, chunk_bytes_target: 700, ..ROOMY });
    machine.cut_table(ORDERS, vec![bound(50)]);
    let (small, large) = (open(&mut machine), open(&mut machine));
    assert!(machine.open().is_none(), "nothing is Unread");
    assert_eq!(accept(&mut machine, small.range, chunk(None, 90, 2, 900)), []);
    assert_eq!(accept(&mut machine, large.range, chunk(None, 90, 2, 2500)), []);
    let applied = machine.put(ORDERS, &[1], 700, || "image");
    assert_eq!((applied.verdict, applied.handed_back), (Verdict::Keep, vec![large.range]));
    machine.boundary(80);
    assert!(machine.open().is_none(), "there is no room for another chunk");
    machine.boundary(90);
    assert!(open(&mut machine).rows_max < large.rows_max);
}

#[test]
fn a_single_row_bigger_than_the_budget_passes_when_it_is_alone() {
    let mut machine = machine(Limits { bytes_max: 1000, chunk_bytes_target: 100, ..ROOMY });
    machine.cut_table(ORDERS, vec![bound(50)]);
    let (first, second) = (open(&mut machine), open(&mut machine));
    assert_eq!(accept(&mut machine, first.range, chunk(7, 90, 1, 5000)), []);
    assert_eq!(accept(&mut machine, second.range, chunk(None, 90, 1, 6000)), [second.range]);
    assert_eq!(machine.boundary(90).len(), 1);
}

#[test]
fn a_sink_that_cannot_roll_back_gets_every_delete() {
    let mut machine: Machine = Snapshot::new(ROOMY, SinkRecovery::AtLeastOnce, 10);
    machine.add_table(ORDERS, vec![bound(50)], vec![]).unwrap();
    let opened = open(&mut machine);
    assert_eq!(machine.delete(ORDERS, &[1]).verdict, Verdict::KeepAndEmit);
    assert_eq!(put(&mut machine, 2, "b").verdict, Verdict::Keep);
    assert_eq!(machine.delete(ORDERS, &[60]).verdict, Verdict::Emit);
    assert_eq!(put(&mut machine, 60, "c").verdict, Verdict::Drop);
    machine.boundary(20);
    assert_eq!(accept(&mut machine, opened.range, chunk(None, 20, 0, 0)), []);
    assert_eq!(machine.complete()[0].overlay.len(), 2);
}

#[test]
fn tables_come_go_and_begin_anew() {
    let mut machine = machine(ROOMY);
    assert!(machine.mark_table_done(USERS).is_empty());
    assert!(machine.is_table_done(USERS) && !machine.is_done());
    let opened = open(&mut machine);
    assert_eq!(machine.remove_table(ORDERS), [opened.range]);
    assert_eq!(put(&mut machine, 1, "of an unknown table").verdict, Verdict::Drop);
    assert!(machine.is_done());
    machine.boundary(20);
    assert!(machine.clear_done(USERS).is_empty());
    assert_eq!((machine.done(USERS), machine.table_state(USERS)), (vec![], TableState::AllUnread));
    assert_eq!(open(&mut machine).table, USERS);
}

#[test]
#[should_panic(expected = "the reader's position never goes back")]
fn the_position_never_goes_back() {
    machine(ROOMY).boundary(9);
}
